//! What pandas-records become, and what is said of those that cannot be read.

use super::*;
use crate::codec::limits::ROWS_MAX;
use crate::tensor::{Data, ElementType, RowShape};
use std::borrow::Cow;

pub(super) fn port(name: &str, element: ElementType) -> Port {
    Port { name: name.into(), element, dimensions: vec![] }
}

pub(super) fn floats() -> Vec<Port> {
    vec![port("tensor", ElementType::F32)]
}

pub(super) fn two() -> Vec<Port> {
    vec![port("a", ElementType::I64), port("b", ElementType::String)]
}

#[track_caller]
pub(super) fn refused(text: &str, inputs: &[Port]) -> Misfit {
    decode(text.as_bytes(), inputs, &[]).unwrap_err()
}

#[test]
fn rows_of_lists_become_one_run() {
    let text = " [ {\"tensor\" : [1.5,2, -3e0]},\n{\"tensor\":[4,5,6]} ] ";
    let decoded = decode(text.as_bytes(), &floats(), &[]).unwrap();
    let table = decoded.table();
    let column = table.column("tensor").unwrap();
    assert_eq!((table.rows(), &column.row_shape), (2, &RowShape::Flat(3)));
    assert_eq!(column.data, Data::F32(Cow::Borrowed(&[1.5, 2.0, -3.0, 4.0, 5.0, 6.0])));
}

#[test]
fn a_byte_order_mark_is_passed() {
    assert!(decode("\u{feff}[{\"tensor\":1}]".as_bytes(), &floats(), &[]).is_ok());
}

#[test]
fn scalars_and_nested_lists_tell_their_shape() {
    let inputs = [port("a", ElementType::I64), port("b", ElementType::F64)];
    let text = r#"[{"b":[[0.1,2],[3,4],[5,6]],"extra":[{"x":null}],"a":7}]"#;
    let decoded = decode(text.as_bytes(), &inputs, &[]).unwrap();
    let table = decoded.table();
    let [first, second] = table.columns() else { panic!("{table:?}") };
    assert_eq!((&*first.name, &first.row_shape), ("b", &RowShape::Told(vec![3, 2])));
    assert_eq!(second.row_shape, RowShape::Told(vec![]));
    assert_eq!(second.data, Data::I64(Cow::Borrowed(&[7])));
}

