//! Known answers as files, as tables, and held against outputs.

use super::*;
use crate::tensor::{Data, Dimension, ElementType, Tensor};
use std::borrow::Cow;

fn port(name: &str, element: ElementType) -> Port {
    let dimensions = vec![Dimension::Free("batch".into()), Dimension::Fixed(2)];
    Port { name: name.into(), element, dimensions }
}

fn output<'a>(name: &str, data: Data<'a>) -> NamedTensor<'a> {
    NamedTensor { name: name.into(), tensor: Tensor::new(vec![1, data.len()], data).unwrap() }
}

#[test]
fn a_row_becomes_a_table_in_the_types_of_the_inputs() {
    let text = br#"[{"x":[1,null],"n":[[1],[9007199254740993]],"card":"gold","id":7}]"#;
    let known = KnownAnswers::parse(text).unwrap();
    assert!(!known.is_answered(0));
    let inputs = [port("x", ElementType::F32), port("n", ElementType::I64)];
    let table = known.table(0, &inputs).unwrap();
    let Data::F32(x) = &table.column("x").unwrap().data else { panic!("not floats") };
    assert!(x[0] == 1.0 && x[1].is_nan());
    let n = table.column("n").unwrap();
    assert_eq!(n.data, Data::I64(Cow::Borrowed(&[1, 9_007_199_254_740_993])));
    assert_eq!(n.row_shape, RowShape::Told(vec![2, 1]));
    assert_eq!(table.column("id").unwrap().data, Data::I64(Cow::Borrowed(&[7])));
}

#[test]
fn what_is_off_is_named_with_its_place() {
    let text = br#"{"relative":0.01,"absolute":0,"rows":[{"in":{"x":[1,2]},"out":
        {"y":[[1.0],[100.0]],"label":["cat"],"z":[null],"gone":[1]}}]}"#;
    let known = KnownAnswers::parse(text).unwrap();
    let label = vec!["dog".to_owned()];
    let differences = known.differences(
        0,
        &[
            output("y", Data::F32(Cow::Borrowed(&[1.009, 102.0]))),
            output("label", Data::String(Cow::Owned(label))),
            output("z", Data::F32(Cow::Borrowed(&[f32::NAN]))),
        ],
    );
    let texts: Vec<String> = differences.iter().map(Difference::to_string).collect();
    assert_eq!(
        texts,
        [
            "row 0, output `gone`: expected an output, found none of this name",
            "row 0, output `label`, place 0: expected \"cat\", found \"dog\"",
            "row 0, output `y`, place 1: expected 100.0, found 102.0, 2 apart",
        ]
    );
    let far = [output("y", Data::F32(Cow::Borrowed(&[1.5, 130.0])))];
    let texts: Vec<String> = known.differences(0, &far).iter().map(Difference::to_string).collect();
    let farthest = "place 1: expected 100.0, found 130.0, 30 apart, the farthest of 2 values";
    assert!(texts.iter().any(|text| text.ends_with(farthest)), "{texts:?}");
}

#[test]
fn what_a_row_gave_is_known_afterwards() {
    let mut known = KnownAnswers::parse(br#"[{"x":[1,2]}]"#).unwrap();
    let outputs = [output("y", Data::F32(Cow::Borrowed(&[0.1, f32::NAN])))];
    known.set(0, &outputs);
    assert!(known.is_answered(0));
    assert_eq!(known.differences(0, &outputs), []);
    let other = [output("y", Data::F32(Cow::Borrowed(&[0.1, 0.2, 0.3])))];
    assert_eq!(known.differences(0, &other)[0].expected, "2 values");
}

#[test]
fn a_file_that_is_wrong_says_what() {
    let many = format!("[{}]", vec!["{}"; KNOWN_ROWS_MAX + 1].join(","));
    let cases = [
        ("[", "it is no JSON"),
        ("[]", "it has 0 rows; it takes 1 to 64"),
        (many.as_str(), "it has 65 rows"),
        (r#"{"rows":[{"input":{}}]}"#, "unknown field `input`"),
        (r#"{"relative":-1,"rows":[{"in":{}}]}"#, "a tolerance is no number"),
    ];
    for (text, part) in cases {
        let error = KnownAnswers::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(part), "{text}\ngave: {error}");
    }
    let known = KnownAnswers::parse(br#"[{"x":[[1],[2,3]]},{"x":["a"]}]"#).unwrap();
    let inputs = [port("x", ElementType::I8)];
    assert!(
        known.table(0, &inputs).unwrap_err().contains("row 0, column `x`: its lists are ragged")
    );
    assert!(known.table(1, &inputs).unwrap_err().contains("\"a\" is no value of type int8"));
}
