//! Logs from a device's frames to pages and files: once, in order, and whole after a kill at any byte.

use super::*;
use crate::codec::Dataset;
use crate::codec::journal::{
    Batch, Entry, Gathered, Header, Loss, LossReason, Origin, Stamp, encode,
};
use crate::codec::logs::{LogFormat, write_log_rows};
use crate::fleet::Id;
use crate::ops::store::{LogOrder, LogsAsked, NewEdge, NewPipelineVersion, NewPublish, User};
use crate::pipeline::{Finding, Record};
use crate::tensor::{Column, Data, NamedTensor, RowShape, Table, Tensor};
use serde_json::Value;
use std::borrow::Cow;
use std::io::Read;
use tempfile::TempDir;

const VERSION: &str = "3148ada5-285a-4fca-b3b8-b50a48d7511b";
const BOOT: &str = "5b3a1c0e-7e7b-4d0c-9f63-0d3c4b1f0a11";
const ANOTHER: &str = "00000000-7e7b-4d0c-9f63-0d3c4b1f0a11";
const NOON: i64 = 1_795_867_200_000;
const KEPT: LogsKept = LogsKept { days: 7, bytes: 1 << 30, edge_bytes_per_s: 8 << 20 };

struct Stage {
    logs: Logs,
    store: Arc<Store>,
    pipeline: i64,
    home: TempDir,
}

impl Stage {
    fn new() -> Stage {
        let home = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&home.path().join("records.db")).unwrap());
        let pipeline = store.write(|tx| {
            let (id, email) = ("ann".to_owned(), "ann@example.com".to_owned());
            tx.add_user(
                &User { id, email, is_admin: false, is_enabled: true, created_ms: 1 },
                None,
            )?;
            let workspace = tx.add_workspace("ann's", "ann", 1)?;
            let pipeline = tx.pipeline_named(workspace, "fraud", "ann", 1)?;
            let version_id = tx.add_pipeline_version(&NewPipelineVersion {
                pipeline,
                version: VERSION,
                definition: "{}",
                config: "{}",
                by: "ann",
                now_ms: 1,
            })?;
            let publish_id = tx.add_publish(&NewPublish {
                version_id,
                by: "ann",
                engine_config: "{}",
                replaces: &[],
                now_ms: 1,
            })?;
            for name in ["till-1", "till-2"] {
                tx.add_edge(&NewEdge {
                    id: name,
                    name,
                    publish_id,
                    tags: &[],
                    cpus: 1.0,
                    memory: "1Gi",
                    by: "ann",
                    now_ms: 1,
                })?;
            }
            Ok::<_, StoreError>(pipeline)
        });
        let logs = Logs::open(&home.path().join("logs"), store.clone(), KEPT).unwrap();
        Stage { logs, store, pipeline: pipeline.unwrap(), home }
    }

    /// The same directory after a stop, or a kill: nothing is done at a stop that a kill leaves out.
    fn again(self) -> Stage {
        let Stage { logs, store, pipeline, home } = self;
        drop(logs);
        let logs = Logs::open(&home.path().join("logs"), store.clone(), KEPT).unwrap();
        Stage { logs, store, pipeline, home }
    }

    fn send(&self, edge: &str, frames: &[Vec<u8>]) -> Result<u64, TakeError> {
        let contact = Clocks { boot: BOOT.parse().unwrap(), mono_ms: 1_000_000, center_ms: NOON };
        let delivery = Delivery { edge: edge.to_owned(), contact, body: frames.concat() };
        self.logs.take(delivery).map(|taken| taken.next)
    }

    fn asked(&self) -> LogsAsked {
        LogsAsked {
            pipeline: self.pipeline,
            edges: Vec::new(),
            version: None,
            is_failures: false,
            is_summary: false,
            from_ms: None,
            until_ms: None,
            order: LogOrder::Ascending,
            after: None,
            newest: None,
        }
    }

    /// All rows, page by page, and the words that the pages ended with.
    fn pages(&self, logs: &LogsAsked, rows_max: usize) -> (Vec<Value>, Vec<&'static str>) {
        let (mut rows, mut words) = (Vec::new(), Vec::new());
        let mut cursor = None;
        loop {
            let asked = PageAsked { logs: logs.clone(), rows_max, cursor };
            let page = page(&self.logs, &asked).unwrap();
            let text = write_log_rows(page.rows.as_ref(), &Dataset::default()).unwrap();
            let found: Vec<Value> = serde_json::from_slice(&text).unwrap();
            assert!(found.len() <= rows_max);
            rows.extend(found);
            words.push(page.status.word());
            match page.cursor {
                Some(next) if page.status.word() != "All" => cursor = Some(next),
                Some(_) | None => return (rows, words),
            }
        }
    }

    /// The first value of each row, which says which record it is.
    fn values(&self, logs: &LogsAsked) -> Vec<i64> {
        let (rows, _) = self.pages(logs, 1000);
        rows.iter().map(|row| row["in"]["tensor"][0].as_f64().unwrap() as i64).collect()
    }

    fn exported(&self, format: LogFormat) -> Vec<u8> {
        let mut bytes = Vec::new();
        let asked = ExportAsked { logs: self.asked(), format };
        exported(&self.logs, asked).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }
}

