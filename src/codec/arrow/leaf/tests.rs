//! Each of Arrow's types that a model can take, and some that none can.

use super::super::made::{body, one, read, read_one};
use super::super::{Container, decode};
use crate::tensor::{Data, ElementType, Misfit, MisfitKind, Port, RowShape};
use arrow_array::builder::{BinaryViewBuilder, ListBuilder, StringDictionaryBuilder};
use arrow_array::types::{Int8Type, Int32Type, UInt16Type};
use arrow_array::{
    ArrayRef, BinaryArray, BinaryViewArray, Date32Array, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, Int8Array, Int64Array, LargeBinaryArray, LargeStringArray, NullArray,
    StringArray, StringViewArray, TimestampMillisecondArray, UInt16Array,
};
use std::borrow::Cow;
use std::sync::Arc;

const LONG: &str = "a text too long to lie within its view";

fn strings(texts: &[&str]) -> Data<'static> {
    Data::String(Cow::Owned(texts.iter().map(|text| (*text).to_owned()).collect()))
}

fn refused(array: ArrayRef, element: ElementType) -> Misfit {
    read_one(array, element).unwrap_err()
}

#[test]
fn text_views_are_text() {
    let array: ArrayRef = Arc::new(StringViewArray::from(vec!["é", LONG, ""]));
    let column = read_one(array, ElementType::String).unwrap();
    assert_eq!(
        (column.data, column.row_shape),
        (strings(&["é", LONG, ""]), RowShape::Told(vec![]))
    );
}

#[test]
fn a_view_of_what_is_no_text_is_refused_by_row() {
    let array: ArrayRef = Arc::new(StringViewArray::from(vec!["é", LONG]));
    let mut stream = body(Container::Stream, None, &[one(array)]);
    let at = (0..stream.len()).find(|at| stream[*at..].starts_with(LONG.as_bytes())).unwrap();
    stream[at + 10] = 0xff;
    let misfit = read(Container::Stream, stream, ElementType::String).unwrap_err();
    assert_eq!(misfit.sentence, "column `tensor`, row 1 has a string that is not UTF-8");
}

#[test]
fn byte_strings_are_the_rows_of_a_uint8_input() {
    let rows: [&[u8]; 2] = [b"\x00\x01\xff", b"abc"];
    let arrays: [ArrayRef; 4] = [
        Arc::new(BinaryArray::from_iter_values(rows)),
        Arc::new(LargeBinaryArray::from_iter_values(rows)),
        Arc::new(FixedSizeBinaryArray::try_from_iter(rows.into_iter()).unwrap()),
        Arc::new(BinaryViewArray::from_iter_values(rows)),
    ];
    for array in arrays {
        let column = read_one(array.clone(), ElementType::U8).unwrap();
        assert_eq!(column.row_shape, RowShape::Flat(3), "{}", array.data_type());
        assert_eq!(column.data, Data::U8(Cow::Borrowed(b"\x00\x01\xffabc")));
        let misfit = refused(array, ElementType::F32);
        assert_eq!(misfit.kind, MisfitKind::WrongType, "{misfit}");
    }
}

#[test]
fn byte_strings_are_lent_from_the_body_itself() {
    let rows: [&[u8]; 2] = [&[7; 100], &[8; 100]];
    let arrays: [ArrayRef; 2] = [
        Arc::new(BinaryArray::from_iter_values(rows)),
        Arc::new(FixedSizeBinaryArray::try_from_iter(rows.into_iter()).unwrap()),
    ];
    for array in arrays {
        let body = body(Container::File, None, &[one(array)]);
        let allocation = body.as_ptr_range();
        let port = Port { name: "x".into(), element: ElementType::U8, dimensions: vec![] };
        let decoded = decode(Container::File, body, &[port], &[]).unwrap();
        let table = decoded.table();
        let Data::U8(Cow::Borrowed(bytes)) = &table.columns()[0].data else { panic!("{table:?}") };
        let lent = bytes.as_ptr_range();
        assert!(allocation.contains(&lent.start) && lent.end <= allocation.end);
        assert_eq!((bytes[99], bytes[100]), (7, 8));
    }
}

#[test]
fn text_for_a_uint8_input_is_base64() {
    let rows = vec!["AAH/", "YWJj"];
    let arrays: [ArrayRef; 3] = [
        Arc::new(StringArray::from(rows.clone())),
        Arc::new(LargeStringArray::from(rows.clone())),
        Arc::new(StringViewArray::from(rows)),
    ];
    for array in arrays {
        let column = read_one(array, ElementType::U8).unwrap();
        assert_eq!(column.row_shape, RowShape::Flat(3));
        assert_eq!(column.data, Data::U8(Cow::Borrowed(b"\x00\x01\xffabc")));
    }
    let misfit = refused(Arc::new(StringArray::from(vec!["AAH/", "no!"])), ElementType::U8);
    assert_eq!(misfit.sentence, "column `tensor`, row 1 has a string that is not base64");
}

