//! Made-up sources that break the house's order, each caught, and ones that do not, left alone.

use super::{crates, drawers, slips};
use crate::sources::{Source, masked, scan};

const MANIFEST: &str = r#"
[package]
name = "potoroo"

[dependencies]
tract-onnx = "0.22"
log.workspace = true
net = { package = "ureq", version = "3" }
[dependencies.arrow-ipc]
version = "58"
[target.'cfg(unix)'.dependencies]
rayon = "1"
[dependencies.store]
package = "rusqlite"
[dev-dependencies]
httparse = "1"
"#;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

/// The slips of one made-up file, alone in its tree.
fn slips_of(path: &str, text: &str) -> Vec<String> {
    slips(&[source(path, text)], &crates(MANIFEST))
}

#[test]
fn what_breaks_the_order_is_refused() {
    // Where, what it says, and what the one message must contain.
    let cases = [
        ("src/tensor/mod.rs", "use crate::codec::Table;", "mod.rs:1: `tensor` may not use `codec`"),
        ("src/clock.rs", "\nuse crate::engine;", "clock.rs:2: `clock` may not use `engine`"),
        ("src/codec/mod.rs", "use crate::runtime::Plan;", "both are crafts"),
        ("src/disk.rs", "use crate::clock::Clock;", "both are hands"),
        ("src/oci/mod.rs", "use crate::pipeline::Name;", "both are words"),
        ("src/engine/mod.rs", "use crate::ops::store;", "the two programs never use each other"),
        ("src/http/mod.rs", "use crate::{clock::C, codec};", "`http` may not use `codec`"),
        (
            "src/http/a.rs",
            "use crate::{\n  clock::{A, B},\n  oci,\n  ops::C,\n};",
            "a.rs:4: `http`",
        ),
        ("src/oci/a/b.rs", "use super::super::super::registry::X;", "`oci` may not use `registry`"),
        ("src/oci/mod.rs", "use super::disk;", "`oci` may not use `disk`"),
        ("src/oci/a.rs", "mod x { fn f() { super::super::super::exit::f() } }", "`exit`"),
        ("src/oci/a.rs", "use self::super::super::disk;", "`oci` may not use `disk`"),
        ("src/codec/a.rs", "fn f() -> crate::engine::Slot { x }", "`codec` may not use `engine`"),
        ("src/codec/a.rs", "use crate::*;", "may not use everything"),
        ("src/codec/a.rs", "use {std::fmt, crate::registry};", "`codec` may not use `registry`"),
        ("src/codec/a.rs", "use crate::VERSION;", "`VERSION` is not a room"),
        ("src/oci/a.rs", "macro_rules! m { () => { $crate::ops::f() } }", "`ops`"),
        ("src/sensor.rs", "//! A new room.", "the room `sensor` has no layer"),
        ("src/oci/a.rs", "#[cfg(test)] mod tests { use crate::disk; }", "`oci` may not use `disk`"),
        ("src/ops/a.rs", "#[cfg(test)] mod tests { use crate::engine; }", "tests included"),
        ("src/codec/a.rs", "#[cfg(test)] mod tests { fn f() {} }\nuse crate::runtime;", "a.rs:2"),
        ("src/engine/a.rs", "use tract_onnx::prelude::*;", "only in `src/runtime`"),
        ("src/engine/a.rs", "fn f() { ::tract_onnx::onnx(); }", "only in `src/runtime`"),
        ("src/engine/a.rs", "use ::tract_onnx;", "only in `src/runtime`"),
        ("src/engine/a.rs", "use net::Agent;", "`ureq` may be used only in `src/http/client` and"),
        ("src/ops/storeroom.rs", "use store as s;", "`rusqlite` may be used only in"),
        ("src/engine/a.rs", "use {log::info, arrow_ipc};", "`arrow_ipc` may be used only in"),
        ("src/bin/ops.rs", "extern crate rayon;", "`rayon` may be used only in"),
        ("src/http/client.rs", "fn f(b: &[u8]) { httparse::parse(b) }", "src/http/server"),
    ];
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(path, text, wanted)| {
            let found = slips_of(path, text);
            let good = matches!(found.as_slice(), [only] if only.contains(wanted));
            (!good).then(|| format!("{path} with {text:?}: {found:?}, not {wanted:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn what_keeps_the_order_is_left_alone() {
    let cases = [
        ("src/engine/mod.rs", "use crate::{codec, http::server, runtime::{self, Plan}, oci};"),
        ("src/pipeline/mod.rs", "use crate::{oci::Digest, tensor::Shape};"),
        ("src/http/server.rs", "use crate::clock::Clock; use httparse::Request;"),
        ("src/http/client/tls.rs", "use net::Agent;"),
        ("src/runtime.rs", "use tract_onnx::prelude::*;"),
        ("src/ops/store/mod.rs", "use store::Connection;"),
        ("src/oci/a/b.rs", "use super::super::Digest; use super::c; use self::d; use crate::oci;"),
        (
            "src/oci/a.rs",
            "// crate::ops\n/// [`crate::engine`]\n/* crate::ops /* x */ crate::ops */",
        ),
        (
            "src/oci/a.rs",
            r##"const A: &str = "crate::ops\" x"; const B: &str = r#"" crate::ops"#;"##,
        ),
        ("src/oci/a.rs", "const Q: char = '\"'; fn f<'a>(x: &'a str) {} const R: char = '\\'';"),
        ("src/codec/a.rs", "#[cfg(test)]\nmod tests { use super::*; use crate::runtime; }"),
        ("src/codec/a.rs", "#[cfg(test)]\n#[path = \"x.rs\"]\nuse crate::{runtime::{A, B}};"),
        ("src/codec/a.rs", "#[cfg(all(test, unix))] fn f(a: [u8; 3]) { crate::runtime::g() }"),
        ("src/engine/a.rs", "use crate::codec::arrow_ipc; use super::{net::x, store};"),
        ("src/lib.rs", "pub mod engine; pub use engine::Engine; use crate::ops::Center;"),
        ("src/bin/engine.rs", "use potoroo::{engine, ops}; mod x { use crate::y; }"),
    ];
    for (path, text) in cases {
        assert_eq!(slips_of(path, text), Vec::<String>::new(), "{path} with {text:?}");
    }
}

#[test]
fn a_test_module_in_its_own_file_may_look_beside_itself() {
    let parent = source("src/codec/mod.rs", "#[cfg(test)]\nmod checks;\nmod plain;");
    let checks = source("src/codec/checks.rs", "use crate::runtime;");
    let deeper = source("src/codec/checks/more.rs", "use crate::registry;");
    let plain = source("src/codec/plain.rs", "use crate::runtime;");
    let found = slips(&[parent, checks, deeper, plain], &[]);
    assert!(matches!(found.as_slice(), [only] if only.starts_with("src/codec/plain.rs:1:")));
}

#[test]
fn a_room_without_a_layer_is_named_once() {
    let all = [source("src/sensor/mod.rs", ""), source("src/sensor/a.rs", "")];
    assert_eq!(slips(&all, &[]).len(), 1);
}

#[test]
fn a_drawer_is_refused_as_a_file_a_folder_and_a_module() {
    let found = |path: &str, text: &str| drawers(&source(path, text));
    assert!(found("src/http/utils.rs", "")[0].contains("`utils` is a drawer"));
    assert!(found("tests/it/common/mod.rs", "")[0].contains("`common`"));
    assert!(found("src/http/a.rs", "\npub mod misc {}")[0].starts_with("src/http/a.rs:2:"));
    assert!(found("src/http/a.rs", "mod commons; // mod misc\nfn helpers() {}").is_empty());
}

#[test]
fn dependencies_are_read_from_every_table_of_the_manifest() {
    let read = crates(MANIFEST);
    let pairs: Vec<String> = read.iter().map(|c| format!("{}={}", c.called, c.package)).collect();
    let wanted = "tract_onnx=tract_onnx log=log net=ureq arrow_ipc=arrow_ipc rayon=rayon \
                  store=rusqlite httparse=httparse";
    assert_eq!(pairs.join(" "), wanted);
}

#[test]
fn masking_keeps_every_line_where_it_was() {
    let text = "a /* b\n c */ d \"e\n f\" 'g' // h\nr\"i\" j";
    assert_eq!(masked(text).split_whitespace().collect::<String>(), "adj");
    assert_eq!(masked(text).lines().count(), text.lines().count());
    let lines: Vec<usize> =
        scan(&source("src/a.rs", "\n\nuse crate::{a,\nb};")).uses.iter().map(|u| u.line).collect();
    assert_eq!(lines, [3, 4]);
}
