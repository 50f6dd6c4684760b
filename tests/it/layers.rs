//! Holds the house in order: which room may use which, and which outside crate has which door.

use crate::sources::{self, Scan, Source, Use};

/// From the bottom up; a room uses only rooms of the layers before its own.
const LAYERS: [(&str, &[&str]); 4] = [
    ("words", &["random", "tensor", "pipeline", "oci", "fleet"]),
    ("hands", &["allocator", "clock", "logging", "exit", "disk", "http", "supervisor"]),
    ("crafts", &["codec", "registry", "runtime"]),
    ("programs", &["engine", "ops"]),
];

/// The only uses inside one layer: the first may use the second.
const SIDEWAYS: [(&str, &str); 7] = [
    ("pipeline", "oci"),    // a definition names its models by digest
    ("pipeline", "tensor"), // a schema is element types and shapes
    ("fleet", "oci"),       // an assignment is a reference
    ("logging", "clock"),   // a line begins with its time
    ("http", "clock"),      // deadlines
    ("http", "disk"),       // an answer may be in a file
    ("http", "logging"),    // one line a request
];

/// Outside crates, by how their names begin, and the only places that may use them.
const DOORS: [(&str, &[&str]); 23] = [
    ("tract", &["src/runtime"]),
    ("mimalloc", &["src/allocator"]),
    ("prost", &["src/runtime"]),
    ("ureq", &["src/http/client", "src/registry"]),
    ("rusqlite", &["src/ops/store"]),
    ("arrow", &["src/codec"]),
    ("parquet", &["src/codec/logs"]),
    ("flatbuffers", &["src/codec"]),
    ("httparse", &["src/http/server"]),
    (
        "ring",
        &[
            "src/registry/signature",
            "src/ops/sign",
            "src/ops/access",
            "src/ops/distribution/access/token",
            "src/engine/link", // an edge signs what it says
            "src/ops/fleet",   // and the ops center verifies it
            "benches/fleet",   // as a simulated one does
        ],
    ),
    ("rustls", &["src/http/client", "src/http/server"]),
    ("webpki", &["src/http/client"]),
    ("rustix", &["src/disk", "src/clock"]),
    ("socket2", &["src/http/server"]),
    ("tiny_http", &["benches/http_peers"]),
    ("rten", &["benches/runtime", "tests/conformance"]),
    ("rayon", &["src/runtime", "src/engine"]),
    ("clap", &["src/bin/ops.rs", "src/ops/cli"]),
    ("argon2", &["src/ops/access"]),
    ("flate2", &["src/ops/chart"]),
    ("tar", &["src/ops/chart", "src/ops/backup"]),
    ("indicatif", &["src/ops/cli"]),
    ("maud", &["src/ops/dashboard"]),
];

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 6] = ["utils", "util", "helpers", "helper", "common", "misc"];

#[test]
fn rooms_use_only_what_lies_below_them() {
    let crates = crates(&sources::text("Cargo.toml"));
    let found = slips(&rust_below("src"), &crates);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_module_is_a_drawer() {
    let all = ["src", "tests/it", "benches"].map(rust_below).into_iter().flatten();
    let found: Vec<String> = all.flat_map(|source| drawers(&source)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn no_limit_in_words_of_the_machine_needs_more_than_32_bits() {
    let limits: Vec<(String, u128)> = rust_below("src").iter().flat_map(limits_in_words).collect();
    assert!(limits.len() > 50, "only {} limits were found", limits.len());
    let found: Vec<_> = limits.iter().filter(|(_, value)| u32::try_from(*value).is_err()).collect();
    assert!(found.is_empty(), "on a processor of 32 bits these are cut: {found:?}");
}

/// Where the constants of type `usize` are and what they are, of those written as a product or a
/// shift of numbers.
fn limits_in_words(source: &Source) -> Vec<(String, u128)> {
    let number = |text: &str| text.trim().replace('_', "").parse::<u128>().ok();
    let product = |text: &str| text.split('*').map(number).product::<Option<u128>>();
    let lines = source.text.lines().enumerate().filter(|(_, line)| line.contains("const "));
    let values = lines.filter_map(|(at, line)| {
        let (_, value) = line.split_once(": usize = ")?;
        let mut terms = value.trim_end_matches(';').split("<<").map(product);
        let first = terms.next()??;
        let value = terms.try_fold(first, |left, by| left.checked_shl(u32::try_from(by?).ok()?));
        Some((format!("{}:{}", source.path, at + 1), value?))
    });
    values.collect()
}

fn rust_below(folder: &str) -> Vec<Source> {
    let mut found = sources::below(folder);
    found.retain(|source| source.path.ends_with(".rs"));
    found
}

/// An outside crate: as the code calls it, and as the registry does.
#[derive(Debug)]
struct Outside {
    called: String,
    package: String,
}

/// The dependencies that a Cargo.toml names, in whichever table and for whichever target.
fn crates(manifest: &str) -> Vec<Outside> {
    let mut found: Vec<Outside> = Vec::new();
    let mut table = String::new();
    let name = |text: &str| text.trim().trim_matches('"').replace('-', "_");
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']').to_owned();
            if let Some((kind, called)) = table.rsplit_once('.')
                && kind.ends_with("dependencies")
            {
                found.push(Outside { called: name(called), package: name(called) });
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if line.starts_with('#') {
            continue;
        }
        if table.ends_with("dependencies") {
            let called = name(key.split('.').next().unwrap_or(key));
            let renamed =
                value.split_once("package").and_then(|(_, after)| after.split('"').nth(1));
            let package = renamed.map_or_else(|| called.clone(), name);
            found.push(Outside { called, package });
        } else if table.contains("dependencies.")
            && name(key) == "package"
            && let Some(last) = found.last_mut()
        {
            last.package = name(value);
        }
    }
    found
}

/// Everything in the sources that leaves the house's order, as sentences with file and line.
fn slips(all: &[Source], crates: &[Outside]) -> Vec<String> {
    let scans: Vec<(&Source, Scan)> = all.iter().map(|one| (one, sources::scan(one))).collect();
    let test_modules: Vec<&Vec<String>> =
        scans.iter().flat_map(|(_, scan)| &scan.test_modules).collect();
    let mut found = Vec::new();
    let mut strangers: Vec<&str> = Vec::new();
    let rooms: Vec<Option<String>> = all.iter().map(|one| room_of(&one.path)).collect();
    for ((source, scan), room) in scans.iter().zip(&rooms) {
        let module = sources::module_of(&source.path);
        let test_file = test_modules.iter().any(|test| module.starts_with(test));
        let path = &source.path;
        if let Some(room) = room
            && layer(room).is_none()
            && !strangers.contains(&room.as_str())
        {
            strangers.push(room);
            found.push(format!(
                "{path}:1: the room `{room}` has no layer; give it one in LAYERS of \
                 tests/it/layers.rs and a line in ARCHITECTURE.md"
            ));
        }
        for used in &scan.uses {
            let line = used.line;
            let slip = match room {
                Some(room) if used.inside => room_slip(room, used, used.test || test_file),
                _ if !used.inside => door_slip(path, used, crates),
                _ => None,
            };
            found.extend(slip.map(|slip| format!("{path}:{line}: {slip}")));
        }
    }
    found
}

/// The room a file belongs to; the root of the library and the programs' mains are in none.
fn room_of(path: &str) -> Option<String> {
    let first = sources::module_of(path).into_iter().next()?;
    (first != "bin").then_some(first)
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, rooms)| rooms.contains(&room))
}

