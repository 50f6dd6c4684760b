//! Pipeline files as people write them, and what is said of those that are wrong.

use super::*;

fn recipe(text: &str) -> Result<Recipe<PathBuf>, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("m.onnx"), "").unwrap();
    let path = directory.path().join("pipeline.yaml");
    std::fs::write(&path, text).unwrap();
    read(&path, None).map_err(|error| crate::exit::chain(&error))
}

#[test]
fn a_pipeline_file_is_read() {
    let text = "name: fraud\nmodels:\n  - name: a\n    path: m.onnx\n  - name: b\n    \
                path: m.onnx\n    tensor_fields: [x]\nsteps:\n  - model: b\n  - model: a\n";
    let recipe = recipe(text).unwrap();
    assert_eq!(recipe.steps, [StepRecipe::Models(vec![1]), StepRecipe::Models(vec![0])]);
    assert_eq!(recipe.models[1].tensor_fields, ["x"]);
}

#[test]
fn each_fault_of_a_pipeline_file_has_its_sentence() {
    let model = "models: [{name: a, path: m.onnx}]";
    let cases = [
        (format!("name: Fraud\n{model}\nsteps: [{{model: a}}]"), "`Fraud` cannot be the name"),
        (format!("name: f\n{model}\nsteps: []"), "0 steps"),
        (format!("name: f\n{model}\nsteps: [{{model: b}}]"), "step 1 names the model `b`"),
        (format!("name: f\n{model}\nstep: [{{model: a}}]"), "step"),
        ("name: f\nmodels: [{name: a, path: x.onnx}]\nsteps: [{model: a}]".into(), "not there"),
        (
            "name: f\nmodels: [{name: a, path: m.onnx}, {name: a, path: m.onnx}]\nsteps: \
             [{model: a}]"
                .into(),
            "two models are called `a`",
        ),
        (
            "name: f\nmodels: [{name: a, path: m.onnx}, {name: b, path: m.onnx}]\nsteps: \
             [{model: a}]"
                .into(),
            "`b` is in no step",
        ),
        ("- 1".into(), "no pipeline file"),
        (format!("name: f\n{model}\nsteps: [{{}}]"), "step 1 is none of `model`"),
        (
            format!("name: f\n{model}\nsteps: [{{challengers: [a]}}]"),
            "`challengers` without the `model`",
        ),
        (
            format!("name: f\n{model}\nsteps: [{{model: a}}]\nvalidations: [{{name: v}}]"),
            "`v` needs `must_hold: EXPRESSION` or `anomaly: EXPRESSION`",
        ),
        (
            format!(
                "name: f\n{model}\nsteps: [{{model: a}}]\nvalidations: [{{name: v, must_hold: \
                 \"out.x <\"}}]"
            ),
            "at byte 7: found the end",
        ),
    ];
    for (text, part) in cases {
        let error = recipe(&text).map(|_| ()).unwrap_err();
        assert!(error.contains(part), "{text}\ngave: {error}");
    }
}

#[test]
fn an_onnx_file_alone_is_a_pipeline_of_one_step() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("Fraud_MLP.onnx");
    std::fs::write(&path, "").unwrap();
    let recipe = read(&path, None).unwrap();
    assert_eq!((recipe.name.as_str(), recipe.steps.len()), ("fraud-mlp", 1));
    assert_eq!(recipe.models[0].place, path);
}

#[test]
fn each_kind_of_step_is_read() {
    let text = "name: f\nmodels: [{name: a, path: m.onnx}, {name: b, path: m.onnx}]\nsteps:\n  \
                - model: a\n    challengers: [b]\n  - split: {by: session, weights: {a: 2, b: 1}}\n  \
                - route: {by: card, to: {gold: b}, otherwise: a}\n  - columns: [y]\nvalidations:\n  \
                - {name: low, must_hold: out.y < 1}\n  - {name: odd, anomaly: out.y > 2}\n";
    let steps = recipe(text).unwrap().steps;
    assert_eq!(steps[0], StepRecipe::Models(vec![0, 1]));
    let weights = vec![(0, 2.0), (1, 1.0)];
    assert_eq!(steps[1], StepRecipe::Split { by: Some("session".into()), weights });
    let to = vec![("gold".to_owned(), 1)];
    assert_eq!(steps[2], StepRecipe::Route { by: "card".into(), otherwise: 0, to });
    assert_eq!(steps[3], StepRecipe::Columns(vec!["y".into()]));
    let StepRecipe::Check(validations) = &steps[4] else { panic!("{:?}", steps[4]) };
    assert_eq!(validations[1].text, "out.y > 2");
}

#[test]
fn a_recipe_for_an_ops_center_names_models_without_files() {
    let text = "name: f\nmodels: [{name: a}, {name: b, version: v}]\nsteps: [{model: a, challengers: [b]}]";
    let recipe = parse(text, Some("g")).unwrap();
    assert_eq!((recipe.name.as_str(), recipe.models[1].version.as_deref()), ("g", Some("v")));
    let cases = [
        (text.replace("{name: a}", "{name: a, path: m.onnx}"), "has a `path`"),
        (format!("{text}\nversion: mine"), "leave it out"),
        ("#".repeat(2 << 20), "more than 1048576 bytes"),
        ("{\"name\": 1}".to_owned(), "no pipeline file"),
    ];
    for (text, part) in cases {
        let error = crate::exit::chain(&parse(&text, None).unwrap_err());
        assert!(error.contains(part), "{error}");
    }
}
