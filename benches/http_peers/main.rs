//! HTTP: our server and tiny_http 0.12 through the same faults and the same load, side by side.
//!
//! `cargo bench --bench http_peers`. Each fault meets a fresh process of each server; the load is
//! interleaved. It re-examines the decision for a server of our own, in ARCHITECTURE.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]
#![allow(unreachable_pub, reason = "nothing of a bench is reached from outside")]

use std::panic::catch_unwind;

#[allow(dead_code, reason = "the tests of the engine need more of it")]
#[path = "../../tests/it/faults/client.rs"]
mod client;
mod faults;
mod load;
mod peer;

use peer::{PEERS, Peer};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(name) = arguments.iter().skip_while(|word| *word != "--serve").nth(1) {
        return peer::serve(name);
    }
    // A failed fault is a panic whose message is the verdict.
    std::panic::set_hook(Box::new(|_| {}));
    println!("{:<58} {:<28} {}", "fault", PEERS[0], PEERS[1]);
    for (name, limits, fault) in faults::FAULTS {
        let [ours, theirs] = PEERS.map(|peer| verdict(peer, limits, fault));
        println!("{name:<58} {ours:<28} {theirs}");
    }
    load::compare();
}

/// "ok", or what went wrong first.
fn verdict(name: &str, limits: &str, fault: fn(&Peer)) -> String {
    let outcome = catch_unwind(|| {
        let peer = Peer::start(name, limits);
        fault(&peer);
        peer.is_well();
    });
    let Err(panic) = outcome else { return "ok".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let first = text.unwrap_or_default();
    format!("FAILS: {}", first.lines().next().unwrap_or_default())
}
