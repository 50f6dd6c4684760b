//! A journal with real files: written, read, sent, cut at any byte, at its cap, and on a full disk.

mod crashes;

use super::queue::{BatchMax, Queue, Waiting};
use super::*;
use crate::clock::DeviceClock;
use crate::codec::journal::{Header, JsonLog, Origin, Rows, Shown, frames};
use crate::codec::{Dataset, InputFormat, decode};
use crate::pipeline::{Finding, Record};
use crate::random::Random;
use crate::tensor::{Data, ElementType, NamedTensor, Port, Tensor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;

const LONG: Duration = Duration::from_secs(60);

/// Power cuts in an ordinary run; `POTOROO_CUTS` asks for more.
const CUTS: u64 = 40;

fn settings(cap_bytes: u64) -> Settings {
    Settings { cap_bytes, sync_every: LONG, value_bytes_max: 1 << 20, page_rows: 1000 }
}

fn open(directory: &Path, cap_bytes: u64) -> Arc<Journal> {
    Journal::open(directory, settings(cap_bytes), Arc::new(DeviceClock)).unwrap()
}

/// An inference whose one input tells which it is, with so many values that repeat nothing.
fn inference(number: u64, values: usize) -> Inference<'static> {
    let port = Port { name: "x".into(), element: ElementType::F64, dimensions: vec![] };
    let mut random = Random::of(number);
    let mut row = vec![number as f64];
    row.extend((0..values).map(|_| random.next() as f64));
    let body = format!("[{{\"x\":{row:?}}}]");
    let input = decode(InputFormat::PandasRecords, body.into_bytes(), &[port], &[]).unwrap();
    let data = Data::F64(Cow::Owned(vec![number as f64 * 2.0]));
    let tensor = Tensor::new(vec![1, 1], data).unwrap();
    let failed = vec![number.is_multiple_of(3)];
    let record = Record {
        findings: vec![Finding { name: "third".into(), text: "out.y[0] > 0".into(), failed }],
        chosen: None,
        elapsed_ns: vec![number, 1],
        model_name: "m".into(),
        model_version: "v".into(),
        model_sha: "00".into(),
        outputs: vec![NamedTensor { name: "y".into(), tensor }],
        shadows: vec![],
        pipeline_name: "p".into(),
        pipeline_version: "pv".into(),
        time_ms: 1_700_000_000_000 + number,
    };
    let origin = Origin { pipeline: "p".into(), version: "pv".into(), digest: "sha256:0".into() };
    let bytes = input.bytes();
    let (origin, dropped, mono_ms) = (Cow::Owned(Arc::new(origin)), vec![], number);
    Inference { origin, record, input, dropped, mono_ms, is_counted_alone: false, bytes }
}

/// What a receiver has got of a journal.
#[derive(Debug, Default)]
struct Received {
    /// By sequence number: which inference it was.
    records: BTreeMap<u64, u64>,
    /// Sequence numbers that are lost, with the reason.
    lost: BTreeMap<u64, LossReason>,
    crashes: usize,
    next: u64,
}

impl Received {
    fn new() -> Received {
        Received { next: 1, ..Received::default() }
    }

    /// Takes all that is there, as an ops center would: in order, and without a gap.
    fn take_all(&mut self, journal: &Journal) {
        while let Some(batch) = journal.next_batch(300_000) {
            assert_eq!(batch.first, self.next, "a batch begins where the one before ended");
            for frame in frames(&batch.bytes) {
                self.take(&frame.unwrap());
            }
            assert!(batch.first < self.next, "a batch brings something on");
            journal.acknowledge(batch.journal, self.next);
        }
    }

    fn take(&mut self, frame: &crate::codec::journal::Frame<'_>) {
        assert_eq!(frame.header.first(), self.next, "{:?}", frame.header);
        self.next = frame.header.next();
        match &frame.header {
            Header::Loss(loss) if loss.count == 0 => {
                assert!(matches!(loss.reason, LossReason::Crash | LossReason::Start));
                self.crashes += usize::from(loss.reason == LossReason::Crash);
            }
            Header::Loss(loss) => {
                self.lost.extend((loss.first..self.next).map(|number| (number, loss.reason)));
            }
            Header::Records(_) => {
                let rows = Rows::read(frame).unwrap().unwrap();
                for place in 0..rows.len() {
                    let which = u64::try_from(rows.time_ms(place)).unwrap() - 1_700_000_000_000;
                    assert_eq!(rows.failures(place), u32::from(which.is_multiple_of(3)));
                    assert!(self.records.insert(rows.sequence(place), which).is_none());
                }
            }
            Header::Summary(_) => panic!("nobody asked for summaries"),
        }
    }

    fn inferences(&self) -> Vec<u64> {
        self.records.values().copied().collect()
    }
}

