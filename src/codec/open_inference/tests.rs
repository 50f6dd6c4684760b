//! Requests as clients of the protocol write them, and the answers that they read.

use super::*;
use crate::oci::Digest;
use crate::pipeline::{ModelKey, Record, ShadowOutputs};
use crate::tensor::{
    Column, Data, Dimension, ElementType, Misfit, MisfitKind, NamedTensor, Port, RowShape, Tensor,
};
use std::borrow::Cow;

fn port(name: &str, element: ElementType, dimensions: &[Option<usize>]) -> Port {
    let dimension = |(index, extent): (usize, &Option<usize>)| match extent {
        Some(extent) => Dimension::Fixed(*extent),
        None => Dimension::Free(format!("d{index}")),
    };
    let dimensions = dimensions.iter().enumerate().map(dimension).collect();
    Port { name: name.into(), element, dimensions }
}

fn floats() -> Vec<Port> {
    vec![port("x", ElementType::F32, &[None, Some(2)])]
}

fn read_json(text: &str, inputs: &[Port]) -> Result<InferRequest, Misfit> {
    read_infer(text.as_bytes().to_vec(), None, inputs, &[])
}

fn read_binary(head: &str, tensors: &[u8], inputs: &[Port]) -> Result<InferRequest, Misfit> {
    read_infer([head.as_bytes(), tensors].concat(), Some(head.len()), inputs, &[])
}

fn column(name: &'static str, row_shape: &[usize], data: Data<'static>) -> Column<'static> {
    Column { name: name.into(), row_shape: RowShape::Told(row_shape.to_vec()), data }
}

fn record(outputs: Vec<NamedTensor<'_>>) -> Record<'_> {
    Record {
        findings: vec![],
        chosen: None,
        shadows: vec![],
        elapsed_ns: vec![],
        model_name: "inner".into(),
        model_version: String::new(),
        model_sha: String::new(),
        outputs,
        pipeline_name: String::new(),
        pipeline_version: "v1".into(),
        time_ms: 0,
    }
}

fn output<'a>(name: &str, shape: &[usize], data: Data<'a>) -> NamedTensor<'a> {
    NamedTensor { name: name.into(), tensor: Tensor::new(shape.to_vec(), data).unwrap() }
}

fn answer() -> Record<'static> {
    let texts = vec!["a\"".to_owned(), "é".to_owned()];
    record(vec![
        output("y", &[2, 1], Data::F32(Cow::Borrowed(&[0.1, f32::NAN]))),
        output("label", &[2], Data::String(Cow::Owned(texts))),
        output("half", &[1], Data::F16(Cow::Owned(vec![half::f16::from_f32(0.1)]))),
    ])
}

#[test]
fn data_may_be_flat_or_nested_in_the_order_of_keys_that_the_client_likes() {
    let expected = column("x", &[2], Data::F32(Cow::Borrowed(&[0.1, 2.0, -3e-9, 4.0])));
    let cases = [
        r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[0.1,2,-3e-9,4]}]}"#,
        r#" {"id":null,"inputs":[{"data":[[0.1,2.0],[-3e-9,4]],"datatype":"FP32","shape":[2,2],
            "name":"x","parameters":{"content_type":"np"}}],"parameters":{"priority":1},"z":[]} "#,
    ];
    for text in cases {
        let request = read_json(text, &floats()).unwrap();
        assert_eq!(request.table().rows(), 2);
        assert_eq!(request.table().columns(), std::slice::from_ref(&expected), "{text}");
    }
}

#[test]
fn tensors_in_binary_form_follow_in_the_order_of_the_inputs() {
    let inputs = [
        port("text", ElementType::String, &[None]),
        port("flag", ElementType::Bool, &[None, Some(2)]),
        port("id", ElementType::I64, &[None]),
    ];
    let head = r#"{"inputs":[
        {"name":"flag","shape":[2,2],"datatype":"BOOL","parameters":{"binary_data_size":4}},
        {"name":"id","shape":[2],"datatype":"INT64","data":[7,9223372036854775807]},
        {"name":"text","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":10}}]}"#;
    let tensors = [1, 0, 0, 1, 2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0];
    let request = read_binary(head, &tensors, &inputs).unwrap();
    let texts = vec!["é".to_owned(), String::new()];
    assert_eq!(
        request.table().columns(),
        [
            column("flag", &[2], Data::Bool(Cow::Borrowed(&[true, false, false, true]))),
            column("id", &[], Data::I64(Cow::Borrowed(&[7, i64::MAX]))),
            column("text", &[], Data::String(Cow::Owned(texts))),
        ]
    );
}

