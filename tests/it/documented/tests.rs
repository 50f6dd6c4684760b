//! Made-up documents that disagree with made-up sources, each caught.

use super::{FILE_LINES_MAX, head_slip, map_slips, settings_slip, size_slip};
use crate::sources::Source;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn a_head_that_is_not_one_sentence_is_refused() {
    let cases = [
        ("src/a.rs", "use std::fmt;\n", "a.rs:1: no `//!` line"),
        ("src/a.rs", "\n//! Late.\n", "a.rs:1: no `//!` line"),
        ("src/a.rs", "//!\n//! Empty.\n", "a.rs:1: no `//!` line"),
        ("src/a.rs", "//! No stop\n", "a.rs:1: the first `//!` paragraph has no full stop"),
        ("src/a.rs", "//! No stop\n//! on two\n\nfn f() {}", "a.rs:2: the first"),
        ("src/a.rs", "//! One. Two.\n", "(`Two.`)"),
        ("src/a.rs", "//! One (in brackets.)\n//! `two` is code.\n", "(``two``)"),
        ("src/lib.rs", "//! One! Two.\n", "(`Two.`)"),
        ("src/a.rs", "//! One.\n//!\n//! Two.\n", "a.rs:2: a second"),
        ("src/a.rs", "//! One.\n\n//! Two.\n", "a.rs:3: a second"),
        ("src/http/server/head.rs", "//! One.\n//!\n//! Two.\n", "head.rs:2: a second"),
    ];
    for (path, text, wanted) in cases {
        let found = head_slip(&source(path, text)).unwrap_or_default();
        assert!(found.contains(wanted), "{path} with {text:?}: {found:?}, not {wanted:?}");
    }
}

#[test]
fn a_head_of_one_sentence_is_left_alone() {
    let cases = [
        ("src/a.rs", "//! One, e.g. This, in version 1.5 of `a.b`.\n\nuse std::fmt;\n"),
        ("src/a.rs", "//! One that\n//! wraps.\n#![allow(x, reason = \"y\")]\n"),
        ("src/lib.rs", "//! One.\n//!\n//! Two. Three.\n"),
        ("src/http/server/mod.rs", "//! One.\n//!\n//! Two.\n"),
        ("src/a.rs", "//! One.\n\nmod inner {\n    //! Its own.\n}\n"),
        ("src/page.html", "<p>"),
    ];
    for (path, text) in cases {
        assert_eq!(head_slip(&source(path, text)), None, "{path} with {text:?}");
    }
}

#[test]
fn a_file_over_the_limit_is_refused() {
    let (full, over) = ("x\n".repeat(FILE_LINES_MAX), "x\n".repeat(FILE_LINES_MAX + 1));
    assert_eq!(size_slip(&source("src/a.rs", &full)), None);
    assert!(size_slip(&source("src/a.rs", &over)).unwrap().starts_with("src/a.rs:501: 501 lines"));
    assert_eq!(size_slip(&source("tests/it/data.json", &over)), None);
}

#[test]
fn the_map_and_the_tree_have_to_agree() {
    let files = ["src/lib.rs", "src/clock.rs", "src/http/mod.rs"].map(str::to_owned);
    let map = "# Map\n- `src/lib.rs`: flow.\n- `src/clock.rs`: time.\n- `src/http/mod.rs`: a door to `src/http/`.\n";
    assert_eq!(map_slips(map, &files), Vec::<String>::new());

    // What changes in the map, and what must be said about it.
    let cases = [
        (": flow.", ": flow of `src/gone.rs`.", "ARCHITECTURE.md:2: `src/gone.rs` is a ghost"),
        (": time.", ": time, `src/clock.rs:12`.", "`src/clock.rs:12` is a ghost"),
        ("- `src/clock.rs`: time.", "`src/clock.rs` in passing", "src/clock.rs:1: a stranger"),
        (": time.", ":", "ARCHITECTURE.md:3: say what `src/clock.rs` is for"),
        (": flow.", ": flow.\n- `src/lib.rs`: again.", "`src/lib.rs` has a line already"),
        (" to `src/http/`.", ".", "the room `http` is not named"),
    ];
    for (old, new, wanted) in cases {
        let found = map_slips(&map.replacen(old, new, 1), &files);
        let good = matches!(found.as_slice(), [only] if only.contains(wanted));
        assert!(good, "{new:?}: {found:?}, not {wanted:?}");
    }
}

#[test]
fn the_table_of_settings_has_to_agree() {
    let wanted = [["DEBUG", "false", "More | less."], ["URL", "", "Where."]];
    let wanted = wanted.map(|row| row.map(str::to_owned));
    let table = "text\n\n| Setting | Default | Meaning |\n|---|---|---|\n| `DEBUG` | `false` | More \\| less. |\n| `URL` | | Where. |\n\nmore\n";
    assert_eq!(settings_slip(table, &wanted), None);

    let changes = [
        ("`false`", "`true`"),                         // another default
        ("Where.", "There."),                          // another meaning
        ("| `URL` | | Where. |\n", ""),                // one missing
        ("\n\nmore", "\n| `OLD` | | Gone. |\n\nmore"), // one too many
        ("Setting", "Name"),                           // no such table
    ];
    for (old, new) in changes {
        let slip = settings_slip(&table.replacen(old, new, 1), &wanted).unwrap_or_default();
        assert!(slip.starts_with("README.md:"), "{old:?} to {new:?}: {slip:?}");
        // The message is the cure: what it prints passes.
        let (_, cure) = slip.split_once("\n\n").unwrap();
        assert_eq!(settings_slip(cure, &wanted), None);
    }
}