#[test]
fn what_is_recorded_is_sent_once_and_then_gone_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 16 << 20);
    (0..500).for_each(|number| journal.record(inference(number, 1000)));
    assert!(journal.flush(LONG));
    let state = journal.state();
    assert_eq!((state.waiting_records, state.recorded, state.lost_records()), (500, 500, 0));
    assert_eq!(state.oldest_ms, Some(1_700_000_000_000));
    assert!(1 << 20 < state.kept_bytes, "{state:?}");
    let again = journal.next_batch(1).unwrap();
    assert_eq!(again.bytes, journal.next_batch(1).unwrap().bytes, "not acknowledged, not passed");
    let mut received = Received::new();
    received.take_all(&journal);
    assert_eq!(received.inferences(), (0..500).collect::<Vec<_>>());
    assert!(received.lost.is_empty());
    let state = journal.state();
    assert_eq!((state.waiting_records, state.waiting_bytes), (0, 0));
    assert!(state.kept_bytes <= 2 << 20, "only the segment that is written stays: {state:?}");
    assert!(!journal.wait(Duration::ZERO));
    journal.record(inference(500, 1));
    assert!(journal.flush(LONG) && journal.wait(Duration::ZERO));
    received.take_all(&journal);
    assert_eq!(received.records.get(&501), Some(&500));
    journal.close();
}

#[test]
fn a_journal_that_was_closed_goes_on_and_one_that_was_not_tells_so() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 1 << 20);
    journal.record(inference(0, 1));
    journal.close();
    let journal = open(directory.path(), 1 << 20);
    assert!(!journal.state().crashed);
    journal.record(inference(1, 1));
    assert!(journal.flush(LONG));
    // The power goes: what is on the disk is all there is.
    let after = copied(directory.path());
    let cut = open(after.path(), 1 << 20);
    assert!(cut.state().crashed);
    cut.record(inference(2, 1));
    assert!(cut.flush(LONG));
    let mut received = Received::new();
    received.take_all(&cut);
    assert_eq!((received.inferences(), received.crashes), (vec![0, 1, 2], 1));
    assert!(cut.next_batch(1).is_none(), "a crash is told once");
    cut.close();
    journal.close();
}

/// The same files elsewhere, as a disk holds them when the power goes.
fn copied(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for journal in fs::read_dir(directory).unwrap() {
        let journal = journal.unwrap();
        let to = copy.path().join(journal.file_name());
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(journal.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    copy
}

/// The segments of the one journal in a directory, with their lengths.
fn segments(directory: &Path) -> BTreeMap<PathBuf, u64> {
    let journal = fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
    let files = fs::read_dir(&journal).unwrap().map(|file| file.unwrap());
    let files = files.filter(|file| file.file_name().to_string_lossy().ends_with(".seg"));
    files
        .map(|file| {
            let path = file.path().strip_prefix(directory).unwrap().to_owned();
            (path, file.metadata().unwrap().len())
        })
        .collect()
}

/// Numbers that follow from a seed, each time the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of a long run are to be read")]
fn no_power_cut_takes_what_was_synced_or_leaves_a_journal_that_cannot_be_read() {
    let cuts = std::env::var("POTOROO_CUTS").ok().and_then(|text| text.parse().ok());
    let mut kinds = BTreeMap::new();
    for seed in 0..cuts.unwrap_or(CUTS) {
        let mut dice = Dice(seed.wrapping_mul(77) + 5);
        let directory = tempfile::tempdir().unwrap();
        let journal = open(directory.path(), 1 << 20);
        let mut number = 0;
        let mut record = |journal: &Journal, dice: &mut Dice| {
            for _ in 0..1 + dice.below(12) {
                journal.record(inference(number, dice.below(2000) as usize));
                number += 1;
            }
            assert!(journal.flush(LONG));
            number
        };
        for _ in 0..dice.below(4) {
            record(&journal, &mut dice);
        }
        let safe = record(&journal, &mut dice);
        let before = segments(directory.path());
        let all = record(&journal, &mut dice);
        let after = copied(directory.path());
        let kind = damage(after.path(), &before, &mut dice);
        *kinds.entry(kind).or_insert(0) += 1;
        let cut = open(after.path(), 1 << 20);
        record(&cut, &mut dice);
        let mut received = Received::new();
        received.take_all(&cut);
        let found = received.inferences();
        let kept = found.iter().filter(|which| **which < all).count() as u64;
        let all_of = |range: std::ops::Range<u64>| range.collect::<Vec<_>>();
        assert_eq!(found[..safe as usize], all_of(0..safe), "seed {seed}, {kind}: of {all}");
        assert!(found.is_sorted(), "seed {seed}");
        assert_eq!(received.crashes, 1, "seed {seed}");
        // What was being written is whole, lost with its numbers, or cut off before it had any.
        let accounted = kept + received.lost.len() as u64;
        assert!(safe <= accounted && accounted <= all, "seed {seed}, {kind}: {received:?}");
        assert_eq!(cut.state().waiting_records, 0);
        cut.close();
        journal.close();
    }
    println!("power cuts by kind: {kinds:?}");
}

/// Does to the last write what a power cut may do to it.
fn damage(directory: &Path, before: &BTreeMap<PathBuf, u64>, dice: &mut Dice) -> &'static str {
    let after = segments(directory);
    let grown = |(path, bytes): (&PathBuf, &u64)| {
        let from = before.get(path).copied().unwrap_or(0);
        (from < *bytes).then(|| (directory.join(path), from, *bytes))
    };
    let grown: Vec<(PathBuf, u64, u64)> = after.iter().filter_map(grown).collect();
    // What was synced while the write went on is safe: only the last file is not.
    let (path, from, to) = grown.last().unwrap().clone();
    let at = from + dice.below(to - from);
    let mut bytes = fs::read(&path).unwrap();
    let kind = match dice.below(5) {
        0 => {
            bytes.truncate(at as usize);
            "truncated"
        }
        1 => {
            bytes[at as usize..].fill(0);
            "zeroes"
        }
        2 => {
            bytes[at as usize] ^= 1 << dice.below(8);
            "flipped"
        }
        3 => {
            let end = bytes.len().min(at as usize + 512);
            bytes[at as usize..end].fill_with(|| dice.below(256) as u8);
            "torn"
        }
        _ => {
            bytes.truncate(from as usize);
            bytes.extend((0..dice.below(5000)).map(|_| dice.below(256) as u8));
            "other bytes"
        }
    };
    fs::write(&path, bytes).unwrap();
    kind
}

#[test]
fn at_the_cap_the_oldest_go_and_each_is_told_to_be_lost() {
    const CAP: u64 = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), CAP);
    let mut most = 0;
    for number in 0..400 {
        journal.record(inference(number, 1000));
        if number % 10 == 9 {
            assert!(journal.flush(LONG));
            let bytes: u64 = segments(directory.path()).values().sum();
            most = most.max(bytes);
        }
    }
    assert!(CAP * 8 / 10 < most && most <= CAP, "{most}");
    let lost = journal.state().lost_records();
    let mut received = Received::new();
    received.take_all(&journal);
    assert_eq!(received.lost.len() as u64, lost);
    assert!(received.lost.values().all(|reason| *reason == LossReason::Cap));
    assert_eq!(received.inferences(), (lost..400).collect::<Vec<_>>());
    journal.close();
}

