//! Of what `cross/rustc` makes small by `cross/cold`, nothing computes an answer.

use std::process::Command;

/// Reads names as a library has them, one after another, and tells of each whether a crate's patterns mean it.
const ASKED: &str = "
import importlib.machinery, importlib.util, pathlib, sys, tempfile
loader = importlib.machinery.SourceFileLoader('wrapper', 'cross/rustc')
wrapper = importlib.util.module_from_spec(importlib.util.spec_from_loader('wrapper', loader))
sys.dont_write_bytecode = True
loader.exec_module(wrapper)
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
    let said = Command::new("python3").args(["-c", ASKED, name, &functions.concat()]).output();
    let said = said.unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
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