/// What is wrong with `from` using that path of our own crate.
fn room_slip(from: &str, used: &Use, test: bool) -> Option<String> {
    let to = used.path.first()?.as_str();
    if from == to {
        return None;
    }
    let here = layer(from)?;
    let spelt = format!("crate::{}", used.path.join("::"));
    let Some(there) = layer(to) else {
        return Some(if to == "*" {
            format!("`{from}` may not use everything (`{spelt}`); name the room it needs")
        } else {
            format!(
                "`{from}` may not use `{spelt}`: `{to}` is not a room with a layer; if it is one, \
                 give it a layer in tests/it/layers.rs, and if it is an item of lib.rs, move it \
                 into a room"
            )
        });
    };
    let layers = (LAYERS[here].0, LAYERS[there].0);
    let refused = format!("`{from}` may not use `{to}` (`{spelt}`)");
    if there < here || SIDEWAYS.contains(&(from, to)) {
        None
    } else if there > here {
        Some(format!(
            "{refused}: `{from}` is one of the {}, `{to}` one of the {}, and arrows point down; \
             move what both need into a lower room, or let the caller hand it in",
            layers.0, layers.1
        ))
    } else if layers.0 == "programs" {
        Some(format!(
            "{refused}: the two programs never use each other, tests included; put what they say \
             to each other into `fleet`"
        ))
    } else if test {
        None
    } else {
        Some(format!(
            "{refused}: both are {}, and rooms of one layer stay free of each other; let a \
             program bring them together, or move what both need one layer down",
            layers.0
        ))
    }
}

/// What is wrong with using that outside crate in this file.
fn door_slip(path: &str, used: &Use, crates: &[Outside]) -> Option<String> {
    let called = used.path.first()?;
    let outside = crates.iter().find(|outside| outside.called == *called)?;
    let (_, places) = DOORS.iter().find(|(begins, _)| outside.package.starts_with(begins))?;
    let within = |place: &&str| {
        let rest = path.strip_prefix(*place);
        rest.is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
    };
    (!places.iter().any(within)).then(|| {
        let package = &outside.package;
        let places = places.join("` and `");
        format!("`{package}` may be used only in `{places}`; ask that room for what you need")
    })
}

/// Modules of one file, and the file itself, whose names say nothing.
fn drawers(source: &Source) -> Vec<String> {
    let path = &source.path;
    let own = path.trim_end_matches(".rs").split('/').map(|part| (1, part.to_owned()));
    let declared = sources::scan(source).declared;
    let mut lines: Vec<(usize, String)> = own.chain(declared).collect();
    lines.retain(|(_, name)| DRAWERS.contains(&name.as_str()));
    lines
        .into_iter()
        .map(|(line, name)| {
            format!(
                "{path}:{line}: a module called `{name}` is a drawer; name it after the noun or \
                 verb that its content shares, and split it if there is none"
            )
        })
        .collect()
}

mod tests;