#[test]
fn byte_strings_of_unlike_length_are_refused_by_row() {
    let arrays: [ArrayRef; 3] = [
        Arc::new(BinaryArray::from_iter_values([b"abc".as_slice(), b"abc", b"ab"])),
        Arc::new(BinaryViewArray::from_iter_values([b"abc".as_slice(), b"abc", b"ab"])),
        Arc::new(StringArray::from(vec!["AAH/", "AAH/", "AAA="])),
    ];
    for array in arrays {
        let misfit = refused(array, ElementType::U8);
        assert_eq!((misfit.kind, misfit.row), (MisfitKind::WrongShape, Some(2)), "{misfit}");
    }
}

#[test]
fn dictionaries_become_their_values() {
    let mut texts = StringDictionaryBuilder::<Int8Type>::new();
    texts.extend(["b", "a", "b", LONG].map(Some));
    let column = read_one(Arc::new(texts.finish()), ElementType::String).unwrap();
    assert_eq!(column.data, strings(&["b", "a", "b", LONG]));
    let values: ArrayRef = Arc::new(StringViewArray::from(vec!["a", LONG]));
    let views = DictionaryArray::new(Int8Array::from(vec![1, 0]), values);
    let column = read_one(Arc::new(views), ElementType::String).unwrap();
    assert_eq!(column.data, strings(&[LONG, "a"]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![70, 80]));
    let numbers = DictionaryArray::<UInt16Type>::new(UInt16Array::from(vec![1, 0, 1]), numbers);
    let column = read_one(Arc::new(numbers), ElementType::F32).unwrap();
    assert_eq!(column.data, Data::I64(Cow::Borrowed(&[80, 70, 80])));
}

#[test]
fn dictionaries_in_lists_keep_the_shape() {
    let mut lists = ListBuilder::new(StringDictionaryBuilder::<Int32Type>::new());
    lists.append_value(["x", "y"].map(Some));
    lists.append_value(["y", "y"].map(Some));
    let column = read_one(Arc::new(lists.finish()), ElementType::String).unwrap();
    assert_eq!(
        (column.row_shape, column.data),
        (RowShape::Flat(2), strings(&["x", "y", "y", "y"]))
    );
}

#[test]
fn a_null_in_key_or_value_of_a_dictionary_is_found() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let by_value = DictionaryArray::new(Int8Array::from(vec![0, 1]), values.clone());
    let by_key = DictionaryArray::new(Int8Array::from(vec![Some(0), None]), values);
    let bytes = BinaryArray::from_iter([Some(b"a"), None]);
    let cases: [(ArrayRef, ElementType); 3] = [
        (Arc::new(by_value), ElementType::String),
        (Arc::new(by_key), ElementType::String),
        (Arc::new(bytes), ElementType::U8),
    ];
    for (array, element) in cases {
        let misfit = refused(array, element);
        assert_eq!((misfit.kind, misfit.row), (MisfitKind::Null, Some(1)), "{misfit}");
    }
}

#[test]
fn types_that_no_model_takes_are_refused_by_name() {
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"a"]));
    let bytes = DictionaryArray::new(Int8Array::from(vec![0]), bytes);
    let cases: [(ArrayRef, &str); 5] = [
        (Arc::new(TimestampMillisecondArray::from(vec![1])), "Timestamp(ms)"),
        (Arc::new(Date32Array::from(vec![1])), "Date32"),
        (Arc::new(Decimal128Array::from(vec![1])), "Decimal128(38, 10)"),
        (Arc::new(NullArray::new(1)), "Null"),
        (Arc::new(bytes), "Dictionary(Int8, Binary)"),
    ];
    for (array, found) in cases {
        let misfit = refused(array, ElementType::U8);
        let sentence = format!(
            "column `tensor` has Arrow's type {found}, a model takes numbers, booleans, text, \
             bytes, or lists of them"
        );
        assert_eq!((misfit.kind, misfit.sentence), (MisfitKind::WrongType, sentence));
    }
}

#[test]
fn a_text_that_is_shown_a_thousand_times_is_copied_within_the_limit() {
    let long = "x".repeat(1 << 20);
    let values: ArrayRef = Arc::new(StringArray::from(vec![long.as_str()]));
    let keys = DictionaryArray::new(Int8Array::from(vec![0; 1000]), values);
    let mut views = BinaryViewBuilder::new();
    let block = views.append_block(long.into_bytes().into());
    (0..1000).for_each(|_| views.try_append_view(block, 0, 1 << 20).unwrap());
    let views = views.finish().to_string_view().unwrap();
    let cases: [ArrayRef; 2] = [Arc::new(keys), Arc::new(views)];
    for array in cases {
        let misfit = refused(array, ElementType::String);
        assert_eq!(misfit.sentence, "the request has more than 268435456 bytes of text");
    }
}
