//! Damage of every sort done to good bodies: none may panic out of the room, whatever it says.

use super::*;
use crate::pipeline::Record;
use crate::random::Random;
use crate::tensor::{Column, Data, ElementType, NamedTensor, RowShape, Table, Tensor};
use arrow_array::{
    ArrayRef, BinaryViewArray, BooleanArray, DictionaryArray, Int8Array, Int64Array, ListArray,
    RecordBatch, StringArray, StringViewArray,
};
use arrow_ipc::CompressionType;
use std::borrow::Cow;
use std::panic::catch_unwind;
use std::sync::Arc;

/// Mutants of each body.
const MUTANTS: usize = 4000;

/// Changes one to four bytes, to anything or to what is most often at a limit.
fn hurt(random: &mut Random, body: &mut [u8]) {
    for _ in 0..=random.below(4) {
        let at = random.below(body.len());
        body[at] = match random.below(4) {
            0 => 0,
            1 => 0xff,
            2 => body[at] ^ (1 << random.below(8)),
            _ => random.next() as u8,
        };
    }
}

fn ports() -> Vec<Port> {
    let port = |name: &str, element| Port { name: name.into(), element, dimensions: vec![] };
    vec![port("tensor", ElementType::F32), port("name", ElementType::String)]
}

/// Two batches, with a column that is not wanted.
fn arrow_body(container: Container, compression: Option<CompressionType>) -> Vec<u8> {
    use arrow_array::types::Float32Type;
    let rows = (0..3_u8).map(|row| Some((0..4_u8).map(move |at| Some(f32::from(row * 4 + at)))));
    let columns: [(&str, ArrayRef); 3] = [
        ("tensor", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))),
        ("name", Arc::new(StringArray::from(vec!["a", "bc", ""]))),
        ("extra", Arc::new(BooleanArray::from(vec![true, false, true]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    arrow::made::body(container, compression, &[batch.clone(), batch.slice(1, 2)])
}

/// A dictionary, views and byte strings, of which those for bytes are not wanted.
fn arrow_body_of_views(container: Container) -> Vec<u8> {
    use arrow_array::types::Int8Type;
    let texts = ["a longer text than a view holds", "b"];
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![7, 8]));
    let keys = Int8Array::from(vec![1, 0]);
    let columns: [(&str, ArrayRef); 3] = [
        ("tensor", Arc::new(DictionaryArray::<Int8Type>::new(keys, numbers))),
        ("name", Arc::new(StringViewArray::from(texts.to_vec()))),
        ("extra", Arc::new(BinaryViewArray::from_iter_values(texts))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    arrow::made::body(container, None, &[batch.clone(), batch.slice(1, 1)])
}

const JSON_BODY: &str = r#"[{"tensor": [[1.5, -2e-3], [3, 4]], "name": "a\u00e9\n", "x": {"y": [null, true]}},
 {"name": "é", "tensor": [[0, 1.0], [1e5, 7]], "x": [[], {}, "\\"]}]"#;

const OBJECT_BODY: &str = r#"{"x": {"y": [null, true]}, "name": ["a\u00e9\n", "é"],
 "tensor": [[[1.5, -2e-3], [3, 4]], [[0, 1.0], [1e5, 7]]], "z": [[], {}, "\\"]}"#;

/// Every prefix, then `MUTANTS` seeded mutants; how many of them were still readable.
fn survivors(format: InputFormat, good: &[u8]) -> usize {
    assert_eq!(decode(format, good.to_vec(), &ports(), &[]).unwrap().table().columns().len(), 2);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let prefixes = (0..good.len()).map(|end| good[..end].to_vec());
    let mutants = (0..MUTANTS).map(|_| {
        let mut body = good.to_vec();
        hurt(&mut random, &mut body);
        body
    });
    let mut readable = 0;
    for (index, body) in prefixes.chain(mutants).enumerate() {
        let room = 256 * body.len() + 1024;
        let ports = ports();
        let text = body.clone();
        let outcome = catch_unwind(move || decode(format, body, &ports, &[]));
        let Ok(outcome) = outcome else { panic!("case {index} panicked") };
        match outcome {
            Ok(decoded) => {
                let table = decoded.table();
                let values: usize = table.columns().iter().map(|column| column.data.len()).sum();
                assert!(values <= room, "case {index} grew to {values} values");
                let sound = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
                assert!(format != InputFormat::PandasRecords || sound, "case {index} is not JSON");
                readable += 1;
            }
            Err(misfit) => assert!(!misfit.sentence.is_empty()),
        }
    }
    readable
}