#[test]
fn a_full_disk_costs_what_it_does_not_take_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 1 << 20);
    let first = directory.path().join(journal.id().to_string()).join("0000000000000001.seg");
    std::os::unix::fs::symlink("/dev/full", &first).unwrap();
    (0..5).for_each(|number| journal.record(inference(number, 1)));
    assert!(journal.flush(LONG));
    assert_eq!(journal.state().lost[LossReason::Disk as usize], (LossReason::Disk, 5));
    // There is room again: the name that led to the full device is gone, and another file has it.
    assert!(first.symlink_metadata().unwrap().is_file());
    (5..9).for_each(|number| journal.record(inference(number, 1)));
    assert!(journal.flush(LONG));
    let mut received = Received::new();
    received.take_all(&journal);
    assert_eq!(received.inferences(), [5, 6, 7, 8]);
    assert_eq!(received.lost.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    journal.close();
}

#[test]
fn what_the_writer_has_taken_counts_until_it_is_on_the_disk() {
    let queue = Queue::new(LONG, BatchMax { rows: 1000, bytes: 1 << 20 });
    let large = |number| Inference { bytes: 8 << 20, ..inference(number, 1) };
    assert!(queue.push(large(0)) && queue.push(large(1)));
    let before = queue.load();
    let unsynced = queue.take();
    assert!(!unsynced.sync && queue.load() == before, "{:?}", queue.load());
    queue.done(&unsynced, false, Duration::ZERO);
    assert_eq!(queue.load(), before, "written, and not synced");
    queue.close();
    let synced = queue.take();
    assert!(synced.sync && queue.load() == before);
    queue.done(&synced, false, Duration::ZERO);
    assert_eq!(queue.load(), (0, 0));
}

#[test]
fn a_queue_that_is_full_takes_nothing_and_counts_it() {
    let queue = Queue::new(LONG, BatchMax { rows: 1000, bytes: 1 << 20 });
    let large = |number| Inference { bytes: 8 << 20, ..inference(number, 1) };
    assert!(queue.push(large(0)) && queue.push(large(1)));
    assert!(queue.admits(), "nothing has been lost yet");
    assert!(!queue.push(large(2)));
    assert!(!queue.admits(), "the next one is not even made ready");
    let taken = queue.take();
    assert_eq!((taken.waiting.len(), taken.lost), (2, 2));
    assert!(queue.admits() && queue.push(large(4)), "what was taken makes room");
}

