//! Families of kernels that are left off one by one: a net then has none of theirs, all others, and the same answers.
//!
//! In a program of its own, with one test: the switch is for all models of a process.

#![cfg(feature = "engine")]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use potoroo::runtime::{Deadline, Families, Flow, Model, Part, Pool, profiled, use_kernels};
use potoroo::tensor::{Column, Data, RowShape, Table};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// The file of a net below `tests/fixtures`, its input, and what one row of it is.
type Net = (&'static str, &'static str, &'static [usize]);

const FLOATS: Net = ("models/families.onnx", "x", &[32, 24, 24]);
const IMAGES: Net = ("quantised/mobilenet_qdq_u8s8_channel.onnx", "x", &[3, 8, 8]);
const LAYERS: Net = ("quantised/mlp_qdq_u8s8_channel.onnx", "x", &[8]);

/// The first floats that a row comes to, and the parts of a run.
fn run((file, input, row): Net) -> (Vec<f32>, Vec<Part>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let flow = Flow::of_model(Arc::new(Model::load(&path).unwrap()));
    let pool = Pool::start(1).unwrap();
    let row_shape = RowShape::Told(row.to_vec());
    let values = (0..row_shape.elements()).map(|it| (it * it % 101) as f32 / 50.0 - 1.0);
    let data = Data::F32(Cow::Owned(values.collect()));
    let table = Table::new(1, vec![Column { name: input.into(), row_shape, data }]).unwrap();
    let run = || flow.run(&pool, &table, Deadline::NONE).unwrap();
    run(); // makes the plan
    let (answer, parts) = profiled(run);
    let Data::F32(values) = answer.outputs[0].tensor.data() else { panic!("not floats") };
    (values.to_vec(), parts)
}

/// Families, the net that shows them, and what is in the names of their parts.
const SHOWN: [(&str, Net, &str); 9] = [
    ("patches", FLOATS, "in patches"),
    ("images", FLOATS, "convolution"),
    ("softmax", FLOATS, "SoftmaxAcross"),
    ("products", FLOATS, "Product"),
    ("norms", FLOATS, "Normal"),
    ("attention", FLOATS, "Attention"),
    ("recurrent", FLOATS, "Recurrence"),
    ("quantised-images", IMAGES, "in integers"),
    ("quantised-products", LAYERS, "Counted"),
];

fn has(parts: &[Part], words: &str) -> bool {
    parts.iter().any(|part| part.name.contains(words))
}

/// Whether these are the same but for rounding, of floats alone.
fn are_same(net: Net, one: &[f32], other: &[f32]) -> bool {
    let slack = if net == FLOATS { 1e-4 } else { 0.0 };
    let pairs = one.iter().zip(other);
    one.len() == other.len() && pairs.into_iter().all(|(one, other)| (one - other).abs() <= slack)
}

#[test]
fn each_family_of_kernels_can_be_left_off_alone() {
    if potoroo::runtime::kernels_in_use().is_none() {
        return; // this processor has none
    }
    let nets = [FLOATS, IMAGES, LAYERS];
    let all = nets.map(run);
    for (family, net, words) in SHOWN {
        let at = nets.iter().position(|it| *it == net).unwrap();
        let (wanted, before) = &all[at];
        assert!(has(before, words), "{family}: {before:#?}");
        use_kernels(format!("-{family}").parse().unwrap());
        let (answer, parts) = run(net);
        assert!(!has(&parts, words), "{family}: {parts:#?}");
        assert!(are_same(net, &answer, wanted), "{family}: {answer:?} for {wanted:?}");
        for (other, _, words) in
            SHOWN.iter().filter(|(other, of, _)| *of == net && *other != family)
        {
            let is_part = (family, *other) == ("images", "patches");
            assert!(has(&parts, words) != is_part, "{other} without {family}: {parts:#?}");
        }
    }
    for families in ["-quantised-values", "false"] {
        use_kernels(families.parse().unwrap());
        for (net, (wanted, _)) in nets.into_iter().zip(&all) {
            let (answer, _) = run(net);
            assert!(are_same(net, &answer, wanted), "{families}: {answer:?} for {wanted:?}");
        }
    }
    let parts = nets.map(run).map(|(_, parts)| parts);
    for (family, _, words) in SHOWN.iter().skip(1) {
        let tracts = ["convolution", "Product"].contains(words);
        assert!(tracts || !parts.iter().any(|parts| has(parts, words)), "{family}");
    }
    use_kernels(Families::ALL);
}
