//! Compressed batches, sound and lying.

use super::super::Container;
use super::super::made::{body, one, read};
use crate::random::Random;
use crate::tensor::{Data, ElementType, MisfitKind};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
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
