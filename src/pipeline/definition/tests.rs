//! What a definition is, in all forms of the original, and what is refused.

use super::*;

/// The form that the original's publisher writes, with an unknown key as later ones have.
const ORIGINAL: &str = r#"{"id": "edge-observability-pipeline",
    "steps": [{"ModelInference": {"models": [{"name": "ccfraud-xgboost",
        "version": "05bbce2f-a258-403c-9262-43f4e8816843",
        "sha": "054810e3e3ebbdd34438d9c1a08ed6a6680ef10bf97b9223f78ebf38e14b3b52"}]}}],
    "models": [{"name":"ccfraud-xgboost","version":"05bbce2f-a258-403c-9262-43f4e8816843",
        "sha":"054810e3e3ebbdd34438d9c1a08ed6a6680ef10bf97b9223f78ebf38e14b3b52",
        "runtime":"onnx","tensor_fields":["tensor"],"filter_threshold":null}]}"#;

#[test]
fn the_originals_definition_is_read() {
    let definition = Definition::parse(ORIGINAL.as_bytes()).unwrap();
    assert_eq!(definition.name, "edge-observability-pipeline");
    let keys = definition.steps[0].models();
    let entry = definition.model(keys[0]).unwrap();
    assert_eq!(entry.tensor_fields, ["tensor"]);
    assert_eq!(definition.version, "");
}

#[test]
fn what_is_written_is_read_back() {
    let mut definition = Definition::parse(ORIGINAL.as_bytes()).unwrap();
    definition.version = "bf70eaf7-8c11-4b46-b751-916a43b1a555".into();
    definition.created = Some("2026-11-23T00:00:00Z".into());
    definition.inputs = vec![Port {
        name: "tensor".into(),
        element: crate::tensor::ElementType::F32,
        dimensions: vec![
            crate::tensor::Dimension::Free("batch".into()),
            crate::tensor::Dimension::Fixed(29),
        ],
    }];
    assert_eq!(Definition::parse(&definition.to_json()).unwrap(), definition);
}

#[test]
fn a_definition_out_of_bounds_says_which_part() {
    let sha = "0".repeat(64);
    let model = format!(r#"{{"name":"m","version":"v","sha":"{sha}","runtime":"onnx"}}"#);
    let step = format!(r#"{{"ModelInference":{{"models":[{model}]}}}}"#);
    let cases = [
        (format!(r#"{{"id":"","steps":[{step}],"models":[{model}]}}"#), "the name"),
        (format!(r#"{{"id":"p","steps":[],"models":[{model}]}}"#), "the number of steps"),
        (
            format!(r#"{{"id":"p","steps":[{{"Average":{{}}}}],"models":[{model}]}}"#),
            "step 1 of the pipeline is a `Average`",
        ),
        ("[]".to_owned(), "no pipeline definition"),
    ];
    for (text, part) in cases {
        let error = Definition::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

/// A pipeline of these steps; `MODEL` in them is a model's key.
fn with_steps(steps: &str) -> Result<Definition, String> {
    let sha = "0".repeat(64);
    let model = format!(r#"{{"name":"m","version":"v","sha":"{sha}"}}"#);
    let steps = steps.replace("MODEL", &model);
    Definition::parse(format!(r#"{{"id":"p","steps":[{steps}]}}"#).as_bytes())
        .map_err(|error| error.to_string())
}

#[test]
fn every_kind_of_step_is_read_and_written_back() {
    let definition = with_steps(
        r#"{"ModelInference":{"models":[MODEL,MODEL]}},{"AuditResults":{"from":1,"to":null}},
        {"MultiOut":{}},{"Nth":{"index":1}},{"ColumnsSelect":{"columns":["a"]}},
        {"RandomSplit":{"hash_key":"session_id","weights":[{"model":MODEL,"weight":2}]}},
        {"MetaValueSplit":{"split_key":"card","control":MODEL,"routes":{"gold":MODEL}}},
        {"Check":{"tree":["{\"Alias\":[{\"BinaryExpr\":{\"left\":{\"Column\":\"out.y\"},\"op\":\"Gt\",\"right\":{\"Literal\":{\"Float64\":0.9}}}},\"high\"]}"],
                  "validations":[{"name":"low","expression":"out.y < 1"}]}}"#,
    )
    .unwrap();
    let kinds: Vec<&str> = definition.steps.iter().map(Step::kind).collect();
    assert_eq!(
        kinds,
        [
            "ModelInference",
            "AuditResults",
            "MultiOut",
            "Nth",
            "ColumnsSelect",
            "RandomSplit",
            "MetaValueSplit",
            "Check"
        ]
    );
    let Step::Check(validations) = &definition.steps[7] else { panic!("no check") };
    let texts: Vec<&str> = validations.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["out.y > 0.9", "out.y < 1"]);
    assert_eq!(Definition::parse(&definition.to_json()).unwrap(), definition);
}

#[test]
fn models_within_a_key_of_their_own_are_read_too() {
    for model in [
        r#"{"Model":MODEL}"#,
        &format!(r#"{{"Model":null,"name":"m","version":"v","sha":"{}"}}"#, "0".repeat(64)),
    ] {
        let steps = format!(r#"{{"ModelInference":{{"models":[{model}]}}}}"#);
        assert_eq!(with_steps(&steps).unwrap().steps[0].models()[0].name, "m", "{model}");
    }
}

#[test]
fn a_step_whose_parts_do_not_go_together_says_which() {
    let check = |name: &str, text: &str| {
        format!(r#"{{"Check":{{"validations":[{{"name":"{name}","expression":"{text}"}}]}}}}"#)
    };
    let twice = format!("{},{}", check("v", "true"), check("v", "true"));
    let cases = [
        (r#"{"ModelInference":{"models":[]}}"#.to_owned(), "it names 0 models"),
        (
            r#"{"RandomSplit":{"weights":[{"model":MODEL,"weight":0}]}}"#.to_owned(),
            "the weight of model `m` is 0",
        ),
        (r#"{"ColumnsSelect":{"columns":[]}}"#.to_owned(), "selects no column"),
        (r#"{"AuditResults":{"from":2,"to":1}}"#.to_owned(), "goes from 2 to 1"),
        (check("v", "out.x <"), "the validation `v`: at byte 7"),
        (check("count", "true"), "not `count`"),
        (twice, "one that no other has"),
        (r#"{"Check":{"tree":["{}"]}}"#.to_owned(), "a validation in step 2"),
    ];
    for (step, part) in cases {
        let steps = format!(r#"{{"ModelInference":{{"models":[MODEL]}}}},{step}"#);
        let error = with_steps(&steps).unwrap_err();
        assert!(error.contains(part), "{step}\ngave: {error}");
    }
}