fn journal(digit: u8) -> Id {
    format!("{digit:08x}-0000-4000-8000-000000000000").parse().unwrap()
}

/// A frame of one-row records: `first` has the value `first`, and was at that second of noon.
fn frame(journal: &Id, first: u64, count: u64) -> Vec<u8> {
    frame_of(journal, first, count, 2, NOON.unsigned_abs())
}

fn frame_of(journal: &Id, first: u64, count: u64, width: usize, wall_ms: u64) -> Vec<u8> {
    let origin = Arc::new(Origin {
        pipeline: "fraud".to_owned(),
        version: VERSION.to_owned(),
        digest: "sha256:00".to_owned(),
    });
    let mut gathered: Option<Gathered> = None;
    for number in first..first + count {
        let values = vec![number as f32; width];
        let column = Column {
            name: "tensor".into(),
            row_shape: RowShape::Told(vec![width]),
            data: Data::F32(Cow::Owned(values)),
        };
        let input = Table::new(1, vec![column]).unwrap();
        let output = Data::F32(Cow::Owned(vec![0.5]));
        let record = Record {
            findings: vec![Finding {
                name: "tenth".into(),
                text: "in.tensor[0] = 10".into(),
                failed: vec![number % 10 == 0],
            }],
            chosen: None,
            shadows: vec![],
            elapsed_ns: vec![1, 2],
            model_name: "m".into(),
            model_version: "v".into(),
            model_sha: "ab".into(),
            outputs: vec![NamedTensor {
                name: "score".into(),
                tensor: Tensor::new(vec![1, 1], output).unwrap(),
            }],
            pipeline_name: "fraud".into(),
            pipeline_version: VERSION.into(),
            time_ms: wall_ms + number,
        };
        let mono_ms = 1_000_000 + number;
        let entry =
            Entry { origin: &origin, record: &record, input: &input, dropped: &[], mono_ms };
        match &mut gathered {
            None => gathered = Some(Gathered::new(&entry).unwrap()),
            Some(gathered) => assert!(gathered.add(&entry).unwrap()),
        }
    }
    let stamp = Stamp { journal: *journal, first, boot: BOOT.parse().ok(), engine: "0.1.0" };
    gathered.unwrap().frame(stamp).unwrap()
}

fn loss(journal: &Id, first: u64, count: u64) -> Vec<u8> {
    let (journal, boot) = (*journal, BOOT.parse().ok());
    let loss =
        Loss { journal, first, count, reason: LossReason::Cap, boot, ms: 1, mono_ms: 1_000_000 };
    encode(&Header::Loss(loss), &[]).unwrap()
}

#[test]
fn what_comes_twice_counts_once_and_edges_do_not_mix() {
    let stage = Stage::new();
    let (one, two) = (journal(1), journal(2));
    assert_eq!(stage.send("till-1", &[frame(&one, 1, 3), frame(&one, 4, 2)]).unwrap(), 6);
    assert_eq!(stage.send("till-1", &[frame(&one, 1, 3)]).unwrap(), 6);
    assert_eq!(stage.send("till-1", &[frame(&one, 4, 2), frame(&one, 6, 1)]).unwrap(), 7);
    // Cut in another way, as no device of ours does it: only what is new counts.
    assert_eq!(stage.send("till-1", &[frame(&one, 5, 4)]).unwrap(), 9);
    assert_eq!(stage.send("till-2", &[frame(&two, 1, 2)]).unwrap(), 3);
    assert_eq!(stage.send("till-2", &[frame(&one, 1, 1)]).unwrap(), 2);
    assert_eq!(stage.values(&stage.asked()), [1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]);
    let of_one = LogsAsked { edges: vec!["till-1".to_owned()], ..stage.asked() };
    assert_eq!(stage.values(&of_one), [1, 2, 3, 4, 5, 6, 7, 8]);
    let (rows, _) = stage.pages(&of_one, 10);
    assert_eq!(rows[0]["metadata"]["partition"], "till-1");
    assert_eq!(rows[0]["metadata"]["time_source"], "device");
    assert_eq!(rows[0]["metadata"]["pipeline_version"], VERSION);
    assert_eq!(rows[0]["time"], NOON + 1);
}