#[test]
fn every_number_is_read_wherever_it_lies() {
    let values = [1.5_f64, -2.0];
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut lent = 0;
    for spaces in 0..8 {
        let head = format!(
            r#"{{"inputs":[{{"name":"x","shape":[2],"datatype":"FP64","parameters":{{"binary_data_size":16}}}}]}}{}"#,
            " ".repeat(spaces)
        );
        let inputs = [port("x", ElementType::F64, &[None])];
        let request = read_binary(&head, &bytes, &inputs).unwrap();
        let table = request.table();
        assert_eq!(table.columns()[0].data, Data::F64(Cow::Borrowed(&values)));
        let within = [head.as_bytes(), &bytes].concat();
        let body = within.as_ptr_range();
        let request = read_infer(within, Some(head.len()), &inputs, &[]).unwrap();
        let table = request.table();
        let Data::F64(values) = &table.columns()[0].data else { panic!("{table:?}") };
        lent += usize::from(body.contains(&values.as_ptr().cast()));
    }
    assert_eq!(lent, 1, "only one place in eight is aligned");
}

#[test]
fn a_tensor_without_dimensions_is_the_same_on_each_row() {
    let inputs =
        [port("scale", ElementType::F32, &[]), port("x", ElementType::F32, &[None, Some(1)])];
    let text = r#"{"inputs":[{"name":"scale","shape":[],"datatype":"FP32","data":[0.5]},
        {"name":"x","shape":[3,1],"datatype":"FP32","data":[1,2,3]}]}"#;
    let request = read_json(text, &inputs).unwrap();
    let scale = column("scale", &[], Data::F32(Cow::Borrowed(&[0.5; 3])));
    assert_eq!(request.table().columns()[0], scale);
    let text = r#"{"inputs":[{"name":"scale","shape":[],"datatype":"FP32","data":0.5}]}"#;
    let request = read_json(text, &inputs[..1]).unwrap();
    assert_eq!((request.table().rows(), request.table().columns()[0].data.len()), (1, 1));
}

