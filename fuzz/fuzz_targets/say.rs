//! What each HTTP target does with a client's bytes: they arrive in several ways, and mean the same.

#![allow(dead_code, reason = "each target takes what it needs")]

use potoroo::http::server::trial::{Bodies, Outcome, converse};

/// What is understood of `bytes`, however they are cut and the bodies are read.
pub fn in_every_way(bytes: &[u8], cuts: &[u8]) -> Outcome {
    let whole = converse(bytes, &[], Bodies::Whole);
    assert_eq!(whole, converse(bytes, cuts, Bodies::Whole), "cut by {cuts:?}");
    let part = 1 + usize::from(cuts[0]);
    assert_eq!(whole, converse(bytes, cuts, Bodies::Parts(part)), "read by {part}");
    whole
}

/// What was heard without the body behind it.
pub fn head(line: &str) -> &str {
    line.split(" framing: ").next().unwrap_or_default()
}
