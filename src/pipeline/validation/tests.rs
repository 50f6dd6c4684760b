//! What expressions mean, what is said of those that mean nothing, and the original's own trees.

use super::*;
use crate::tensor::{Column, Data, Dimension, ElementType, NamedTensor, Port, RowShape};
use crate::tensor::{Table, Tensor};
use std::borrow::Cow;

fn port(name: &str, element: ElementType, rest: &[usize]) -> Port {
    let mut dimensions = vec![Dimension::Free("batch".into())];
    dimensions.extend(rest.iter().map(|extent| Dimension::Fixed(*extent)));
    Port { name: name.into(), element, dimensions }
}

/// Two rows: `in.tensor` of four values, `out.dense_1` of one, `out.boxes` of two by two, and
/// `out.label`. The first row is sound, the second holds NaN.
fn found(text: &str, sense: Sense) -> Vec<bool> {
    let validation = Validation::parse("v", text, sense).unwrap();
    let inputs = [port("tensor", ElementType::F32, &[4])];
    let outputs = [
        port("dense_1", ElementType::F32, &[1]),
        port("boxes", ElementType::I64, &[2, 2]),
        port("label", ElementType::String, &[1]),
    ];
    validation
        .expression
        .check(&Ports { inputs: &inputs, outputs: &outputs, models: &["fraud-mlp"] })
        .unwrap();
    let column = Column {
        name: "tensor".into(),
        row_shape: RowShape::Flat(4),
        data: Data::F32(Cow::Borrowed(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN, 7.0])),
    };
    let table = Table::new(2, vec![column]).unwrap();
    let named = |name: &str, shape: &[usize], data| NamedTensor {
        name: name.into(),
        tensor: Tensor::new(shape.to_vec(), data).unwrap(),
    };
    let texts = vec!["cat".to_owned(), "dog".to_owned()];
    let outputs = [
        named("dense_1", &[2, 1], Data::F32(Cow::Borrowed(&[0.25, f32::NAN]))),
        named("boxes", &[2, 2, 2], Data::I64(Cow::Borrowed(&[1, 2, 3, 4, 5, 6, 7, i64::MAX]))),
        named("label", &[2], Data::String(Cow::Owned(texts))),
    ];
    let finding = validation.find(&table, &outputs);
    assert_eq!(finding.text, text);
    finding.failed
}

#[test]
fn an_expression_is_held_against_each_row() {
    let cases = [
        ("model.outputs[0][0] < 100", [false, true]),
        ("fraud-mlp.outputs[0][0] < 0.2", [true, true]),
        ("out.dense_1 <= 0.25", [false, true]),
        ("out.dense_1[0] > 0.9 or in.tensor[3] >= 3", [false, false]),
        ("out.dense_1[0] > 0.9 and in.tensor[3] >= 3", [true, true]),
        ("in.tensor[-1] - in.tensor[0] == 3", [false, false]),
        ("out.boxes[1][0] == 3", [false, true]),
        ("out.boxes[3] == 9223372036854775807", [true, false]),
        ("out.boxes[3] != 9223372036854775806", [false, false]),
        ("out.label == 'cat'", [false, true]),
        ("not (out.label == \"cat\" or out.label == \"dog\")", [true, true]),
        ("max(in.tensor) < 4", [false, true]),
        ("min(in.tensor) >= 0 && mean(out.boxes) == 2.5", [false, true]),
        ("sum(out.boxes) / 4 == 2.5", [false, true]),
        ("abs(-out.dense_1) == 0.25", [false, true]),
        ("!is_nan(in.tensor[2])", [false, true]),
        ("2 + 3 * 4 == 14 and -(2 - 3) == 1 and 1e3 == 1_000", [false, false]),
        ("1 / 2 == 0.5", [false, false]),
        // 0.1 as a 32-bit number is another than 0.1 as a 64-bit one.
        ("in.tensor[0] + 0.1 == 0.1 and 0.25 == out.dense_1", [false, true]),
    ];
    for (text, failed) in cases {
        assert_eq!(found(text, Sense::MustHold), failed, "{text}");
    }
}

#[test]
fn what_is_undecided_fails_in_either_sense_and_what_is_decided_all_the_same_does_not() {
    assert_eq!(found("out.dense_1[0] > 0.9", Sense::FindsAnomaly), [false, true]);
    assert_eq!(found("out.dense_1[0] < 0.9", Sense::FindsAnomaly), [true, true]);
    assert_eq!(found("not out.dense_1[0] < 0.9", Sense::MustHold), [true, true]);
    assert_eq!(found("out.dense_1[0] > 0.9 and false", Sense::FindsAnomaly), [false, false]);
    assert_eq!(found("is_nan(out.dense_1)", Sense::FindsAnomaly), [false, true]);
}

