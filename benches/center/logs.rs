//! Ten days of logs for the bench: frames as edges send them, in files as the ops center keeps them.

use potoroo::codec::journal::{Entry, Gathered, Origin, Stamp};
use potoroo::fleet::Id;
use potoroo::pipeline::{Finding, Record};
use potoroo::tensor::{Column, Data, NamedTensor, RowShape, Table, Tensor};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Rows in all.
pub(crate) const ROWS: usize = 100_000;

/// Rows of one frame: what an edge infers in some seconds.
const FRAME_ROWS: usize = 10;

/// Edges that send them.
const EDGES: usize = 300;

/// The pipeline that they are of, and its version.
pub(crate) const PIPELINE: i64 = 7;
pub(crate) const VERSION: &str = "3148ada5-285a-4fca-b3b8-b50a48d7511b";

/// The days that they are spread over.
const DAYS: i64 = 10;
const DAY_MS: i64 = 86_400_000;

/// Inputs of a row, as the fraud model has them.
const WIDTH: usize = 29;

/// Every so many rows one fails its check.
const FAILS_EVERY: usize = 97;

/// The number of an edge in the seed's list; those of the pipeline come first, one in a hundred.
fn edge(place: usize) -> usize {
    let place = place % EDGES;
    58 + 100 * (place % 100) + place / 100
}

/// Writes the segments below `logs`, and gives a line for each frame: segment, edge, byte, bytes, rows,
/// failures, first and last time.
pub(crate) fn write(logs: &Path, now_ms: i64) -> String {
    let mut list = String::new();
    let frames = ROWS / FRAME_ROWS;
    let mut sent = vec![1_u64; EDGES];
    for segment in 1..=DAYS {
        let mut bytes = Vec::new();
        let first = frames * (segment as usize - 1) / DAYS as usize;
        let last = frames * segment as usize / DAYS as usize;
        for number in first..last {
            let place = number % EDGES;
            let begin_ms = now_ms - DAYS * DAY_MS + number as i64 * DAYS * DAY_MS / frames as i64;
            let (frame, failures) = frame(number, place, sent[place], begin_ms);
            sent[place] += FRAME_ROWS as u64;
            let end_ms = begin_ms + FRAME_ROWS as i64 - 1;
            let (at, length, edge) = (bytes.len(), frame.len(), edge(place));
            writeln!(
                list,
                "{segment} {edge} {at} {length} {FRAME_ROWS} {failures} {begin_ms} {end_ms}"
            )
            .unwrap();
            bytes.extend(frame);
        }
        let directory = logs.join(PIPELINE.to_string()).join("2026-01-01");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("{segment}.seg")), bytes).unwrap();
    }
    list
}

fn frame(number: usize, place: usize, first: u64, begin_ms: i64) -> (Vec<u8>, usize) {
    let origin = Arc::new(Origin {
        pipeline: "pipeline-6".into(),
        version: VERSION.into(),
        digest: "sha256:00".into(),
    });
    let mut gathered: Option<Gathered> = None;
    let mut failures = 0;
    for row in 0..FRAME_ROWS {
        let at = number * FRAME_ROWS + row;
        let value = |column: usize| ((at * 31 + column * 17) as f32 * 0.618).sin();
        let column = Column {
            name: "features".into(),
            row_shape: RowShape::Told(vec![WIDTH]),
            data: Data::F32(Cow::Owned((0..WIDTH).map(value).collect())),
        };
        let input = Table::new(1, vec![column]).unwrap();
        let failed = at.is_multiple_of(FAILS_EVERY);
        failures += usize::from(failed);
        let output = Data::F32(Cow::Owned(vec![value(0).abs()]));
        let record = Record {
            findings: vec![Finding {
                name: "likely".into(),
                text: "out.score[0] < 0.99".into(),
                failed: vec![failed],
            }],
            chosen: None,
            shadows: vec![],
            elapsed_ns: vec![20_000, 80_000 + (at % 1000) as u64 * 100],
            model_name: "fraud".into(),
            model_version: "v".into(),
            model_sha: "ab".into(),
            outputs: vec![NamedTensor {
                name: "score".into(),
                tensor: Tensor::new(vec![1, 1], output).unwrap(),
            }],
            pipeline_name: "pipeline-6".into(),
            pipeline_version: VERSION.into(),
            time_ms: begin_ms.unsigned_abs() + row as u64,
        };
        let entry = Entry {
            origin: &origin,
            record: &record,
            input: &input,
            dropped: &[],
            mono_ms: 1_000_000 + row as u64,
        };
        match &mut gathered {
            None => gathered = Some(Gathered::new(&entry).unwrap()),
            Some(gathered) => assert!(gathered.add(&entry).unwrap()),
        }
    }
    let journal: Id = format!("{place:08x}-0000-4000-8000-000000000000").parse().unwrap();
    let stamp = Stamp { journal, first, boot: None, engine: "0.1.0" };
    (gathered.unwrap().frame(stamp).unwrap(), failures)
}
