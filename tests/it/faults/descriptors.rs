//! A process without descriptors left: served meanwhile, quiet meanwhile, and well afterwards.

use super::*;

/// Fewer than the clients that come.
const FEW: &str = "ulimit -n 64";

#[test]
fn descriptors_that_run_out_over_idle_connections() {
    let subject = Subject::start_after(FEW);
    let idle: Vec<Client> = (0..80).map(|_| subject.connect()).collect();
    subject.serves();
    drop(idle);
    subject.is_well();
}

#[test]
fn descriptors_that_run_out_for_seconds() {
    let mut subject = Subject::start_after(FEW);
    let before = subject.processor_time();
    let mut busy: Vec<Client> = (0..80).map(|_| subject.connect()).collect();
    for client in &mut busy {
        client.send(infer("Content-Length: 100\r\n", "["));
    }
    // None of them may be pushed aside, so it lasts until the first is given up as too slow.
    let begun = Instant::now();
    assert_eq!(busy[0].answer().0, 408);
    let (lasted, spent) = (begun.elapsed(), subject.processor_time() - before);
    assert!(lasted > Duration::from_secs(2), "it lasted for {lasted:?} only");
    assert!(spent < lasted / 5, "{spent:?} of processor time in {lasted:?}");
    drop(busy);
    subject.is_well();
    let lines = subject.engine.process.seen().iter().filter(|line| line.contains("accepting"));
    assert!((1..=2).contains(&lines.count()), "it is said, and not again and again");
}

#[test]
fn descriptors_that_run_out_while_nobody_reads_the_log() {
    // The shell's own reader takes the first lines and leaves; from then on writing is an error.
    let words = "mkfifo \"$POTOROO_PERSIST/log\" && \
                 { sed '/msg=ready/q' < \"$POTOROO_PERSIST/log\" & } && \
                 exec 2> \"$POTOROO_PERSIST/log\" && ulimit -n 64";
    let subject = Subject::start_after(words);
    let idle: Vec<Client> = (0..80).map(|_| subject.connect()).collect();
    subject.serves();
    drop(idle);
    subject.is_well();
}
