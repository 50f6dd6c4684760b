//! Before anything is measured: whether all servers answer the same.

use serde_json::Value;

/// Relative to the larger of the two, or to the second number for values near zero.
const TOLERANCE: f64 = 1e-4;
const NEAR_ZERO: f64 = 1e-6;

/// Panics unless two record lists have the same keys, and outputs of the same types, dimensions
/// and values. Names, versions and times are each server's own.
pub(crate) fn assert_agree(ours: &Value, theirs: &Value, who: &str) {
    let keys = |answer: &Value| -> Vec<String> {
        answer[0].as_object().expect("a record").keys().cloned().collect()
    };
    assert_eq!(keys(ours), keys(theirs), "{who}");
    let outputs = |answer: &Value| answer[0]["outputs"].as_array().expect("outputs").clone();
    let (ours, theirs) = (outputs(ours), outputs(theirs));
    assert_eq!(ours.len(), theirs.len(), "{who}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let (element, ours) = ours.as_object().unwrap().iter().next().unwrap();
        let theirs = &theirs[element];
        assert_eq!(ours["dim"], theirs["dim"], "{who}: {element}");
        let (ours, theirs) = (numbers(ours), numbers(theirs));
        assert_eq!(ours.len(), theirs.len(), "{who}: {element}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let room = TOLERANCE * ours.abs().max(theirs.abs()).max(NEAR_ZERO);
            assert!((ours - theirs).abs() <= room, "{who}: {theirs} where we have {ours}");
        }
    }
}

fn numbers(output: &Value) -> Vec<f64> {
    let data = output["data"].as_array().expect("data");
    data.iter().map(|value| value.as_f64().expect("a number")).collect()
}
