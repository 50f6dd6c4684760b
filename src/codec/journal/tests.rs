//! Frames as they are written and read, and what becomes of damaged ones.

use super::*;
use crate::codec::{Dataset, write_rows, write_rows_arrow};
use crate::fleet::Id;
use crate::pipeline::{Finding, Record, ShadowOutputs};
use crate::tensor::{Column, Data, NamedTensor, RowShape, Table, Tensor};
use std::borrow::Cow;
use std::sync::Arc;

const JOURNAL: Id = Id::of_random([7; 16]);
const BOOT: Option<Id> = Some(Id::of_random([8; 16]));

fn origin() -> Arc<Origin> {
    let (pipeline, version) = ("houses".to_owned(), "v-1".to_owned());
    Arc::new(Origin { pipeline, version, digest: "sha256:00".to_owned() })
}

fn output(name: &str, shape: &[usize], data: Data<'static>) -> NamedTensor<'static> {
    NamedTensor { name: name.into(), tensor: Tensor::new(shape.to_vec(), data).unwrap() }
}

/// An inference of so many rows, with numbers, text, a challenger, and a check that fails in the
/// first row.
fn inference(rows: usize, seed: u64) -> (Record<'static>, Table<'static>) {
    let floats = |per_row: usize| -> Vec<f32> {
        (0..rows * per_row).map(|index| index as f32 * 0.1 + seed as f32).collect()
    };
    let texts = |word: &str| -> Vec<String> {
        (0..rows).map(|row| format!("{word} \"{row}\" ü {seed}")).collect()
    };
    let columns = vec![
        Column {
            name: "tensor".into(),
            row_shape: RowShape::Told(vec![2, 3]),
            data: Data::F32(Cow::Owned(floats(6))),
        },
        Column {
            name: "text".into(),
            row_shape: RowShape::Told(vec![]),
            data: Data::String(Cow::Owned(texts("in"))),
        },
    ];
    let mut wide: Vec<f64> = floats(1).into_iter().map(f64::from).collect();
    wide[0] = f64::NAN;
    let record = Record {
        findings: vec![Finding {
            name: "low".into(),
            text: "out.price[0] < 9".into(),
            failed: (0..rows).map(|row| row == 0).collect(),
        }],
        chosen: None,
        elapsed_ns: vec![seed, 2, 3],
        model_name: "m".into(),
        model_version: "mv".into(),
        model_sha: "ab".into(),
        outputs: vec![
            output("price", &[rows, 1], Data::F64(Cow::Owned(wide))),
            output("label", &[rows], Data::String(Cow::Owned(texts("out")))),
        ],
        shadows: vec![ShadowOutputs {
            model_name: "challenger".into(),
            outputs: vec![output("price", &[rows, 1], Data::F32(Cow::Owned(floats(1))))],
        }],
        pipeline_name: "houses".into(),
        pipeline_version: "v-1".into(),
        time_ms: 1_700_000_000_000 + seed,
    };
    (record, Table::new(rows, columns).unwrap())
}

fn entry<'a>(
    origin: &'a Arc<Origin>,
    (record, input): &'a (Record<'static>, Table<'static>),
    mono_ms: u64,
) -> Entry<'a> {
    Entry { origin, record, input, dropped: &[], mono_ms }
}

fn gathered(inferences: &[(Record<'static>, Table<'static>)]) -> Vec<u8> {
    let origin = origin();
    let mut gathered = Gathered::new(&entry(&origin, &inferences[0], 10)).unwrap();
    for (index, inference) in inferences.iter().enumerate().skip(1) {
        assert!(gathered.add(&entry(&origin, inference, 10 + index as u64)).unwrap());
    }
    gathered.frame(Stamp { journal: JOURNAL, first: 5, boot: BOOT, engine: "0.1.0" }).unwrap()
}

