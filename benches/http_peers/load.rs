//! Load: processor time of the server for each request, and how many connections are answered.

use crate::peer::{PEERS, Peer};
use std::time::{Duration, Instant};

/// Rounds of each peer at each number of connections, one peer after the other.
const ROUNDS: usize = 5;

/// How long one round lasts; at least as long as an unanswered client waits.
const ROUND: Duration = Duration::from_secs(2);

struct Round {
    requests: u64,
    answered: usize,
    processor_us: f64,
}

/// One figure of all rounds.
type Show = fn(&mut [Round]) -> String;

/// Prints the medians side by side.
pub fn compare() {
    println!("\n{:<58} {:<28} {}", "GET, answer of 6 bytes, keep-alive", PEERS[0], PEERS[1]);
    for connections in [1, 16] {
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (name, rounds) in PEERS.iter().zip(&mut rounds) {
                rounds.push(round(&Peer::start(name, "true"), connections));
            }
        }
        let figures: [(&str, Show); 3] = [
            ("CPU us a request", processor),
            ("requests a second", rate),
            ("of them answered", answered),
        ];
        for (what, show) in figures {
            let [ours, theirs] = rounds.each_mut().map(|rounds| show(rounds));
            println!("{:<58} {ours:<28} {theirs}", format!("{connections} connections: {what}"));
        }
    }
}

fn processor(rounds: &mut [Round]) -> String {
    rounds.sort_by(|one, other| one.processor_us.total_cmp(&other.processor_us));
    let last = rounds.len() - 1;
    let [least, middle, most] = [0, last / 2, last].map(|at| rounds[at].processor_us);
    format!("{middle:.1} ({least:.1} to {most:.1})")
}

fn rate(rounds: &mut [Round]) -> String {
    rounds.sort_by_key(|round| round.requests);
    format!("{:.0}", rounds[rounds.len() / 2].requests as f64 / ROUND.as_secs_f64())
}

fn answered(rounds: &mut [Round]) -> String {
    rounds.sort_by_key(|round| round.answered);
    format!("{} (worst {})", rounds[rounds.len() / 2].answered, rounds[0].answered)
}

fn round(peer: &Peer, connections: usize) -> Round {
    let before = peer.processor_time();
    let begun = Instant::now();
    let counts: Vec<u64> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| ask(peer, begun + ROUND))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let requests: u64 = counts.iter().sum();
    let spent = peer.processor_time() - before;
    let processor_us = spent.as_secs_f64() * 1e6 / requests.max(1) as f64;
    Round { requests, answered: counts.iter().filter(|count| **count > 0).count(), processor_us }
}

/// Asks again and again until then, and counts the answers. A connection that the server ends after
/// some answers is replaced; one without any is not.
fn ask(peer: &Peer, until: Instant) -> u64 {
    let mut count = 0;
    while Instant::now() < until {
        let mut client = peer.connect();
        client.patience(ROUND);
        let before = count;
        while Instant::now() < until {
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            match client.next() {
                Some(_) => count += 1,
                None => break,
            }
        }
        if count == before {
            break;
        }
    }
    count
}