#[test]
fn an_only_column_stands_for_an_only_input_under_its_own_name() {
    let decoded = decode(br#"[{"d\u0061ta":[1]},{"data":[2]}]"#, &floats(), &[]).unwrap();
    assert_eq!(decoded.table().columns()[0].name, "data");
    let decoded =
        decode(br#"[{"id":"x","tensor":1},{"tensor":2,"id":3}]"#, &floats(), &[]).unwrap();
    assert_eq!(decoded.table().columns()[0].data.len(), 2);
}

#[test]
fn text_and_truth_values_are_read() {
    let inputs = [port("a", ElementType::Bool), port("b", ElementType::String)];
    let decoded = decode(br#"[{"a":[true,false],"b":"\u00e9\n"}]"#, &inputs, &[]).unwrap();
    let table = decoded.table();
    assert_eq!(table.columns()[0].data, Data::Bool(Cow::Borrowed(&[true, false])));
    assert_eq!(table.columns()[1].data, Data::String(Cow::Owned(vec!["é\n".into()])));
}

#[test]
fn a_fault_in_a_value_names_column_row_expected_and_found() {
    use MisfitKind::{NotANumber, Null, OverLimit, Unreadable, ValueRange, WrongShape, WrongType};
    let cases = [
        ("[1,null]", Null, "float", "null"),
        ("[1,NaN]", NotANumber, "a finite number", "NaN"),
        ("-Infinity", NotANumber, "a finite number", "-Infinity"),
        ("[1,\"2\"]", WrongType, "float", "a string"),
        ("[true]", WrongType, "float", "a boolean"),
        ("{\"x\":1}", WrongType, "float", "an object"),
        ("[1,1e39]", ValueRange, "float", "1e39"),
        ("[1]", WrongShape, "2 values", "1 values"),
        ("5", WrongShape, "2 values", "a single value"),
        ("[[1,2]]", WrongShape, "2 values", "values of shape [1, 2]"),
        ("[[1],[2,3]]", WrongShape, "", ""),
        ("[1,[2]]", WrongShape, "", ""),
        ("[[[[[[[[[1]]]]]]]]]", OverLimit, "", ""),
        ("[1,2],\"tensor\":[3,4]", Unreadable, "", ""),
    ];
    for (value, kind, expected, found) in cases {
        let text = format!("[{{\"tensor\":[1,2]}},{{\"tensor\":{value}}}]");
        let misfit = refused(&text, &floats());
        assert_eq!(misfit.kind, kind, "{value}");
        assert_eq!((misfit.column.as_deref(), misfit.row), (Some("tensor"), Some(1)), "{value}");
        assert_eq!(misfit.expected.unwrap_or_default(), expected, "{value}");
        assert_eq!(misfit.found.unwrap_or_default(), found, "{value}");
        assert!(misfit.sentence.contains("column `tensor`, row 1"), "{}", misfit.sentence);
    }
}

#[test]
fn sentences_say_what_is_wrong() {
    let cases = [
        (r#"[{"a":null,"b":""}]"#, "tensor values may not be null: column `a`, row 0 has a null"),
        (r#"[{"a":1.5,"b":""}]"#, "column `a`, row 0 has 1.5, which int64 cannot hold unchanged"),
        (r#"[{"a":1,"b":2}]"#, "column `b`, row 0 has a number, the model takes string"),
        (
            r#"[{"a":1,"b":""},{"a":2,"c":""}]"#,
            "row 1: column `b` is missing: the model takes `a`, `b`, the data has `a`, `c`",
        ),
        (
            "[{\"a\":1,\n \"b\" \"x\"}]",
            "the body is not JSON at line 2, column 6: expected `:`, found '\"'",
        ),
        (
            "[{\"a\":1,",
            "the body is not JSON: it ends at line 1, column 9, in the middle of a value",
        ),
        (
            "[{\"a\":1,\"b\":\"\"}, {\"a\":1]",
            "the body is not JSON at line 1, column 24: expected `,` or `}`, found ']'",
        ),
        (
            "[{\"a\":1,\"b\":\"\"}] x",
            "the body is not JSON at line 1, column 18: expected the end of the body, found 'x'",
        ),
        (
            "[[1,2]]",
            "the body is not JSON at line 1, column 2: expected a row, `{\"column\": …}`, found '['",
        ),
        ("", "the body is empty: send a list of rows, `[{\"column\": [1.0, 2.0]}, …]`"),
        ("[ ]", "the list of rows is empty: send a list of rows, `[{\"column\": [1.0, 2.0]}, …]`"),
    ];
    for (text, sentence) in cases {
        assert_eq!(refused(text, &two()).sentence, sentence);
    }
}

#[test]
fn several_columns_of_other_names_are_not_guessed_at() {
    let misfit = refused(r#"[{"x":[1],"y":[2]}]"#, &floats());
    assert_eq!((misfit.kind, misfit.row), (MisfitKind::MissingColumn, Some(0)));
    assert_eq!(
        misfit.sentence,
        "column `tensor` is missing: the model takes `tensor`, the data has `x`, `y`"
    );
    assert_eq!(refused("[{}]", &floats()).kind, MisfitKind::MissingColumn);
}

#[test]
fn what_is_passed_over_must_still_be_json() {
    let misfit = refused(r#"[{"tensor":1,"other":[1,}]"#, &floats());
    assert_eq!(misfit.kind, MisfitKind::Unreadable);
    let misfit = refused(r#"[{"tensor":1,"other":NaN}]"#, &floats());
    assert_eq!(misfit.kind, MisfitKind::NotANumber);
    assert_eq!(misfit.column.as_deref(), Some("other"));
    let misfit = decode(b"[{\"tensor\":1,\"other\":\"\xff\"}]", &floats(), &[]).unwrap_err();
    assert_eq!(misfit.sentence, "the body is not JSON: byte 22 is not UTF-8");
}

#[test]
fn rows_columns_and_names_are_limited() {
    let row = "{\"tensor\":1},";
    let many = format!("[{}{{\"tensor\":1}}]", row.repeat(ROWS_MAX));
    assert_eq!(refused(&many, &floats()).kind, MisfitKind::OverLimit);
    let columns: String = (0..COLUMNS_MAX).map(|index| format!(",\"c{index}\":0")).collect();
    let wide = format!("[{{\"tensor\":1{columns}}}]");
    assert_eq!(refused(&wide, &floats()).sentence, "row 0 has more than 1024 columns");
    let long = format!("[{{\"tensor\":1,\"{}\":0}}]", "n".repeat(NAME_BYTES_MAX + 1));
    assert_eq!(refused(&long, &floats()).kind, MisfitKind::OverLimit);
}

#[test]
fn values_are_limited_before_they_are_kept() {
    let mut filling = Filling::new("tensor".into(), ElementType::F32);
    let fault = filling.read(&mut Cursor::new("[1,2,3]"), 2).unwrap_err();
    assert_eq!(fault, Fault::new(What::ManyValues, 5));
    assert_eq!(filling.len(), 2);
}

#[test]
fn companions_come_beside_the_inputs_in_the_type_of_their_first_row() {
    let companions = ["card".to_owned(), "session".to_owned(), "absent".to_owned()];
    let text = br#"[{"session":7,"other":1,"tensor":[1,2],"card":"gold"},
                    {"tensor":[3,4],"card":"none","session":-8}]"#;
    let decoded = decode(text, &floats(), &companions).unwrap();
    let table = decoded.table();
    let card = vec!["gold".to_owned(), "none".to_owned()];
    assert_eq!(table.column("card").unwrap().data, Data::String(Cow::Owned(card)));
    assert_eq!(table.column("session").unwrap().data, Data::I64(Cow::Borrowed(&[7, -8])));
    assert_eq!(table.columns().len(), 3);
    let text = br#"{"tensor":[[1],[2]],"session":[1.5,2]}"#;
    let decoded = decode(text, &floats(), &companions).unwrap();
    let table = decoded.table();
    assert_eq!(table.column("session").unwrap().data, Data::F64(Cow::Borrowed(&[1.5, 2.0])));
    let misfit =
        decode(br#"[{"tensor":[1],"card":"a"},{"tensor":[1],"card":2}]"#, &floats(), &companions);
    assert_eq!(misfit.map(|_| ()).unwrap_err().column.as_deref(), Some("card"));
}