#[test]
fn what_is_alike_waits_in_one_run_and_what_differs_as_it_came() {
    let rows = 3;
    let queue = Queue::new(LONG, BatchMax { rows, bytes: 1 << 20 });
    let mut other = inference(5, 1);
    other.record.model_name = "n".into();
    let all = (0..5).map(|number| inference(number, 1)).chain([other, inference(6, 1)]);
    all.for_each(|inference| assert!(queue.push(inference)));
    assert_eq!(queue.load().0, 7);
    queue.close();
    let taken = queue.take().waiting;
    let found = taken.iter().map(|it| match it {
        Waiting::Run(run) => Some(run.records()),
        Waiting::One(_) => None,
    });
    // Nothing is put before what came earlier, so that the last stands alone, too.
    assert_eq!(found.collect::<Vec<_>>(), [Some(3), Some(2), None, None]);
}

#[test]
fn a_writer_rests_for_as_long_as_its_work_was_dear_unless_somebody_waits() {
    let queue = Queue::new(LONG, BatchMax { rows: 1000, bytes: 1 << 20 });
    let large = |number| Inference { bytes: 2 << 20, ..inference(number, 1) };
    assert!(queue.push(large(0)));
    let taken = queue.take();
    // An hour of CPU time is a rest of as long as an inference may wait at most.
    queue.done(&taken, false, Duration::from_secs(3600));
    assert!(queue.push(large(1)));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let taken = queue.take();
            let found = (taken.waiting.len(), taken.sync);
            queue.done(&taken, false, Duration::ZERO);
            found
        });
        // It would take at once, were it not resting.
        assert!(queue.flush(LONG));
        assert_eq!(writer.join().unwrap(), (1, true));
    });
}

#[test]
fn a_loss_stands_where_the_lost_would_have() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 1 << 20);
    journal.record(inference(0, 1));
    assert!(journal.flush(LONG));
    // One whose bytes are more than the queue ever takes.
    journal.record(Inference { bytes: 1 << 30, ..inference(1, 1) });
    journal.record(inference(2, 1));
    assert!(journal.flush(LONG));
    let mut received = Received::new();
    received.take_all(&journal);
    assert_eq!(received.inferences(), [0, 2]);
    assert_eq!(received.lost.values().collect::<Vec<_>>(), [&LossReason::Queue]);
    journal.close();
}

#[test]
fn inferences_that_are_counted_alone_leave_no_row_and_keep_their_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 1 << 20);
    journal.record(inference(0, 1));
    for number in 1..5 {
        journal.record(Inference { is_counted_alone: true, ..inference(number, 1) });
    }
    journal.close();
    let journal = open(directory.path(), 1 << 20);
    let batch = journal.next_batch(1 << 20).unwrap();
    let headers: Vec<Header> = frames(&batch.bytes).map(|it| it.unwrap().header).collect();
    let [Header::Records(rows), Header::Summary(summary)] = headers.as_slice() else {
        panic!("{headers:?}")
    };
    assert_eq!((rows.first, rows.count), (1, 1));
    assert_eq!((summary.first, summary.count, summary.failures), (2, 4, 1));
    assert_eq!(journal.reading().survey().rows, 1);
    journal.close();
}

#[test]
fn pages_give_each_row_once_in_either_order() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), 4 << 20);
    for number in 0..57 {
        journal.record(inference(number, 700));
        if number % 5 == 0 {
            assert!(journal.flush(LONG));
        }
    }
    assert!(journal.flush(LONG));
    let dataset = Dataset::parse(Some("dataset[]=time")).unwrap();
    for order in [Order::Ascending, Order::Descending] {
        let (mut from, mut times, mut pages) = (None, Vec::new(), 0);
        loop {
            let mut log = JsonLog::list();
            let asked = Asked { order, from, rows_max: 7 };
            let page = journal.reading().page(asked, &mut |rows: &Rows, places: &[usize]| {
                log.push(Shown { rows, places, partition: "", shift_ms: 0 }, &dataset)?;
                Ok(Wants::More)
            });
            let page = page.unwrap();
            let rows: Vec<serde_json::Value> = serde_json::from_slice(&log.finish()).unwrap();
            times.extend(rows.iter().map(|row| row["time"].as_u64().unwrap() - 1_700_000_000_000));
            pages += 1;
            if page.ending.is_all() {
                break;
            }
            from = page.next.map(|cursor| cursor.to_string().parse().unwrap());
        }
        if order == Order::Descending {
            times.reverse();
        }
        assert_eq!(times, (0..57).collect::<Vec<_>>(), "{order:?}");
        assert_eq!(pages, 9, "{order:?}");
    }
    journal.close();
}
