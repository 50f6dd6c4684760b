//! Streams that are sound, and streams that are not.

use super::super::made::{body, one, read};
use super::super::{Container, decode};
use super::*;
use crate::tensor::{Data, ElementType, Port};
use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, Int64Array};
use std::borrow::Cow;
use std::sync::Arc;

fn numbers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn stream(batches: &[ArrayRef]) -> Vec<u8> {
    let batches: Vec<_> = batches.iter().cloned().map(one).collect();
    body(Container::Stream, None, &batches)
}

fn sentence(body: Vec<u8>) -> String {
    read(Container::Stream, body, ElementType::I64).unwrap_err().sentence
}

#[test]
fn batches_follow_each_other_with_or_without_an_end_mark() {
    let whole = stream(&[numbers(&[1, 2]), numbers(&[]), numbers(&[3])]);
    let unmarked = whole[..whole.len() - 8].to_vec();
    for body in [whole, unmarked] {
        let column = read(Container::Stream, body, ElementType::I64).unwrap();
        assert_eq!(column.data, Data::I64(Cow::Borrowed(&[1, 2, 3])));
    }
}

#[test]
fn values_are_lent_from_the_body_itself() {
    let body = stream(&[numbers(&[1, 2, 3])]);
    let allocation = body.as_ptr_range();
    let port = Port { name: "tensor".into(), element: ElementType::I64, dimensions: vec![] };
    let decoded = decode(Container::Stream, body, &[port], &[]).unwrap();
    let table = decoded.table();
    let Data::I64(Cow::Borrowed(values)) = &table.columns()[0].data else { panic!("{table:?}") };
    assert!(allocation.contains(&values.as_ptr().cast()));
}

#[test]
fn a_later_dictionary_takes_the_place_of_the_first() {
    let texts = |texts: [&str; 2]| -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int8Type>::new();
        builder.extend(texts.map(Some));
        Arc::new(builder.finish())
    };
    let body = stream(&[texts(["a", "b"]), texts(["c", "d"])]);
    let column = read(Container::Stream, body, ElementType::String).unwrap();
    let all = ["a", "b", "c", "d"].map(str::to_owned);
    assert_eq!(column.data, Data::String(Cow::Borrowed(&all)));
}

#[test]
fn what_is_no_arrow_stream_is_told_apart() {
    let good = stream(&[numbers(&[1, 2])]);
    let file = body(Container::File, None, &[one(numbers(&[1]))]);
    let cut = "the body is not a sound Arrow stream: it ends in the middle of a message, as when \
               it was cut short";
    let cases = [
        (file, "the body is an Arrow file; send it as `application/vnd.apache.arrow.file`"),
        (good[..good.len() - 20].to_vec(), cut),
        (good[..good.len() - 7].to_vec(), cut),
        (good[..30].to_vec(), cut),
        (
            [good.as_slice(), b"x"].concat(),
            "the body is not a sound Arrow stream: something follows its end",
        ),
        (Vec::new(), "the body is empty: send an Arrow stream"),
        (vec![0; 8], "the body is not a sound Arrow stream: something follows its end"),
        (vec![0; 4], "the body is not a sound Arrow stream: it ends before its schema"),
        (stream(&[numbers(&[])]), "the Arrow stream has no rows"),
    ];
    for (body, expected) in cases {
        assert_eq!(sentence(body), expected);
    }
}

#[test]
fn a_stream_without_a_schema_is_refused() {
    let good = stream(&[numbers(&[1, 2])]);
    let mut at = 0;
    next_metadata(&good, &mut at).unwrap();
    let misfit = sentence(good[at..].to_vec());
    assert_eq!(misfit, "the body is not a sound Arrow stream: it does not begin with a schema");
}

#[test]
fn endless_messages_are_refused() {
    let body = stream(&vec![numbers(&[1]); BATCHES_MAX + 1]);
    assert_eq!(sentence(body), "the Arrow data have more than 4096 batches");
}

/// No writer here makes a big-endian schema: a slot of a sound one is pointed at a 1.
#[test]
fn big_endian_data_are_refused() {
    let batch = arrow_array::RecordBatch::try_from_iter([("\u{1}\0\0\u{1}\0", numbers(&[1]))]);
    let mut body = body(Container::Stream, None, &[batch.unwrap()]);
    let mut at = 0;
    let metadata = next_metadata(&body, &mut at).unwrap().unwrap();
    let table = metadata.start + open(&body).unwrap().schema._tab.loc();
    let back = i32::from_le_bytes(body[table..table + 4].try_into().unwrap());
    let first_slot = table.strict_add_signed(-back as isize) + 4;
    let one = (4..1000).step_by(2).find(|at| body[table + at..].starts_with(&[1, 0])).unwrap();
    body[first_slot..first_slot + 2].copy_from_slice(&(one as u16).to_le_bytes());
    assert_eq!(
        sentence(body),
        "the Arrow data are big-endian; write them on a little-endian machine"
    );
}
