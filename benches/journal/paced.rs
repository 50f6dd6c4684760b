//! A load at a pace: requests go when their time has come, whether or not the ones before were quick.

use crate::load::{Client, Load};
use std::time::{Duration, Instant};

/// Asks `per_second` times a second in all, from so many connections, for `time`.
///
/// A connection that falls behind asks at once until it has caught up; its latencies count from one
/// interval after their time then, so that waiting for a slow answer is part of them.
pub(crate) fn run(
    address: &str,
    request: &[u8],
    connections: usize,
    per_second: f64,
    time: Duration,
) -> Load {
    let interval = Duration::from_secs_f64(connections as f64 / per_second);
    let client = |place: usize| {
        let (mut client, mut latencies) = (Client::new(address), Vec::new());
        client.ask(request);
        let start = Instant::now();
        let mut due = start + interval.mul_f64(place as f64 / connections as f64);
        while due < start + time {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            // A sleep ends late by what the machine's timer is: that is not the engine's.
            let asked = Instant::now().min(due + interval);
            client.ask(request);
            latencies.push(asked.elapsed());
            due += interval;
        }
        (latencies, start.elapsed())
    };
    let client = &client;
    let done: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..connections).map(|place| scope.spawn(move || client(place))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let took = done.iter().map(|(_, took)| *took).max().unwrap();
    let mut latencies: Vec<Duration> =
        done.into_iter().flat_map(|(latencies, _)| latencies).collect();
    latencies.sort_unstable();
    Load { latencies, took }
}