#[track_caller]
fn damaged(format: InputFormat, good: &[u8]) {
    let readable = survivors(format, good);
    assert!((1..MUTANTS).contains(&readable), "{readable} readable: not much was damaged");
}

#[test]
fn no_damage_to_an_arrow_file_panics() {
    damaged(InputFormat::ArrowFile, &arrow_body(Container::File, None));
}

#[test]
fn no_damage_to_an_arrow_stream_panics() {
    damaged(InputFormat::ArrowStream, &arrow_body(Container::Stream, None));
}

#[test]
fn no_damage_to_lz4_panics() {
    let codec = Some(CompressionType::LZ4_FRAME);
    damaged(InputFormat::ArrowFile, &arrow_body(Container::File, codec));
    damaged(InputFormat::ArrowStream, &arrow_body(Container::Stream, codec));
}

#[test]
fn no_damage_to_zstandard_panics() {
    let codec = Some(CompressionType::ZSTD);
    damaged(InputFormat::ArrowFile, &arrow_body(Container::File, codec));
    damaged(InputFormat::ArrowStream, &arrow_body(Container::Stream, codec));
}

#[test]
fn no_damage_to_dictionaries_and_views_panics() {
    damaged(InputFormat::ArrowFile, &arrow_body_of_views(Container::File));
    damaged(InputFormat::ArrowStream, &arrow_body_of_views(Container::Stream));
}

#[test]
fn no_damage_to_records_panics() {
    damaged(InputFormat::PandasRecords, JSON_BODY.as_bytes());
}

#[test]
fn no_damage_to_an_object_of_columns_panics() {
    damaged(InputFormat::PandasRecords, OBJECT_BODY.as_bytes());
}

#[test]
fn each_format_reads_the_same_table() {
    let rows = r#"[{"name":"a","tensor":[0,1,2,3]},{"name":"bc","tensor":[4,5,6,7]},
        {"name":"","tensor":[8,9,10,11]},{"name":"bc","tensor":[4,5,6,7]},
        {"name":"","tensor":[8,9,10,11]}]"#;
    let columns = r#"{"tensor":[[0,1,2,3],[4,5,6,7],[8,9,10,11],[4,5,6,7],[8,9,10,11]],
        "name":["a","bc","","bc",""]}"#;
    let file = arrow_body(Container::File, Some(CompressionType::LZ4_FRAME));
    let stream = arrow_body(Container::Stream, Some(CompressionType::ZSTD));
    let first = decode(InputFormat::PandasRecords, rows.into(), &ports(), &[]).unwrap();
    for (format, body) in [
        (InputFormat::PandasRecords, columns.into()),
        (InputFormat::ArrowFile, arrow_body(Container::File, None)),
        (InputFormat::ArrowFile, file),
        (InputFormat::ArrowStream, stream),
    ] {
        let other = decode(format, body, &ports(), &[]).unwrap();
        for name in ["tensor", "name"] {
            assert_eq!(first.table().column(name), other.table().column(name), "{format:?}");
        }
    }
}

#[test]
fn a_large_answer_to_one_row_is_written_in_both_formats() {
    let image = vec![0.25_f32; 150_528];
    let data = Data::F32(Cow::Borrowed(&image));
    let input =
        Column { name: "x".into(), row_shape: RowShape::Flat(150_528), data: data.borrow() };
    let input = Table::new(1, vec![input]).unwrap();
    let tensor = Tensor::new(vec![1, 3, 224, 224], data.borrow()).unwrap();
    let record = Record {
        findings: vec![],
        chosen: None,
        shadows: vec![],
        elapsed_ns: vec![1, 2],
        model_name: String::new(),
        model_version: String::new(),
        model_sha: String::new(),
        outputs: vec![NamedTensor { name: "y".into(), tensor }],
        pipeline_name: String::new(),
        pipeline_version: String::new(),
        time_ms: 0,
    };
    let json = String::from_utf8(write_records(&record)).unwrap();
    assert!(json.contains(r#",0.25],"dim":[1,3,224,224],"v":1}}]"#));
    assert!(write_arrow(&record, &input).unwrap().len() > 2 * 602_112);
}