#[test]
fn a_name_that_begins_with_a_start_lacks_nothing_and_shows_no_loss() {
    let stage = Stage::new();
    let [one, two, three] = [1, 2, 3].map(journal);
    let start = |journal: &Id, first| {
        let (journal, boot, reason) = (*journal, BOOT.parse().ok(), LossReason::Start);
        let loss = Loss { journal, first, count: 0, reason, boot, ms: 1, mono_ms: 1_000_000 };
        encode(&Header::Loss(loss), &[]).unwrap()
    };
    assert_eq!(stage.send("till-1", &[frame(&one, 1, 5)]).unwrap(), 6);
    // The same numbers under another name: an old image was put back.
    let body = [start(&two, 4), frame(&two, 4, 2)];
    assert_eq!(stage.send("till-1", &body).unwrap(), 6);
    assert_eq!(stage.send("till-1", &body).unwrap(), 6, "and again");
    // One whose beginning did not come: it comes when that is asked for.
    assert_eq!(stage.send("till-1", &[frame(&three, 7, 1)]).unwrap(), 1);
    assert_eq!(stage.send("till-1", &[start(&three, 7), frame(&three, 7, 1)]).unwrap(), 8);
    assert_eq!(stage.values(&stage.asked()), [1, 2, 3, 4, 4, 5, 5, 7]);
    let losses: Result<_, StoreError> = stage.store.read(|tx| tx.log_losses(&stage.asked(), 10));
    assert_eq!(losses.unwrap(), []);
}

#[test]
fn a_gap_is_asked_for_once_and_then_kept_as_a_loss() {
    let (stage, one) = (Stage::new(), journal(1));
    assert_eq!(stage.send("till-1", &[frame(&one, 1, 2), frame(&one, 6, 2)]).unwrap(), 3);
    assert_eq!(stage.send("till-1", &[frame(&one, 6, 2)]).unwrap(), 8);
    assert_eq!(stage.send("till-1", &[loss(&one, 8, 5), loss(&one, 13, 0)]).unwrap(), 13);
    assert_eq!(stage.send("till-1", &[loss(&one, 13, 0), frame(&one, 13, 1)]).unwrap(), 14);
    assert_eq!(stage.values(&stage.asked()), [1, 2, 6, 7, 13]);
    let losses: Result<_, StoreError> = stage.store.read(|tx| tx.log_losses(&stage.asked(), 10));
    let mut told: Vec<_> =
        losses.unwrap().into_iter().map(|it| (it.first, it.count, it.reason)).collect();
    told.sort();
    let word = str::to_owned;
    assert_eq!(told, [(3, 3, word("gap")), (8, 5, word("cap")), (13, 0, word("cap"))]);
}

#[test]
fn what_is_cut_damaged_or_of_two_journals_is_refused_whole() {
    let (stage, one) = (Stage::new(), journal(1));
    let good = frame(&one, 1, 2);
    let mut damaged = frame(&one, 3, 2);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let cut = frame(&one, 3, 2)[..50].to_vec();
    for bad in [damaged, cut, b"PJF1".to_vec(), vec![0; 100]] {
        let refused = stage.send("till-1", &[good.clone(), bad]);
        assert!(matches!(refused, Err(TakeError::Frame { index: 1, .. })), "{refused:?}");
    }
    let mixed = stage.send("till-1", &[good.clone(), frame(&journal(2), 1, 1)]);
    assert!(matches!(mixed, Err(TakeError::Mixed)));
    assert!(matches!(stage.send("till-1", &[]), Err(TakeError::Empty)));
    assert!(matches!(stage.send("till-9", &[good]), Err(TakeError::NoEdge)));
    assert_eq!(stage.values(&stage.asked()), [0_i64; 0]);
}

