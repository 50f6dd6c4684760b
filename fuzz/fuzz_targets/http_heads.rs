//! Any bytes as a whole connection: what is understood must not hang on how they arrive.
#![no_main]

mod say;

use libfuzzer_sys::fuzz_target;
use potoroo::http::server::trial::{Bodies, converse};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (one, other, bytes) = input;
    let whole = say::in_every_way(bytes, &[one, other]);
    // A body that nobody reads never brings another request.
    let unread = converse(bytes, &[one], Bodies::Unread);
    let heads = |heard: &[String]| -> Vec<String> {
        heard.iter().map(|line| say::head(line).to_owned()).collect()
    };
    assert!(heads(&whole.heard).starts_with(&heads(&unread.heard)), "{whole:?} {unread:?}");
});