/// Inferences with one column of each type beside those of [`inference`].
fn of_all_types(seed: u64) -> (Record<'static>, Table<'static>) {
    let (mut record, input) = inference(3, seed);
    let narrow = |place: u64| i8::try_from((seed + place) % 128).unwrap();
    let numbers: Vec<i8> = (0..6).map(narrow).collect();
    macro_rules! of {
        ($variant:ident, $number:ty) => {{
            let numbers = numbers.iter().map(|number| *number as $number).collect();
            output(stringify!($variant), &[3, 2], Data::$variant(Cow::Owned(numbers)))
        }};
    }
    let halves = numbers.iter().map(|number| half::f16::from_f32(f32::from(*number) / 3.0));
    record.outputs.extend([
        output("half", &[3, 2], Data::F16(Cow::Owned(halves.collect()))),
        output("truth", &[3], Data::Bool(Cow::Owned(vec![true, seed.is_multiple_of(2), false]))),
        of!(F32, f32),
        of!(I8, i8),
        of!(I16, i16),
        of!(I32, i32),
        of!(I64, i64),
        of!(U8, u8),
        of!(U16, u16),
        of!(U32, u32),
        of!(U64, u64),
    ]);
    (record, input)
}

#[test]
fn what_was_packed_makes_the_frame_of_what_was_gathered() {
    let inferences: Vec<_> = (0..20).map(of_all_types).collect();
    let origin = origin();
    let mut run = Run::new(&entry(&origin, &inferences[0], 10)).unwrap();
    for (index, inference) in inferences.iter().enumerate().skip(1) {
        let added = run.add(&entry(&origin, inference, 10 + index as u64));
        assert!(matches!(added, Alike::Taken { .. }), "{added:?}");
    }
    assert_eq!((run.records(), run.rows()), (20, 60));
    let (rows, bytes) = (run.rows(), run.bytes());
    let unpacked = run.gathered();
    assert_eq!((unpacked.rows(), unpacked.bytes()), (rows, bytes));
    let stamp = Stamp { journal: JOURNAL, first: 5, boot: BOOT, engine: "0.1.0" };
    assert_eq!(unpacked.frame(stamp).unwrap(), gathered(&inferences));
}

#[test]
fn a_run_takes_nothing_that_differs_from_its_first_and_nothing_beyond_its_room() {
    let (origin, one) = (origin(), inference(3, 1));
    let mut run = Run::new(&entry(&origin, &one, 0)).unwrap();
    let dropped = ["in.image".to_owned()];
    assert_eq!(run.add(&Entry { dropped: &dropped, ..entry(&origin, &one, 0) }), Alike::Other);
    let mut other = one.clone();
    other.0.model_sha = "cd".into();
    assert_eq!(run.add(&entry(&origin, &other, 0)), Alike::Other);
    let mut other = one.clone();
    other.0.outputs.pop();
    assert_eq!(run.add(&entry(&origin, &other, 0)), Alike::Other);
    assert_eq!(run.add(&entry(&origin, &inference(9_998, 1), 0)), Alike::Full);
    assert_eq!(run.records(), 1);
}

fn loss(first: u64, count: u64) -> Vec<u8> {
    let (journal, boot, reason) = (JOURNAL, BOOT, LossReason::Queue);
    let loss = Loss { journal, first, count, reason, boot, ms: 1, mono_ms: 2 };
    encode(&Header::Loss(loss), &[]).unwrap()
}

