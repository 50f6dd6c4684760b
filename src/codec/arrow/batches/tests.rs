//! Compressed batches, sound and lying.

use super::super::Container;
use super::super::made::{body, one, read};
use crate::random::Random;
use crate::tensor::{Data, ElementType, MisfitKind};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use std::borrow::Cow;
use std::sync::Arc;

const CODECS: [CompressionType; 2] = [CompressionType::LZ4_FRAME, CompressionType::ZSTD];

/// So many that the length of their bytes stands nowhere else.
const VALUES: i64 = 12_345;

fn counted() -> Vec<i64> {
    (0..VALUES).map(|value| value / 100).collect()
}

#[test]
fn compressed_bodies_are_read_in_either_container() {
    let values = counted();
    let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
    for codec in CODECS {
        for container in [Container::File, Container::Stream] {
            let batches = [one(array.slice(0, 5000)), one(array.slice(5000, values.len() - 5000))];
            let body = body(container, Some(codec), &batches);
            assert!(body.len() < values.len() * 4, "it is compressed");
            let column = read(container, body, ElementType::I64).unwrap();
            assert_eq!(column.data, Data::I64(Cow::Borrowed(&values)), "{codec:?} {container:?}");
        }
    }
}

#[test]
fn buffers_that_compression_would_lengthen_are_stored() {
    let mut random = Random(1);
    let values: Vec<i64> = (0..1000).map(|_| random.next() as i64).collect();
    for codec in CODECS {
        let array: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let body = body(Container::File, Some(codec), &[one(array)]);
        let stored = [&(-1_i64).to_le_bytes(), &values[0].to_le_bytes()[..]].concat();
        assert!(body.windows(16).any(|bytes| bytes == stored), "{codec:?} has no stored buffer");
        let column = read(Container::File, body, ElementType::I64).unwrap();
        assert_eq!(column.data, Data::I64(Cow::Borrowed(&values)));
    }
}

#[test]
fn a_lying_length_is_found_out() {
    let array: ArrayRef = Arc::new(Int64Array::from(counted()));
    for codec in CODECS {
        let good = body(Container::Stream, Some(codec), &[one(array.clone())]);
        let prefix = (8 * VALUES).to_le_bytes();
        let at = good.windows(8).position(|bytes| bytes == prefix).unwrap();
        let lies = [8 * VALUES - 8, 8 * VALUES + 8, 0, -1, -2, 1 << 40, i64::MAX, i64::MIN, 7];
        for lie in lies {
            let mut bad = good.clone();
            bad[at..at + 8].copy_from_slice(&lie.to_le_bytes());
            let misfit = read(Container::Stream, bad, ElementType::I64).unwrap_err();
            assert_eq!(misfit.kind, MisfitKind::Unreadable, "{codec:?}, {lie}: {misfit}");
        }
    }
}

#[test]
fn what_is_not_wanted_is_not_decompressed() {
    let wanted: ArrayRef = Arc::new(Int64Array::from(vec![7; 1000]));
    let other: ArrayRef = Arc::new(StringArray::from(vec!["other"; 1000]));
    let batch = RecordBatch::try_from_iter([("other", other), ("tensor", wanted)]).unwrap();
    for codec in CODECS {
        let mut body = body(Container::File, Some(codec), std::slice::from_ref(&batch));
        // The prefix of the other column's text.
        let at = body.windows(8).position(|bytes| bytes == 5000_i64.to_le_bytes()).unwrap();
        body[at..at + 8].copy_from_slice(&i64::MAX.to_le_bytes());
        let column = read(Container::File, body, ElementType::I64).unwrap();
        assert_eq!(column.data, Data::I64(Cow::Owned(vec![7; 1000])));
    }
}

/// A stream of two batches, the second of which adds a word to the dictionary of the first; and where the messages begin.
fn growing(compression: Option<CompressionType>) -> (Vec<u8>, Vec<usize>) {
    let words = |words: &[&str]| -> RecordBatch {
        one(Arc::new(words.iter().copied().collect::<DictionaryArray<Int32Type>>()))
    };
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let options = options.with_dictionary_handling(DictionaryHandling::Delta);
    let (first, second) = (words(&["on", "off", "on"]), words(&["on", "off", "broken"]));
    let writer = StreamWriter::try_new_with_options(Vec::new(), &first.schema(), options);
    let mut writer = writer.unwrap();
    writer.write(&first).unwrap();
    writer.write(&second).unwrap();
    let stream = writer.into_inner().unwrap();
    let begins = |at: &usize| stream[*at..].starts_with(&[0xff; 4]);
    let messages = (0..stream.len()).step_by(8).filter(begins).collect();
    (stream, messages)
}

#[test]
fn a_dictionary_that_grows_is_read() {
    for codec in [None, Some(CODECS[0]), Some(CODECS[1])] {
        let (stream, _) = growing(codec);
        let column = read(Container::Stream, stream, ElementType::String).unwrap();
        let all = ["on", "off", "on", "on", "off", "broken"].map(String::from);
        assert_eq!(column.data, Data::String(Cow::Borrowed(&all)), "{codec:?}");
    }
}

#[test]
fn values_for_a_dictionary_that_has_not_come_are_refused() {
    let (mut stream, messages) = growing(None);
    // Schema, dictionary, batch, delta, batch, end.
    assert_eq!(messages.len(), 6, "{messages:?}");
    stream.drain(messages[1]..messages[3]);
    let misfit = read(Container::Stream, stream, ElementType::String).unwrap_err();
    let said = misfit.to_string();
    assert!(said.contains("values are added to dictionary 0, which has not come yet"), "{said}");
}