#[test]
fn pages_have_every_row_once_in_either_order() {
    let stage = Stage::new();
    let (one, two) = (journal(1), journal(2));
    for nth in 0..9 {
        stage.send("till-1", &[frame(&one, 1 + 7 * nth, 7)]).unwrap();
        stage.send("till-2", &[frame(&two, 1 + 5 * nth, 5)]).unwrap();
    }
    let mut wanted: Vec<i64> = (1..=63).chain(1..=45).collect();
    wanted.sort();
    let numbers = |rows: Vec<Value>| -> Vec<i64> {
        rows.iter().map(|row| row["time"].as_i64().unwrap() - NOON).collect()
    };
    for size in [1, 4, 7, 1000] {
        for order in [LogOrder::Ascending, LogOrder::Descending, LogOrder::Arrival] {
            let (rows, words) = stage.pages(&LogsAsked { order, ..stage.asked() }, size);
            let mut found = numbers(rows);
            if size == 1000 && order != LogOrder::Arrival {
                let is_sorted = match order {
                    LogOrder::Descending => found.is_sorted_by(|a, b| b <= a),
                    LogOrder::Ascending | LogOrder::Arrival => found.is_sorted(),
                };
                assert!(is_sorted, "{order:?}");
            }
            found.sort();
            assert_eq!(found, wanted, "{size} {order:?}");
            assert_eq!(words.last(), Some(&"All"));
            assert!(words[..words.len() - 1].iter().all(|word| *word == "RecordLimited"));
        }
    }
    let some = LogsAsked { is_failures: true, ..stage.asked() };
    assert_eq!(stage.values(&some), [10, 10, 20, 20, 30, 30, 40, 40, 50, 60]);
    let some = LogsAsked { from_ms: Some(NOON + 10), until_ms: Some(NOON + 13), ..stage.asked() };
    assert_eq!(stage.values(&some), [10, 10, 11, 11, 12, 12]);
    assert_eq!(stage.values(&LogsAsked { version: Some("other".into()), ..stage.asked() }), [0; 0]);
}

#[test]
fn a_page_ends_where_the_columns_change() {
    let (stage, one) = (Stage::new(), journal(1));
    let noon = NOON.unsigned_abs();
    stage.send("till-1", &[frame(&one, 1, 2), frame_of(&one, 3, 1, 5, noon)]).unwrap();
    let (rows, words) = stage.pages(&stage.asked(), 10);
    assert_eq!((rows.len(), words), (3, vec!["SchemaChange", "All"]));
    assert_eq!(rows[2]["in"]["tensor"].as_array().unwrap().len(), 5);
}

#[test]
fn what_follows_comes_in_the_order_of_arrival() {
    let (stage, one) = (Stage::new(), journal(1));
    stage.send("till-1", &[frame(&one, 1, 2)]).unwrap();
    let logs = LogsAsked { order: LogOrder::Arrival, ..stage.asked() };
    let first = page(&stage.logs, &PageAsked { logs: logs.clone(), rows_max: 10, cursor: None });
    let cursor = Some(first.unwrap().follow);
    let empty = page(&stage.logs, &PageAsked { logs: logs.clone(), rows_max: 10, cursor }).unwrap();
    assert_eq!((empty.rows, empty.cursor), (None, cursor));
    // A day before the others, and later here.
    let early = frame_of(&one, 3, 2, 2, NOON.unsigned_abs() - 86_400_000);
    stage.send("till-1", &[early]).unwrap();
    let next = page(&stage.logs, &PageAsked { logs, rows_max: 10, cursor }).unwrap();
    assert_eq!(next.rows.unwrap().rows(), 2);
}

#[test]
fn a_wrong_clock_is_corrected_on_reading() {
    let (stage, one) = (Stage::new(), journal(1));
    stage.send("till-1", &[frame_of(&one, 1, 2, 2, 60_000)]).unwrap();
    let (rows, _) = stage.pages(&stage.asked(), 10);
    assert_eq!(rows[1]["time"], NOON + 2);
    assert_eq!(rows[1]["metadata"]["time_source"], "corrected");
    // After a restart of the device, of which no contact was known.
    let contact = Clocks { boot: ANOTHER.parse().unwrap(), mono_ms: 5, center_ms: NOON };
    let body = frame_of(&journal(2), 1, 1, 2, 60_000);
    let edge = "till-2".to_owned();
    stage.logs.take(Delivery { edge, contact, body }).unwrap();
    let (rows, _) = stage.pages(&stage.asked(), 10);
    assert_eq!(rows[0]["time"], 60_001);
    assert_eq!(rows[0]["metadata"]["time_source"], "unknown");
}

