//! Of what `cross/rustc` makes small by `cross/cold`, nothing computes an answer; what it edits by `cross/edits` is there.

use crate::support::process::run;
use serde_json::Value;
use std::process::Command;

/// `cross/rustc` as a module.
const WRAPPER: &str = "
import importlib.machinery, importlib.util, pathlib, sys, tempfile
loader = importlib.machinery.SourceFileLoader('wrapper', 'cross/rustc')
wrapper = importlib.util.module_from_spec(importlib.util.spec_from_loader('wrapper', loader))
sys.dont_write_bytecode = True
loader.exec_module(wrapper)
";

/// Reads names as a library has them, one after another, and tells of each whether a crate's patterns mean it.
const ASKED: &str = "
cold = wrapper.cold(sys.argv[1])
with tempfile.TemporaryDirectory() as place:
    library = pathlib.Path(place) / 'library'
    library.write_bytes(b'BC' + sys.argv[2].encode() + b'_ZN4mainE')
    for name, parts in wrapper.symbols(library):
        print('cold' if cold.search(wrapper.readable(parts)) else 'hot', wrapper.readable(parts))
";

/// As rustc names functions for a linker: each part with its length, and a hash.
fn named(parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("{}{part}", part.len())).collect();
    format!("_ZN{parts}17h0123456789abcdefE")
}

/// Asserts that all of these functions of a crate are judged so.
fn assert_all(verdict: &str, name: &str, functions: &[String]) {
    let said = judged(name, functions);
    let begins = format!("{verdict} ");
    assert!(
        said.len() == functions.len() && said.iter().all(|one| one.starts_with(&begins)),
        "{said:#?}"
    );
}

/// What is said of these functions of a crate.
fn judged(name: &str, functions: &[String]) -> Vec<String> {
    let asked = format!("{WRAPPER}{ASKED}");
    let said = run(Command::new("python3").args(["-c", &asked, name, &functions.concat()]));
    said.success().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn what_computes_is_not_made_small() {
    let max_pool =
        "_$LT$tract_core..ops..cnn..maxpool..OptMaxPool$u20$as$u20$tract_core..ops..EvalOp$GT$";
    let multiply =
        "_$LT$tract_core..ops..math..Mul$u20$as$u20$tract_core..ops..binary..BinMiniOp$GT$";
    let computing = [
        named(&[max_pool, "eval"]),
        named(&[multiply, "eval_out_of_place"]),
        named(&["ndarray", "zip", "Zip$LT$P$C$D$GT$", "inner"]),
    ];
    assert_all("hot", "tract_core", &computing);

    let scaled = "_$LT$potoroo..runtime..operators..core..scaling..Scaled$u20$as$u20$tract_core..ops..EvalOp$GT$";
    let answering = [
        named(&[scaled, "eval"]),
        named(&["potoroo", "runtime", "kernels", "kind", "neon", "tile"]),
        named(&["potoroo", "runtime", "plan", "Plan", "run"]),
        named(&["potoroo", "codec", "arrow", "columns", "read"]),
        named(&["potoroo", "http", "server", "head", "Head", "header"]),
        named(&["potoroo", "engine", "infer", "Inferences", "infer"]),
    ];
    assert_all("hot", "potoroo", &answering);
}

#[test]
fn what_starts_and_rewrites_is_made_small() {
    let conv =
        "_$LT$tract_core..ops..cnn..conv..conv..Conv$u20$as$u20$tract_core..ops..TypedOp$GT$";
    let said = judged("tract_core", &[named(&[conv, "declutter"])]);
    let conv =
        "cold <tract_core::ops::cnn::conv::conv::Conv as tract_core::ops::TypedOp>::declutter";
    assert_eq!(said, [conv]);
    let model = "_$LT$impl$u20$potoroo..runtime..load..Model$GT$";
    let starting = [
        named(&["potoroo", "engine", "doctor", "examine"]),
        named(&["potoroo", "runtime", "load", model, "build"]),
        named(&["core", "slice", "sort", "stable", "drift", "sort"]),
    ];
    assert_all("cold", "potoroo", &starting);
}

/// Makes the copies that a target's crates are compiled of, and tells which crates have one.
const EDITED: &str = "
with tempfile.TemporaryDirectory() as place:
    for package in sys.argv[2:]:
        source = pathlib.Path(package) / 'src/lib.rs'
        crate = source.parent.parent.name.rsplit('-', 1)[0].replace('-', '_')
        if wrapper.edited(source, wrapper.edits(crate, sys.argv[1]), pathlib.Path(place)) != source:
            print(crate)
";

#[test]
fn each_edit_fits_the_sources_that_the_lock_file_names() {
    let metadata = ["metadata", "--locked", "--offline", "--format-version", "1"];
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu"];
    let metadata = run(Command::new(env!("CARGO")).args(metadata).args(platform)).success();
    let metadata: Value = serde_json::from_str(&metadata.stdout).unwrap();
    let manifests = metadata["packages"].as_array().unwrap().iter();
    let packages: Vec<String> = manifests
        .map(|package| package["manifest_path"].as_str().unwrap().replace("/Cargo.toml", ""))
        .collect();

    let edits = std::fs::read_to_string("cross/edits").unwrap();
    let mut named: Vec<&str> = edits
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split([' ', ':']).next().unwrap())
        .collect();
    named.sort_unstable();
    named.dedup();
    let asked = format!("{WRAPPER}{EDITED}");
    let target = "aarch64-unknown-linux-musl";
    let edited = run(Command::new("python3").args(["-c", &asked, target]).args(packages)).success();
    let mut edited: Vec<&str> = edited.stdout.lines().collect();
    edited.sort_unstable();
    assert_eq!(edited, named);
}