#[test]
fn a_body_that_is_one_tensor_takes_the_shape_of_the_input() {
    let bytes: Vec<u8> = (0..6_u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
    // The shape that follows; none where the values do not make one.
    let cases: [(&[Option<usize>], &[usize]); 6] = [
        (&[None, Some(2)], &[3, 2]),
        (&[None, None, Some(2)], &[1, 3, 2]),
        (&[Some(1), Some(6)], &[1, 6]),
        (&[None, Some(4)], &[]),
        (&[None, None, None], &[]),
        (&[Some(1), Some(5)], &[]),
    ];
    for (dimensions, expected) in cases {
        let inputs = [port("x", ElementType::F32, dimensions)];
        match (read_infer(bytes.clone(), Some(0), &inputs, &[]), expected) {
            (Ok(request), [rows, shape @ ..]) => {
                let table = request.table();
                assert_eq!(table.rows(), *rows);
                assert_eq!(table.columns()[0].row_shape, RowShape::Told(shape.to_vec()));
                let (_, length) = write_infer(&answer(), &request, "m").unwrap();
                assert!(length.is_some(), "a client of this form reads binary");
            }
            (Err(misfit), []) => assert_eq!(misfit.column.as_deref(), Some("x"), "{misfit}"),
            (result, _) => panic!("{dimensions:?}: {result:?}"),
        }
    }
}

#[test]
fn a_misfit_names_the_input() {
    use MisfitKind::{MissingColumn, NoRows, NotANumber, Null, Unreadable, WrongShape, WrongType};
    let x = |rest: &str| format!(r#"{{"inputs":[{{"name":"x",{rest}}}]}}"#);
    let cases = [
        (
            x(r#""shape":[1,2],"datatype":"FP64","data":[1,2]"#),
            WrongType,
            "`FP64`, the model takes `FP32`",
        ),
        (
            x(r#""shape":[1,2],"datatype":"FP32","data":[1,2,3]"#),
            WrongShape,
            "its data are 3 values, its shape is [1, 2]",
        ),
        (
            x(r#""shape":[1,2],"datatype":"FP32","data":[[1],[2]]"#),
            WrongShape,
            "values of shape [2, 1]",
        ),
        (
            x(r#""shape":[1,2],"datatype":"FP32","data":[1,null]"#),
            Null,
            "value 1 is null; expected float",
        ),
        (x(r#""shape":[1,2],"datatype":"FP32","data":[1,"b"]"#), WrongType, "value 1 is a string"),
        (
            x(r#""shape":[1,2],"datatype":"FP32","data":[1,1e39]"#),
            MisfitKind::ValueRange,
            "value 1 is 1e39",
        ),
        (x(r#""shape":[1,-1],"datatype":"FP32","data":[1]"#), WrongShape, "negative extent"),
        (
            x(r#""shape":[8589934592,8589934592],"datatype":"FP32","data":[]"#),
            MisfitKind::OverLimit,
            "more than 67108864 values",
        ),
        (
            x(r#""shape":[1,1,1,1,1,1,1,1,1],"datatype":"FP32","data":[]"#),
            MisfitKind::OverLimit,
            "more than 8 dimensions",
        ),
        (x(r#""shape":[1,2],"datatype":"FP32""#), Null, "neither `data` nor"),
        (
            x(r#""shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}"#),
            WrongShape,
            "is 8 where 0 bytes are left",
        ),
        (
            x(r#""shape":[1,2],"datatype":"FP32","parameters":{"shared_memory_region":"r"}"#),
            Unreadable,
            "shared memory",
        ),
        (
            x(
                r#""shape":[1,2],"datatype":"FP32","data":[1,2]},{"name":"x","shape":[1],"datatype":"FP32","data":[1]"#,
            ),
            Unreadable,
            "`x` is given twice",
        ),
        (r#"{"inputs":[]}"#.into(), MissingColumn, "input `x` is missing"),
        (
            r#"{"inputs":[{"name":"q","shape":[1],"datatype":"FP32","data":[1]}]}"#.into(),
            MissingColumn,
            "input `q` is not known: the model takes `x`",
        ),
    ];
    for (text, kind, part) in cases {
        let misfit = read_json(&text, &floats()).unwrap_err();
        assert_eq!(misfit.kind, kind, "{text}: {misfit}");
        assert!(misfit.sentence.contains(part), "{text}: {misfit}");
        let name = if part.contains("`q`") { "q" } else { "x" };
        assert_eq!(misfit.column.as_deref(), Some(name), "{text}");
    }
    let unnamed = [
        (x(r#""shape":[0,2],"datatype":"FP32","data":[]"#), NoRows, "no row to infer"),
        (x(r#""shape":[1,2],"datatype":"FP32","data":[1,NaN]"#), NotANumber, "NaN or an infinity"),
        (x(r#""shape":[1,2],"datatype":"FP32","data":[1,-Infinity]"#), NotANumber, "infinity"),
        (x(r#""shape":[1,2],"data":[1,2]"#), Unreadable, "missing field `datatype`"),
        ("".into(), Unreadable, "no inference request"),
        ("[".repeat(100_000), Unreadable, "no inference request"),
    ];
    for (text, kind, part) in unnamed {
        let misfit = read_json(&text, &floats()).unwrap_err();
        assert_eq!(misfit.kind, kind, "{misfit}");
        assert!(misfit.sentence.contains(part), "{misfit}");
    }
}

#[test]
fn binary_tensors_of_another_size_are_refused() {
    let inputs = [port("x", ElementType::String, &[None])];
    let head = |size: usize, shape: &str| {
        format!(
            r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"BYTES","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    let cases: [(String, &[u8], &str); 6] = [
        (head(5, "[1]"), &[1, 0, 0, 0, 0xff], "value 0 is not UTF-8"),
        (head(5, "[1]"), &[2, 0, 0, 0, 65], "it ends within its element 0"),
        (head(5, "[2]"), &[1, 0, 0, 0, 65], "it ends before its 2 elements"),
        (head(6, "[1]"), &[1, 0, 0, 0, 65, 0], "1 bytes are left after its 1 elements"),
        (head(4, "[1]"), &[0, 0, 0, 0, 1], "1 bytes of the body belong to no input"),
        (head(9, "[1]"), &[0, 0, 0, 0], "is 9 where 4 bytes are left"),
    ];
    for (head, tensors, part) in cases {
        let misfit = read_binary(&head, tensors, &inputs).unwrap_err();
        assert!(misfit.sentence.contains(part), "{misfit}");
    }
    let head = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":7}}]}"#;
    let misfit = read_binary(head, &[0; 7], &floats()).unwrap_err();
    assert!(misfit.sentence.contains("7 bytes where 2 elements of 4 bytes belong"), "{misfit}");
    let misfit = read_infer(b"{}".to_vec(), Some(3), &floats(), &[]).unwrap_err();
    assert!(misfit.sentence.contains("is 3, the body has 2 bytes"), "{misfit}");
}

#[test]
fn inputs_of_different_batches_are_refused() {
    let inputs = [port("a", ElementType::I8, &[None]), port("b", ElementType::I8, &[None])];
    let text = r#"{"inputs":[{"name":"a","shape":[1],"datatype":"INT8","data":[1]},
        {"name":"b","shape":[2],"datatype":"INT8","data":[1,2]}]}"#;
    let misfit = read_json(text, &inputs).unwrap_err();
    assert_eq!(
        misfit.sentence,
        "input `b`: its first dimension, the batch, is 2, that of `a` is 1"
    );
}

/// A request for these `outputs`, with these `parameters`.
fn asking(outputs: &str, parameters: &str) -> InferRequest {
    let text = format!(
        r#"{{"id":"7","parameters":{parameters},"outputs":{outputs},
        "inputs":[{{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}}]}}"#
    );
    read_json(&text, &floats()).unwrap()
}

#[test]
fn an_answer_is_json_unless_binary_is_asked_for() {
    let request = asking("null", "{}");
    assert_eq!(request.id(), Some("7"));
    let (body, length) = write_infer(&answer(), &request, "m").unwrap();
    assert_eq!(length, None);
    assert_eq!(
        String::from_utf8(body).unwrap(),
        concat!(
            r#"{"model_name":"m","model_version":"v1","id":"7","outputs":["#,
            r#"{"name":"y","shape":[2,1],"datatype":"FP32","data":[0.1,null]},"#,
            r#"{"name":"label","shape":[2],"datatype":"BYTES","data":["a\"","é"]},"#,
            r#"{"name":"half","shape":[1],"datatype":"FP16","data":[0.099975586]}]}"#
        )
    );
}

#[test]
fn each_output_has_the_form_asked_for_in_the_models_order() {
    let outputs = r#"[{"name":"half","parameters":{"binary_data":false}},
        {"name":"label","parameters":{"binary_data":true}},{"name":"y"}]"#;
    let (body, length) =
        write_infer(&answer(), &asking(outputs, r#"{"binary_data_output":true}"#), "m").unwrap();
    let (head, tensors) = body.split_at(length.unwrap());
    assert_eq!(
        std::str::from_utf8(head).unwrap(),
        concat!(
            r#"{"model_name":"m","model_version":"v1","id":"7","outputs":["#,
            r#"{"name":"y","shape":[2,1],"datatype":"FP32","parameters":{"binary_data_size":8}},"#,
            r#"{"name":"label","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":12}},"#,
            r#"{"name":"half","shape":[1],"datatype":"FP16","data":[0.099975586]}]}"#
        )
    );
    let numbers = [0.1_f32, f32::NAN].map(f32::to_le_bytes).concat();
    let texts = [2, 0, 0, 0, b'a', b'"', 2, 0, 0, 0, 0xc3, 0xa9];
    assert_eq!(tensors, [&numbers[..], &texts].concat());
}

#[test]
fn a_column_that_splits_comes_in_a_type_of_its_own() {
    let companions = ["card".to_owned()];
    let body = |datatype: &str, data: &str| {
        format!(
            r#"{{"inputs":[{{"name":"card","shape":[2],"datatype":"{datatype}","data":{data}}},
            {{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}}]}}"#
        )
    };
    let read = |text: String, companions: &[String]| {
        read_infer(text.into_bytes(), None, &floats(), companions)
    };
    let texts = vec!["gold".to_owned(), "plain".to_owned()];
    for (datatype, data, wanted) in [
        ("BYTES", r#"["gold","plain"]"#, Data::String(Cow::Owned(texts))),
        ("INT64", "[7,-8]", Data::I64(Cow::Borrowed(&[7, -8]))),
        ("BOOL", "[true,false]", Data::Bool(Cow::Borrowed(&[true, false]))),
    ] {
        let request = read(body(datatype, data), &companions).unwrap();
        assert_eq!(request.table().column("card").unwrap().data, wanted);
    }
    let misfit = read(body("TEXT", "[]"), &companions).unwrap_err();
    assert!(misfit.sentence.contains("`card`: its datatype is `TEXT`"), "{}", misfit.sentence);
    let misfit = read(body("INT64", "[7,8]"), &["other".to_owned()]).unwrap_err();
    assert!(misfit.sentence.contains("takes `x`, `other`"), "{}", misfit.sentence);
}

#[test]
fn what_is_beside_the_outputs_is_given_to_who_asks_for_it_by_name() {
    let key = |name: &str| ModelKey {
        name: name.into(),
        version: "v".into(),
        sha: Digest::of(name.as_bytes()),
    };
    let shadow = output("y", &[1], Data::I64(Cow::Borrowed(&[9])));
    let record = Record {
        shadows: vec![ShadowOutputs { model_name: "b".into(), outputs: vec![shadow] }],
        chosen: Some(vec![key("a"), key("b")]),
        ..answer()
    };
    let text = |outputs: &str| {
        let request = asking(outputs, "{}");
        let beside = ["out_b.y", "out_c.y", CHOSEN_MODEL].map(str::to_owned);
        request.check_outputs(&[], &beside).unwrap();
        let (body, _) = write_infer(&record, &request, "m").unwrap();
        String::from_utf8(body).unwrap()
    };
    // `c` failed, and is left out.
    let shadows = text(r#"[{"name":"out_c.y"},{"name":"out_b.y"}]"#);
    let wanted = r#""outputs":[{"name":"out_b.y","shape":[1],"datatype":"INT64","data":[9]}]}"#;
    assert!(shadows.ends_with(wanted), "{shadows}");
    let chosen = text(r#"[{"name":"_model_split"}]"#);
    assert!(chosen.contains(r#""shape":[2,1],"datatype":"BYTES","data":["{\"name\":\"a\","#));
    let (all, _) = write_infer(&record, &asking("null", "{}"), "m").unwrap();
    assert!(!String::from_utf8(all).unwrap().contains("out_b"));
}

#[test]
fn an_error_does_not_repeat_a_long_text() {
    let long = "n".repeat(100_000);
    let texts = [
        format!(r#"{{"inputs":[{{"name":"{long}","shape":[1],"datatype":"FP32","data":[1]}}]}}"#),
        format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"{long}","data":[1]}}]}}"#),
        format!(r#"{{"inputs":[{{"name":"x","shape":"{long}","datatype":"FP32"}}]}}"#),
        format!(r#"{{"inputs":[{{"name":"x","shape":[1],"datatype":"FP32","data":["{long}"]}}]}}"#),
    ];
    for text in texts {
        let misfit = read_json(&text, &floats()).unwrap_err();
        assert!(format!("{misfit:?}").len() < 1000, "{}", &misfit.sentence[..200]);
    }
}

#[test]
fn an_output_that_the_model_does_not_give_is_refused_before_and_after() {
    let request = asking(r#"[{"name":"y"},{"name":"z"}]"#, "{}");
    let before = request.check_outputs(&[port("y", ElementType::F32, &[])], &[]).unwrap_err();
    assert_eq!(before.sentence, "output `z` is not known: the model gives `y`");
    let after = write_infer(&answer(), &request, "m").unwrap_err();
    assert_eq!(after.column.as_deref(), Some("z"));
    let text = r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":2}}]}"#;
    assert!(read_json(text, &floats()).unwrap_err().sentence.contains("`classification`"));
}
