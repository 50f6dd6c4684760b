//! Scripted conversations: however a client's bytes are cut, they mean the same, damaged or not.

use super::super::trial::{Bodies, Outcome, converse};
use crate::random::Random;

/// Good conversations with everything in them that has a meaning.
const GOOD: [&str; 4] = [
    "POST /a?b=c HTTP/1.1\r\nHost: a:8080\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n00a\r\n, 12345678\r\n0\r\nA: b\r\n\r\nHEAD /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /c HTTP/1.0\r\n\r\n",
    "\r\nOPTIONS * HTTP/1.1\r\nHost:\r\n\r\nPUT http://a:1/x HTTP/1.1\r\nHost: b\r\ncontent-length:  3\t\r\nX: \u{e4}\r\n\r\nabc\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /4 HTTP/2.0\r\n\r\n",
];

/// Changes, puts in, takes out or says twice, one to four times over.
fn hurt(random: &mut Random, bytes: &mut Vec<u8>) {
    const WEIGHTY: &[u8] = b"\r\n\r\n :,;0159afx\t\0\x7f\xff/?*#[]@";
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let byte = WEIGHTY[random.below(WEIGHTY.len())];
        match random.below(5) {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.insert(at, byte),
            3 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {
                let end = (at + random.below(40)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
}

/// What these bytes mean, which must not hang on how they arrive or are read.
fn meaning(bytes: &[u8], cuts: &[u8]) -> Outcome {
    let whole = converse(bytes, &[], Bodies::Whole);
    let shown = String::from_utf8_lossy(bytes);
    for cuts in [&[0][..], cuts] {
        assert_eq!(converse(bytes, cuts, Bodies::Whole), whole, "cut {cuts:?}: {shown:?}");
    }
    assert_eq!(converse(bytes, cuts, Bodies::Parts(3)), whole, "in parts: {shown:?}");
    whole
}

#[test]
fn good_conversations_are_understood_whole() {
    let heard = GOOD.map(|bytes| meaning(bytes.as_bytes(), &[6, 2, 40]));
    let counts = heard.each_ref().map(|outcome| outcome.heard.len());
    assert_eq!(counts, [2, 3, 3, 4], "{heard:#?}");
    assert!(heard[1].heard[0].ends_with(r#" "hello, 12345678""#), "{:?}", heard[1]);
    assert_eq!(heard[3].heard[3], "Version");
}

#[test]
fn every_prefix_of_a_conversation_means_the_same_however_it_is_cut() {
    for good in GOOD {
        for end in 0..good.len() {
            meaning(&good.as_bytes()[..end], &[3]);
        }
    }
}

#[test]
fn no_damage_to_a_conversation_changes_what_its_cuts_mean() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut heard = 0;
    for _ in 0..2_000 {
        for good in GOOD {
            let mut bytes = good.as_bytes().to_vec();
            hurt(&mut random, &mut bytes);
            let cuts = [random.below(9) as u8, random.below(80) as u8];
            heard += meaning(&bytes, &cuts).heard.len();
        }
    }
    assert!(heard > 8_000, "{heard}: not much was left");
}

#[test]
fn a_body_that_nobody_reads_never_brings_another_request() {
    let mut random = Random(7);
    let heads = |outcome: Outcome| -> Vec<String> {
        let head = |line: String| line.split(" }").next().map(str::to_owned).unwrap_or_default();
        outcome.heard.into_iter().map(head).collect()
    };
    for _ in 0..2_000 {
        for good in GOOD {
            let mut bytes = good.as_bytes().to_vec();
            hurt(&mut random, &mut bytes);
            let cuts = [random.below(9) as u8];
            let read = heads(converse(&bytes, &[], Bodies::Whole));
            let unread = heads(converse(&bytes, &cuts, Bodies::Unread));
            let shown = String::from_utf8_lossy(&bytes);
            assert!(read.starts_with(&unread), "{unread:?} of {read:?} in {shown:?}");
        }
    }
}