#[test]
fn what_is_read_from_a_frame_is_what_was_answered() {
    let inferences: Vec<_> = [3, 1, 40].iter().map(|n| inference(*n, *n as u64)).collect();
    let bytes = gathered(&inferences);
    let frame = first(&bytes).unwrap();
    let Header::Records(header) = &frame.header else { panic!("{:?}", frame.header) };
    assert_eq!((header.first, header.count, header.rows, header.failures), (5, 3, 44, 3));
    assert_eq!((header.first_mono_ms, header.last_mono_ms), (10, 12));
    let rows = Rows::read(&frame).unwrap().unwrap();
    assert_eq!((rows.sequence(2), rows.sequence(3), rows.sequence(43)), (5, 6, 7));
    assert_eq!(rows.validations(), [("low".to_owned(), "out.price[0] < 9".to_owned())]);
    assert_eq!((rows.failed(0), rows.failed(1)), (vec!["low".to_owned()], vec![]));
    let answers = inferences.iter().map(|(record, input)| {
        let written = write_rows(record, input, "here", &Dataset::default()).unwrap();
        String::from_utf8(written[1..written.len() - 1].to_vec()).unwrap()
    });
    let answers: Vec<String> = answers.collect();
    let places: Vec<usize> = (0..rows.len()).collect();
    let mut log = JsonLog::list();
    let shown = Shown { rows: &rows, places: &places, partition: "here", shift_ms: 0 };
    log.push(shown, &Dataset::default()).unwrap();
    assert_eq!(String::from_utf8(log.finish()).unwrap(), format!("[{}]", answers.join(",")));
}

#[test]
fn an_arrow_log_of_one_request_is_its_answer() {
    let one = inference(4, 9);
    let bytes = gathered(std::slice::from_ref(&one));
    let rows = Rows::read(&first(&bytes).unwrap()).unwrap().unwrap();
    for query in [None, Some("dataset[]=*&dataset.exclude[]=metadata&dataset.separator=.")] {
        let dataset = Dataset::parse(query).unwrap();
        let mut log = ArrowLog::new(Vec::new());
        let shown = Shown { rows: &rows, places: &[0, 1, 2, 3], partition: "p", shift_ms: 0 };
        assert!(log.push(shown, &dataset).unwrap());
        let answer = write_rows_arrow(&one.0, &one.1, "p", &dataset).unwrap();
        assert!(log.finish().unwrap().unwrap() == answer, "{query:?}");
    }
}

#[test]
fn rows_are_shown_in_the_order_and_at_the_time_that_is_asked_for() {
    let bytes = gathered(&[inference(3, 1)]);
    let rows = Rows::read(&first(&bytes).unwrap()).unwrap().unwrap();
    let dataset = Dataset::parse(Some("dataset[]=time&dataset[]=in.text")).unwrap();
    let mut log = JsonLog::lines();
    let shown = Shown { rows: &rows, places: &[2, 0], partition: "", shift_ms: -1 };
    log.push(shown, &dataset).unwrap();
    assert_eq!(
        String::from_utf8(log.finish()).unwrap(),
        "{\"time\":1700000000000,\"in\":{\"text\":\"in \\\"2\\\" ü 1\"}}\n\
         {\"time\":1700000000000,\"in\":{\"text\":\"in \\\"0\\\" ü 1\"}}\n"
    );
}

#[test]
fn rows_of_different_lengths_share_a_frame_and_other_columns_do_not() {
    let ragged = |length: usize| {
        let (record, _) = inference(1, 1);
        let data = Data::F32(Cow::Owned(vec![0.5; length * 2]));
        let row_shape = RowShape::Told(vec![length, 2]);
        let columns = vec![Column { name: "words".into(), row_shape, data }];
        (record, Table::new(1, columns).unwrap())
    };
    let bytes = gathered(&[ragged(3), ragged(5), ragged(3)]);
    let rows = Rows::read(&first(&bytes).unwrap()).unwrap().unwrap();
    let mut log = JsonLog::lines();
    let dataset = Dataset::parse(Some("dataset[]=in")).unwrap();
    let shown = Shown { rows: &rows, places: &[1, 2], partition: "", shift_ms: 0 };
    log.push(shown, &dataset).unwrap();
    let lists = |length: usize| format!("{{\"words\":[{}]}}\n", vec!["0.5"; length * 2].join(","));
    assert_eq!(String::from_utf8(log.finish()).unwrap(), lists(5) + &lists(3));

    let origin = origin();
    let (one, other) = (inference(1, 1), ragged(1));
    let mut gathered = Gathered::new(&entry(&origin, &one, 0)).unwrap();
    assert!(!gathered.add(&entry(&origin, &other, 0)).unwrap());
    let elsewhere = Arc::new(Origin { digest: "sha256:01".into(), ..(*origin).clone() });
    assert!(!gathered.add(&entry(&elsewhere, &one, 0)).unwrap());
    assert_eq!(gathered.records(), 1);
}