#[test]
fn after_a_kill_files_and_records_agree_and_nothing_acknowledged_is_lost() {
    let (mut stage, one) = (Stage::new(), journal(1));
    stage.send("till-1", &[frame(&one, 1, 3)]).unwrap();
    let files = |stage: &Stage| {
        let mut found = Vec::new();
        for day in std::fs::read_dir(stage.home.path().join("logs/1")).unwrap() {
            for file in std::fs::read_dir(day.unwrap().path()).unwrap() {
                found.push(file.unwrap().path());
            }
        }
        found
    };
    let [file] = <[_; 1]>::try_from(files(&stage)).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let next = frame(&one, 4, 2);
    for bytes in [0, 1, 11, 12, next.len() / 2, next.len()] {
        // Written and not recorded.
        std::fs::write(&file, [&whole, &next[..bytes]].concat()).unwrap();
        std::fs::write(file.with_file_name("77.seg"), b"begun").unwrap();
        stage = stage.again();
        assert_eq!(std::fs::read(&file).unwrap(), whole);
        assert_eq!(files(&stage), std::slice::from_ref(&file));
        assert_eq!(stage.values(&stage.asked()), [1, 2, 3]);
    }
    assert_eq!(stage.send("till-1", &[frame(&one, 1, 3), next]).unwrap(), 6);
    assert_eq!(stage.values(&stage.asked()), [1, 2, 3, 4, 5]);
    // An old copy of a file, as after a restore by hand: what is not there is not told.
    std::fs::write(&file, &whole).unwrap();
    stage = stage.again();
    assert_eq!(stage.values(&stage.asked()), [1, 2, 3]);
}

#[test]
fn files_have_every_row_whatever_its_columns() {
    let (stage, one) = (Stage::new(), journal(1));
    let noon = NOON.unsigned_abs();
    stage.send("till-1", &[frame(&one, 1, 200), frame_of(&one, 201, 3, 5, noon)]).unwrap();
    let text = String::from_utf8(stage.exported(LogFormat::Csv)).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines[0],
        "time,in.tensor,out.score,anomaly.count,anomaly.tenth,metadata.last_model,\
         metadata.pipeline_version,metadata.elapsed,metadata.dropped,metadata.partition,\
         metadata.time_source"
    );
    assert!(
        lines[10].starts_with("1795867200010,\"[10.0,10.0]\",[0.5],1,true,\"{\"\"model_name"),
        "{}",
        lines[10]
    );
    assert_eq!(lines.len(), 1 + 203 + 1);
    assert!(stage.exported(LogFormat::Arrow).starts_with(b"ARROW1"));
    let parquet = stage.exported(LogFormat::Parquet);
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[test]
fn more_than_there_is_room_for_is_told_to_come_again() {
    let stage = Stage::new();
    let one = journal(1);
    let outcomes: Vec<bool> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..300)
            .map(|_| {
                let (stage, frame) = (&stage, frame(&one, 1, 2));
                scope.spawn(move || match stage.send("till-1", &[frame]) {
                    Ok(next) => next == 3,
                    Err(TakeError::Busy) => true,
                    Err(_) => false,
                })
            })
            .collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert!(outcomes.iter().all(|outcome| *outcome));
    assert_eq!(stage.send("till-1", &[frame(&one, 1, 2)]).unwrap(), 3);
    assert_eq!(stage.values(&stage.asked()), [1, 2]);
}

#[test]
fn summaries_are_told_apart_from_rows_and_as_the_device_counted_them() {
    let (stage, one) = (Stage::new(), journal(1));
    let summary = |first: u64, count: u64, mean: f64| {
        let header = Header::Summary(Batch {
            journal: one,
            first,
            count,
            rows: count,
            failures: 1,
            pipeline: "fraud".to_owned(),
            version: VERSION.to_owned(),
            digest: String::new(),
            engine: "0.1.0".to_owned(),
            boot: Some(BOOT.parse().unwrap()),
            first_ms: NOON.unsigned_abs() + first,
            last_ms: NOON.unsigned_abs() + first + 50,
            first_mono_ms: 900_000 + first,
            last_mono_ms: 900_000 + first + 50,
            schema: String::new(),
        });
        let counts = serde_json::json!({ "columns": { "in.x": { "mean": mean } }, "failed": {} });
        encode(&header, counts.to_string().as_bytes()).unwrap()
    };
    let frames: Vec<Vec<u8>> = (0..70).map(|at| summary(1 + at * 5, 5, at as f64)).collect();
    stage.send("till-1", &frames).unwrap();
    stage.send("till-1", &[frame(&one, 351, 2)]).unwrap();
    assert_eq!(stage.values(&stage.asked()).len(), 2, "rows alone");
    let asked = LogsAsked { order: LogOrder::Descending, ..stage.asked() };
    let found = stage.logs.summaries(&asked, 1000).unwrap();
    let means: Vec<f64> =
        found.iter().map(|it| it.counts["columns"]["in.x"]["mean"].as_f64().unwrap()).collect();
    assert_eq!(
        means,
        (0..70).rev().map(f64::from).collect::<Vec<_>>(),
        "each once, the latest first"
    );
    let first = &found[0];
    assert_eq!((first.edge.as_str(), first.inferences, first.span_ms), ("till-1", 5, 50));
    assert_eq!(stage.logs.summaries(&asked, 3).unwrap().len(), 3);
}
