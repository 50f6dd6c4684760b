//! Answers row by row, against the original's own, and every part that a query can ask for.

use super::*;
use crate::pipeline::Finding;
use crate::tensor::{Column, Data, NamedTensor, RowShape, Tensor};
use std::borrow::Cow;

fn named<'a>(name: &str, shape: &[usize], data: Data<'a>) -> NamedTensor<'a> {
    NamedTensor { name: name.into(), tensor: Tensor::new(shape.to_vec(), data).unwrap() }
}

fn record(outputs: Vec<NamedTensor<'_>>) -> Record<'_> {
    Record {
        findings: vec![],
        chosen: None,
        shadows: vec![],
        elapsed_ns: vec![532_259, 423_392_945],
        model_name: "aloha".into(),
        model_version: String::new(),
        model_sha: "d71d9f".into(),
        outputs,
        pipeline_name: "alohas".into(),
        pipeline_version: "ae78a9cc".into(),
        time_ms: 1_752_682_622_795,
    }
}

fn column<'a>(name: &'static str, row_shape: RowShape, data: Data<'a>) -> Column<'a> {
    Column { name: name.into(), row_shape, data }
}

/// Two rows of `text_input`, answered by `main` of shape [2, 1].
fn two_rows() -> (Record<'static>, Table<'static>) {
    let data = Data::F32(Cow::Borrowed(&[0.0, 1.5, 3.5e-6, f32::NAN]));
    let input = Table::new(2, vec![column("text_input", RowShape::Flat(2), data)]).unwrap();
    let main = named("main", &[2, 1], Data::F32(Cow::Borrowed(&[0.997_564, 0.1])));
    (record(vec![main]), input)
}

fn written(query: &str) -> Result<String, String> {
    let (record, input) = two_rows();
    let dataset = Dataset::parse(Some(query)).map_err(|error| error.to_string())?;
    let rows = write_rows(&record, &input, "edge-1", &dataset);
    Ok(String::from_utf8(rows.map_err(|error| error.to_string())?).unwrap())
}

#[test]
fn each_row_has_the_bytes_of_the_original() {
    let metadata = concat!(
        r#""metadata":{"last_model":"{\"model_name\":\"aloha\",\"model_sha\":\"d71d9f\"}","#,
        r#""pipeline_version":"ae78a9cc","elapsed":[532259,423392945],"dropped":[],"#,
        r#""partition":"edge-1"}"#
    );
    let expected = format!(
        concat!(
            r#"[{{"time":1752682622795,"in":{{"text_input":[0.0,1.5]}},"out":{{"main":[0.997564]}},"#,
            r#""anomaly":{{"count":0}},{}}},"#,
            r#"{{"time":1752682622795,"in":{{"text_input":[3.5e-6,null]}},"out":{{"main":[0.1]}},"#,
            r#""anomaly":{{"count":0}},{}}}]"#
        ),
        metadata, metadata
    );
    assert_eq!(written("").unwrap(), expected);
    assert_eq!(written("x=%zz&y").unwrap(), expected, "another's parameters are passed over");
}

#[test]
fn rows_are_flat_scalars_stay_scalar_and_anomalies_are_counted() {
    let texts = ["a".to_owned(), "\"".to_owned()];
    let input = Table::new(
        2,
        vec![
            column("id", RowShape::Told(vec![]), Data::I64(Cow::Borrowed(&[7, 8]))),
            column("text", RowShape::Told(vec![]), Data::String(Cow::Borrowed(&texts))),
            column("image", RowShape::Told(vec![1, 2]), Data::U8(Cow::Borrowed(&[1, 2, 3, 4]))),
        ],
    );
    let mut record = record(vec![
        named("boxes", &[4, 2], Data::F64(Cow::Borrowed(&[0.5; 8]))),
        named("class", &[2], Data::I64(Cow::Borrowed(&[1, 2]))),
    ]);
    let finding = |name: &str, failed: [bool; 2]| Finding {
        name: name.into(),
        text: "a < 1".into(),
        failed: failed.to_vec(),
    };
    record.findings = vec![finding("low", [false, true]), finding("odd", [false, true])];
    let dataset = Dataset::parse(Some("dataset.exclude=metadata&dataset.exclude=time")).unwrap();
    let rows = write_rows(&record, &input.unwrap(), "", &dataset).unwrap();
    assert_eq!(
        String::from_utf8(rows).unwrap(),
        concat!(
            r#"[{"in":{"id":7,"text":"a","image":[1,2]},"#,
            r#""out":{"boxes":[0.5,0.5,0.5,0.5],"class":[1]},"anomaly":{"count":0,"low":false,"odd":false}},"#,
            r#"{"in":{"id":8,"text":"\"","image":[3,4]},"#,
            r#""out":{"boxes":[0.5,0.5,0.5,0.5],"class":[2]},"anomaly":{"count":2,"low":true,"odd":true}}]"#
        )
    );
}

#[test]
fn an_output_that_does_not_come_in_rows_is_refused() {
    let (mut record, input) = two_rows();
    record.outputs = vec![named("o", &[3], Data::I64(Cow::Borrowed(&[1, 2, 3])))];
    let error = write_rows(&record, &input, "", &Dataset::default()).unwrap_err();
    assert!(matches!(error, AnswerError::NotInRows { rows: 2, .. }), "{error}");
}

#[test]
fn a_query_chooses_the_parts_of_the_answer() {
    let first = |text: &str| text[1..].split_inclusive("},{").next().unwrap().to_owned();
    let cases = [
        ("dataset[]=time&dataset[]=out", r#"{"time":1752682622795,"out":{"main":[0.997564]}},{"#),
        // Order is the answer's, `%5B%5D` is `[]`.
        ("dataset%5B%5D=out&dataset=time", r#"{"time":1752682622795,"out":{"main":[0.997564]}},{"#),
        ("dataset[]=out", r#"{"main":[0.997564]},{"#),
        ("dataset[]=in.text_input", r#"{"text_input":[0.0,1.5]},{"#),
        (
            "dataset[]=*&dataset.exclude[]=metadata&dataset.separator=.",
            concat!(
                r#"{"time":1752682622795,"in.text_input":[0.0,1.5],"out.main":[0.997564],"#,
                r#""anomaly.count":0},{"#
            ),
        ),
        // A listed sub-path wins over an excluded parent.
        (
            "dataset[]=time&dataset[]=anomaly.count&dataset.exclude[]=anomaly",
            r#"{"time":1752682622795,"anomaly":{"count":0}},{"#,
        ),
        (
            "dataset[]=time&dataset[]=metadata.partition&dataset.separator=.",
            r#"{"time":1752682622795,"metadata.partition":"edge-1"},{"#,
        ),
        (
            "dataset[]=anomaly&dataset[]=metadata&dataset.flatten=true&dataset.exclude=metadata.elapsed&dataset.exclude=metadata.last_model",
            concat!(
                r#"{"anomaly.count":0,"metadata.pipeline_version":"ae78a9cc","#,
                r#""metadata.dropped":[],"metadata.partition":"edge-1"},{"#
            ),
        ),
        (
            "dataset[]=out&dataset[]=anomaly&dataset.separator=%2F+&dataset.exclude[]=nothing",
            r#"{"out/ main":[0.997564],"anomaly/ count":0},{"#,
        ),
        (
            "dataset[]=out/main&dataset[]=anomaly.count&dataset.separator=/",
            r#"{"out/main":[0.997564],"anomaly/count":0},{"#,
        ),
        (
            "dataset[]=time&dataset[]=out&dataset.separator=.&dataset.flatten=false",
            r#"{"time":1752682622795,"out":{"main":[0.997564]}},{"#,
        ),
    ];
    for (query, element) in cases {
        assert_eq!(first(&written(query).unwrap()), element, "{query}");
    }
}

#[test]
fn a_query_that_cannot_be_followed_says_why() {
    let cases = [
        (
            "dataset[]=in.tensor",
            concat!(
                "the answer has no `in.tensor`; it has `time`, `in`, `in.text_input`, `out`, ",
                "`out.main`, `anomaly`, `anomaly.count`, `metadata`, `metadata.last_model`, ",
                "`metadata.pipeline_version`, `metadata.elapsed`, `metadata.dropped`, and 1 more"
            ),
        ),
        (
            "dataset.max_bytes=1",
            "the query parameter `dataset.max_bytes` is not known; known are `dataset[]`, \
             `dataset.exclude[]`, `dataset.separator` and `dataset.flatten`",
        ),
        (
            "dataset.flatten=yes",
            "the query parameter `dataset.flatten` is `yes`; expected `true` or `false`",
        ),
        (
            "dataset.separator=",
            "the query parameter `dataset.separator` is ``; expected 1 to 16 bytes, as `.`",
        ),
        ("dataset=%f", "the query's `%f` is not percent-encoded UTF-8"),
        ("dataset=%ff", "the query's `%ff` is not percent-encoded UTF-8"),
        ("dataset=time&dataset.exclude=time", "the query excludes everything that it asks for"),
    ];
    for (query, sentence) in cases {
        assert_eq!(written(query).unwrap_err(), sentence, "{query}");
    }
    let many = "dataset=time&".repeat(DATASET_PATHS_MAX + 1);
    assert!(written(&many).unwrap_err().contains("more than 256 paths"));
    let long = "x".repeat(DATASET_QUERY_BYTES_MAX + 1);
    assert!(written(&long).unwrap_err().contains("more than 8192 bytes"));
}