#[test]
fn frames_follow_each_other_and_a_cut_one_is_told_from_a_damaged_one() {
    let bytes = [gathered(&[inference(2, 1)]), loss(6, 3), loss(9, 0)].concat();
    let all: Vec<Frame<'_>> = frames(&bytes).collect::<Result<_, _>>().unwrap();
    assert_eq!(all.iter().map(|frame| frame.header.next()).collect::<Vec<_>>(), [6, 9, 9]);
    let last = all[0].bytes.len() + all[1].bytes.len();
    for cut in last + 1..bytes.len() {
        let found: Vec<_> = frames(&bytes[..cut]).collect();
        assert!(matches!(found[..], [Ok(_), Ok(_), Err(FrameError::Cut { .. })]), "{cut}");
    }
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x41;
        assert!(frames(&damaged).any(|frame| frame.is_err()), "{place}");
    }
}

#[test]
fn a_header_that_no_engine_writes_is_refused() {
    let batch = |change: fn(&mut Batch)| {
        let bytes = gathered(&[inference(2, 1)]);
        let Header::Records(mut batch) = first(&bytes).unwrap().header else { panic!() };
        change(&mut batch);
        encode(&Header::Records(batch), b"payload")
    };
    assert!(batch(|_| {}).is_ok());
    let wrong: [fn(&mut Batch); 7] = [
        |batch| batch.first = 0,
        |batch| batch.first = u64::MAX,
        |batch| batch.count = 0,
        |batch| batch.count = 3,
        |batch| batch.rows = 1 << 40,
        |batch| batch.pipeline = "a\nb".into(),
        |batch| batch.engine = "../..".repeat(100),
    ];
    for (index, change) in wrong.into_iter().enumerate() {
        assert!(matches!(batch(change), Err(FrameError::Facts { .. })), "{index}");
    }
}

#[test]
fn rows_that_are_not_what_the_header_tells_are_refused() {
    let bytes = gathered(&[inference(2, 1), inference(1, 2)]);
    let frame = first(&bytes).unwrap();
    let lies: [fn(&mut Batch); 4] = [
        |batch| batch.first += 1,
        |batch| batch.count += 1,
        |batch| batch.rows += 1,
        |batch| batch.failures -= 1,
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let Header::Records(mut batch) = frame.header.clone() else { panic!() };
        lie(&mut batch);
        let bytes = encode(&Header::Records(batch), frame.payload).unwrap();
        Rows::read(&first(&bytes).unwrap()).expect_err(&index.to_string());
    }
}

#[test]
fn no_damage_to_a_payload_panics_or_is_taken_for_other_columns() {
    let bytes = gathered(&[inference(2, 1), inference(1, 2)]);
    let frame = first(&bytes).unwrap();
    let mut refused = 0;
    for place in 0..frame.payload.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut payload = frame.payload.to_vec();
            payload[place] ^= mask;
            let damaged = encode(&frame.header, &payload).unwrap();
            match Rows::read(&first(&damaged).unwrap()) {
                Err(_) => refused += 1,
                Ok(rows) => {
                    let rows = rows.unwrap();
                    let mut log = JsonLog::list();
                    let shown =
                        Shown { rows: &rows, places: &[0, 1, 2], partition: "", shift_ms: 0 };
                    let _ = log.push(shown, &Dataset::default());
                }
            }
        }
    }
    assert!(0 < refused);
}
