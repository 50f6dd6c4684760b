//! Models of the original's tutorials with the rows that the tutorials ask them, where a folder with them is named.

use crate::support::engine::Engine;
use crate::support::python::reference;
use serde_json::Value;
use std::path::Path;

/// Names the folder: the files are not ours to give on.
const NAMED_BY: &str = "POTOROO_ORIGINAL";

/// Relative to the number, or to a tenth of the largest one beside it.
const TOLERANCE: f64 = 1e-4;

/// Each model, its pipeline, and a file of rows.
const ASKED: [(&str, &str, &str, usize); 4] = [
    ("ccfraud.onnx", "ccfraud", "cc_data_1k.arrow", 1001),
    ("rf_model.onnx", "rf-model", "xtest-1k.arrow", 1000),
    ("rf_model.onnx", "rf-model", "xtest-1.arrow", 1),
    ("rf_model.onnx", "rf-model", "xtest-1.df.json", 1),
];

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect()
}

/// How far ours are from theirs at most.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    let largest = theirs.iter().fold(0.0_f64, |largest, one| largest.max(one.abs()));
    let pairs = ours.iter().zip(theirs);
    pairs.fold(0.0, |far: f64, (our, their)| {
        far.max((our - their).abs() / their.abs().max(largest / 10.0))
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "a test that is not run, and its figures, are to be read")]
fn the_originals_own_models_answer_their_own_rows_as_onnxruntime_does() {
    let Some(folder) = std::env::var_os(NAMED_BY) else {
        return println!("skipped: {NAMED_BY} names no folder with the original's models");
    };
    let folder = Path::new(&folder);
    for (model, pipeline, rows, count) in ASKED {
        let (model, rows) = (folder.join(model), folder.join(rows));
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("expected.json");
        reference(&[Path::new("expect"), &model, &rows, &out]);
        let theirs: Value = serde_json::from_slice(&std::fs::read(out).unwrap()).unwrap();
        let theirs = numbers(&theirs[0]["data"]);
        let engine = Engine::serving(model.to_str().unwrap());
        let answer = engine.infer_file(pipeline, &rows);
        assert_eq!(answer.status, 200, "{}: {}", rows.display(), answer.body);
        let answer = answer.json();
        let output = answer[0]["outputs"][0].as_object().unwrap().values().next().unwrap();
        let ours = numbers(&output["data"]);
        assert_eq!((ours.len(), theirs.len()), (count, count), "{}", rows.display());
        let far = distance(&ours, &theirs);
        println!("{pipeline}: {count} rows of {}, farthest {far:.1e}", rows.display());
        assert!(far <= TOLERANCE, "{}: {far}", rows.display());
    }
}