#[test]
fn what_is_no_expression_is_told_where_and_what_was_expected() {
    let long = format!("1 == {}", "1 + ".repeat(2000));
    let deep = format!("{}true", "not ".repeat(EXPRESSION_DEPTH_MAX + 2));
    let wide = format!("0 == {}1", "1 + ".repeat(EXPRESSION_DEPTH_MAX + 2));
    let cases: [(&str, &str); 15] = [
        ("", "at byte 0: found the end, expected a number"),
        ("out.x = 1", "at byte 6: `=` has no meaning here: equality is written =="),
        ("out.x < 1 < 2", "at byte 10: comparisons do not chain"),
        ("out.x < ", "at byte 8: found the end"),
        ("out.x[a] < 1", "at byte 6: found `a`, expected a whole number"),
        ("out.x[1 < 1", "at byte 8: found `<`, expected `]`"),
        ("(out.x < 1", "at byte 10: found the end, expected `)`"),
        ("out.x < 1 2", "at byte 10: found `2`, expected the end"),
        ("x < 1", "`x` alone is no value: write `out.x`"),
        ("model.output[0] < 1", "expected `outputs` or `inputs`"),
        ("model.outputs < 1", "which of them?"),
        ("median(out.x) < 1", "there is no function `median`: there are abs, is_nan, max"),
        ("out.label == 'cat", "at byte 13: the ' here is never closed"),
        (&deep, "nests deeper than 64 levels"),
        (&wide, "nests deeper than 64 levels"),
    ];
    for (text, part) in cases {
        let error = Validation::parse("v", text, Sense::MustHold).unwrap_err().to_string();
        assert!(error.contains(part), "{text}\ngave: {error}");
    }
    let error = Validation::parse("v", &long, Sense::MustHold).unwrap_err();
    assert!(error.to_string().contains("longer than 4096 bytes"));
}

#[test]
fn an_expression_that_does_not_fit_its_pipeline_is_refused() {
    let inputs = [port("tensor", ElementType::F32, &[29])];
    let outputs = [
        port("dense_1", ElementType::F32, &[1]),
        port("scores", ElementType::F32, &[2, 3]),
        port("label", ElementType::String, &[]),
    ];
    let ports = Ports { inputs: &inputs, outputs: &outputs, models: &["a"] };
    let cases = [
        ("out.dense < 1", "there is no such output; there are `dense_1`, `scores`, `label`"),
        ("in.tensor[29] < 1", "places 0 to 28"),
        ("in.tensor < 1", "is a row of 29 values: name one, `in.tensor[0]`"),
        ("out.scores[2][0] < 1", "outside the shape"),
        ("out.scores[0][0][0] < 1", "has 3 places"),
        ("model.outputs[3][0] < 1", "no such output"),
        ("b.outputs[0][0] < 1", "is of model `b`"),
        ("out.label < 1", "`1` is a number, where a text is needed"),
        ("out.dense_1", "is a number, where true or false is needed"),
        ("max(out.label) < 1", "holds none"),
        ("max(out.scores[0]) < 1", "takes a whole column"),
        ("true < false", "neither is the larger"),
    ];
    for (text, part) in cases {
        let validation = Validation::parse("v", text, Sense::MustHold).unwrap();
        let error = validation.expression.check(&ports).unwrap_err().to_string();
        assert!(error.contains(part), "{text}\ngave: {error}");
    }
}

#[test]
fn the_first_trees_of_the_original_are_read() {
    let tree = r#"{"values":{"price too high":{"root":{"node":"binop","op":"<",
        "left":{"node":"variable","variant_id":{"name":"m"},"position":"output","key":[0,0]},
        "right":{"node":"literal","float":1500000.0}},"required_data":[{"name":"m"}]}},
        "gauges":[],"validations":["price too high"]}"#;
    let read = Validation::from_tree(tree).unwrap();
    assert_eq!(read[0].name, "price too high");
    assert_eq!(read[0].text, "m.outputs[0][0] < 1500000.0");
    assert_eq!(read[0].sense, Sense::MustHold);
}

#[test]
fn the_second_trees_of_the_original_are_read() {
    let tree = r#"{"Alias":[{"BinaryExpr":{"left":{"Function":{"input":[{"Column":"out.dense_1"},
        {"Literal":{"Int32":0}}],"function":{"ListExpr":"Get"},"options":{}}},"op":"Gt",
        "right":{"Literal":{"Float64":0.9}}}},"fraud"]}"#;
    let read = Validation::from_tree(tree).unwrap();
    assert_eq!(read[0].name, "fraud");
    assert_eq!(read[0].text, "out.dense_1[0] > 0.9");
    assert_eq!(read[0].sense, Sense::FindsAnomaly);
}

#[test]
fn a_tree_that_is_not_understood_says_which_part() {
    let cases = [
        ("{", "no JSON"),
        ("{}", "neither an expression under an `Alias`"),
        (
            r#"{"Alias":[{"Window":{}},"w"]}"#,
            "the validation `w`: an expression of the kind `Window`",
        ),
        (
            r#"{"values":{"a":{"root":{"node":"fn"}}},"gauges":[],"validations":["a"]}"#,
            "the validation `a`: a node of the kind `fn`",
        ),
        (r#"{"values":{},"gauges":["g"],"validations":[]}"#, "gauges are not computed here"),
    ];
    for (tree, part) in cases {
        let error = Validation::from_tree(tree).unwrap_err();
        assert!(error.contains(part), "{tree}\ngave: {error}");
    }
}

#[test]
fn what_is_written_of_an_expression_reads_back_as_the_same() {
    for text in [
        "out.dense_1[0] > 0.9 and not in.tensor[3] >= -1",
        "`a b`.outputs[0][0] < 1.5 or is_nan(max(out.`x y`))",
        "(1 + 2) * 3 - 4 / 5 == abs(-out.a-b.c[0][1])",
    ] {
        let read = parse::parse(text).unwrap();
        assert_eq!(parse::parse(&read.to_string()).unwrap(), read, "{read}");
    }
}
