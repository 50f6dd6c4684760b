//! Models of the fixtures through the whole room: shapes that fit and do not, time that runs out.

pub(super) mod weighted;

use super::{Deadline, Flow, Model, Part, Pool, RunError, kernels_in_use, profiled};
use crate::random::Random;
use crate::tensor::{Column, Data, MisfitKind, RowShape, Table};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn model(name: &str) -> Model {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    Model::load(&fixtures.join(name)).unwrap()
}

fn flow(name: &str) -> Flow {
    Flow::of_model(Arc::new(model(name)))
}

fn pool() -> Pool {
    Pool::start(2).unwrap()
}

fn floats(name: &'static str, rows: usize, row_shape: RowShape) -> Table<'static> {
    let values = (0..rows * row_shape.elements()).map(|index| (index % 17) as f32 / 17.0);
    let data = Data::F32(Cow::Owned(values.collect()));
    Table::new(rows, vec![Column { name: name.into(), row_shape, data }]).unwrap()
}

fn misfit(error: RunError) -> MisfitKind {
    let RunError::Misfit(misfit) = error else { panic!("no misfit: {error}") };
    misfit.kind
}

#[test]
fn a_batch_run_in_parts_gives_what_each_row_gives_alone() {
    let (flow, pool) = (flow("fraud.onnx"), pool());
    let table = floats("features", 1_367, RowShape::Flat(29));
    let whole = flow.run(&pool, &table, Deadline::NONE).unwrap().outputs;
    assert_eq!(whole[0].tensor.shape(), [1_367, 1]);
    let Data::F32(whole) = whole[0].tensor.data() else { panic!("not floats") };
    let Data::F32(values) = &table.columns()[0].data else { panic!("not floats") };
    for row in [0, 1_023, 1_024, 1_280, 1_366] {
        let data = Data::F32(Cow::Borrowed(&values[row * 29..(row + 1) * 29]));
        let column = Column { name: "features".into(), row_shape: RowShape::Flat(29), data };
        let alone = Table::new(1, vec![column]).unwrap();
        let alone = flow.run(&pool, &alone, Deadline::NONE).unwrap().outputs;
        let Data::F32(alone) = alone[0].tensor.data() else { panic!("not floats") };
        assert!((alone[0] - whole[row]).abs() <= 1e-6, "row {row}: {} {}", alone[0], whole[row]);
    }
}

#[test]
fn threads_have_parts_of_what_one_of_them_could_compute_in_one() {
    let table = floats("features", 1_024, RowShape::Flat(29));
    for (threads, wanted) in [(1, [true, false]), (2, [false, true])] {
        let model = Arc::new(model("fraud.onnx"));
        let pool = Pool::start(threads).unwrap();
        Flow::of_model(model.clone()).run(&pool, &table, Deadline::NONE).unwrap();
        let made = [1_024, 256].map(|rows| model.plans.made(&[rows]).is_some());
        assert_eq!(made, wanted, "{threads} threads");
    }
}

/// The parts of one run after the plan was made.
fn parts(name: &str, table: &Table<'_>) -> Vec<Part> {
    let (flow, pool) = (flow(name), pool());
    let run = || flow.run(&pool, table, Deadline::NONE).unwrap();
    run();
    profiled(run).1
}

#[test]
fn a_profile_has_every_product_of_a_net_and_its_weights() {
    let parts = parts("fraud.onnx", &floats("features", 1, RowShape::Flat(29)));
    let layers = [29 * 32, 32 * 16, 16];
    let of_layers: Vec<_> =
        parts.iter().filter(|part| layers.contains(&part.work.floats)).collect();
    let products: Vec<usize> = of_layers.iter().map(|part| part.work.floats).collect();
    assert_eq!(products, layers, "{parts:#?}");
    for part in of_layers {
        assert!(part.work.bytes >= 4 * part.work.floats, "{part:?} has no weights");
    }
}

#[test]
fn a_profile_tells_the_convolutions_of_a_stretch_one_by_one() {
    if kernels_in_use().is_none() {
        return; // tract computes them as it likes
    }
    let row = RowShape::Told(vec![3, 224, 224]);
    let parts = parts("vision.onnx", &floats("tensor", 1, row));
    let told = |part: &Part| (part.name.clone(), part.work.floats);
    let convolutions = parts.iter().filter(|part| part.name.starts_with("convolution")).map(told);
    let known = [
        ("convolution 7x7".to_owned(), 8 * 3 * 7 * 7 * 56 * 56),
        ("convolution 5x5".to_owned(), 12 * 8 * 5 * 5 * 14 * 14),
        ("convolution 3x3".to_owned(), 16 * 12 * 3 * 3 * 7 * 7),
    ];
    assert_eq!(convolutions.collect::<Vec<_>>(), known, "{parts:#?}");
}

#[test]
fn rows_that_are_computed_together_are_not_cut_into_parts() {
    let rows = 1_367;
    let data = Data::F32(Cow::Owned((0..rows).map(|row| row as f32).collect()));
    let column = Column { name: "x".into(), row_shape: RowShape::Flat(1), data };
    let table = Table::new(rows, vec![column]).unwrap();
    let outputs = flow("centred.onnx").run(&pool(), &table, Deadline::NONE).unwrap().outputs;
    let Data::F32(found) = outputs[0].tensor.data() else { panic!("not floats") };
    assert!((found[0] + 683.0).abs() < 0.1, "{} is not what 0 is off 683", found[0]);
    assert!((found[1_366] - 683.0).abs() < 0.1, "{} is not what 1366 is off 683", found[1_366]);
    let apart = ["fraud", "double", "picked", "recurrent", "score", "two_in_two_out", "vision"];
    for name in apart {
        assert!(model(&format!("{name}.onnx")).divisible, "{name}");
    }
    for name in ["centred", "placed"] {
        assert!(!model(&format!("{name}.onnx")).divisible, "{name}");
    }
}

#[test]
fn a_run_past_its_deadline_is_given_up_and_the_next_is_sound() {
    let (flow, pool) = (flow("fraud.onnx"), pool());
    let table = floats("features", 1, RowShape::Flat(29));
    let passed = Deadline::at(Instant::now());
    for _ in 0..3 {
        let late = flow.run(&pool, &table, passed).unwrap_err();
        assert!(matches!(late, RunError::Late), "{late}");
        flow.run(&pool, &table, Deadline::NONE).unwrap();
    }
}

#[test]
fn a_loop_without_an_end_is_given_up_at_the_deadline() {
    let (flow, pool) = (flow("endless.onnx"), pool());
    let table = floats("x", 1, RowShape::Flat(1));
    let soon = Deadline::at(Instant::now() + Duration::from_millis(50));
    let late = flow.run(&pool, &table, soon).unwrap_err();
    assert!(matches!(late, RunError::Late), "{late}");
}

/// What `either.onnx` makes of these rows.
fn either(flow: &Flow, pool: &Pool, rows: Vec<f32>) -> Vec<f32> {
    let column = Column {
        name: "x".into(),
        row_shape: RowShape::Flat(1),
        data: Data::F32(Cow::Owned(rows.clone())),
    };
    let table = Table::new(rows.len(), vec![column]).unwrap();
    let outputs = flow.run(pool, &table, Deadline::NONE).unwrap().outputs;
    assert_eq!(outputs[0].tensor.shape(), [rows.len(), 1]);
    let Data::F32(values) = outputs[0].tensor.data() else { panic!("not floats") };
    values.to_vec()
}

#[test]
fn rows_take_the_branch_that_all_of_them_decide_on_whatever_shapes_it_has_inside() {
    let (flow, pool) = (flow("either.onnx"), pool());
    assert_eq!(either(&flow, &pool, vec![1.0, -2.0]), [2.0, -4.0]);
    assert_eq!(either(&flow, &pool, vec![1.0, 20.0]), [101.0, 120.0]);
    assert_eq!(either(&flow, &pool, vec![-1.0, 20.0, 3.0]), [99.0, 120.0, 103.0]);
    // So many that they would run in parts if a row were its own matter.
    let mut many: Vec<f32> = (0..1_367).map(|row| (row % 9) as f32).collect();
    let doubled: Vec<f32> = many.iter().map(|value| value * 2.0).collect();
    assert_eq!(either(&flow, &pool, many.clone()), doubled);
    *many.last_mut().unwrap() = 50.0;
    let marked: Vec<f32> = many.iter().map(|value| value + 100.0).collect();
    assert_eq!(either(&flow, &pool, many), marked);
}

#[test]
fn a_told_shape_must_be_the_models_up_to_extents_of_one() {
    let (flow, pool) = (flow("vision_fixed.onnx"), pool());
    let run = |shape: &[usize]| {
        let table = floats("tensor", 1, RowShape::Told(shape.to_vec()));
        flow.run(&pool, &table, Deadline::NONE)
    };
    run(&[3, 224, 224]).unwrap();
    run(&[1, 3, 224, 224]).unwrap();
    // The same number of values in another order is another image.
    assert_eq!(misfit(run(&[224, 224, 3]).unwrap_err()), MisfitKind::WrongShape);
    assert_eq!(misfit(run(&[3, 224, 223]).unwrap_err()), MisfitKind::WrongShape);
}

/// Connections have small stacks, and a request that runs in one part computes on them.
#[cfg(feature = "engine")] // without it there is no server
#[test]
fn a_fourth_of_a_connections_stack_is_enough_to_run_a_model() {
    let pool = pool();
    for (name, input, row) in [("fraud", "features", 29), ("vision", "tensor", 3 * 224 * 224)] {
        let flow = flow(&format!("{name}.onnx"));
        let table = floats(input, 1, RowShape::Flat(row));
        std::thread::scope(|scope| {
            let small =
                std::thread::Builder::new().stack_size(crate::http::server::THREAD_STACK_BYTES / 4);
            let run = || flow.run(&pool, &table, Deadline::NONE).map(drop);
            small.spawn_scoped(scope, run).unwrap().join().unwrap().unwrap();
        });
    }
}

#[test]
fn values_that_the_models_type_cannot_hold_name_their_row() {
    let (flow, pool) = (flow("counter.onnx"), pool());
    let data = Data::F64(Cow::Owned(vec![1.0, 2.0, 3.0, 4.5]));
    let column = Column { name: "x".into(), row_shape: RowShape::Flat(2), data };
    let table = Table::new(2, vec![column]).unwrap();
    let error = flow.run(&pool, &table, Deadline::NONE).unwrap_err();
    let RunError::Misfit(misfit) = error else { panic!("no misfit: {error}") };
    assert_eq!((misfit.kind, misfit.row), (MisfitKind::ValueRange, Some(1)));
    assert_eq!(misfit.found.as_deref(), Some("4.5"));
}

#[test]
fn more_shapes_than_plans_are_kept_still_run() {
    let (model, pool) = (model("two_in_two_out.onnx"), pool());
    let names = ["left".to_owned(), "right".to_owned()];
    for rows in 1..=70 {
        let column = |name: &'static str, width: usize| Column {
            name: name.into(),
            row_shape: RowShape::Flat(width),
            data: Data::F32(Cow::Owned(vec![1.0; rows * width])),
        };
        let table = Table::new(rows, vec![column("left", 4), column("right", 3)]).unwrap();
        let outputs = model.run(&pool, &pool.all_turns(), &names, &table, Deadline::NONE).unwrap();
        assert_eq!(outputs[1].tensor.shape(), [rows, 2]);
    }
}

#[test]
fn a_loop_begins_anew_with_each_run() {
    let (flow, pool) = (flow("distances.onnx"), pool());
    for first in [3.0, 0.0] {
        let data = Data::F32(Cow::Owned(vec![first, 0.0]));
        let column = Column { name: "x".into(), row_shape: RowShape::Flat(2), data };
        let table = Table::new(1, vec![column]).unwrap();
        let outputs = flow.run(&pool, &table, Deadline::NONE).unwrap().outputs;
        let wanted = vec![first * first, (first - 1.0) * (first - 1.0), first * first + 4.0];
        assert_eq!(*outputs[0].tensor.data(), Data::F32(Cow::Owned(wanted)));
    }
}

#[test]
fn what_is_subtracted_or_divides_is_no_part_of_the_convolution_before_it() {
    let (flow, pool) = (flow("turned.onnx"), pool());
    for x in [[1.0_f32, 2.0], [-3.0, 0.5]] {
        let data = Data::F32(Cow::Owned(x.to_vec()));
        let column = Column { name: "x".into(), row_shape: RowShape::Told(vec![2, 1, 1]), data };
        let table = Table::new(1, vec![column]).unwrap();
        let outputs = flow.run(&pool, &table, Deadline::NONE).unwrap().outputs;
        let seen = [2.0 * x[0] + x[1], 3.0 * x[1] - x[0]];
        let rest = vec![10.0 - (seen[0] + 0.5), 100.0 - (seen[1] - 0.5)];
        let share = vec![10.0 / (seen[0] + 10.0), 100.0 / (seen[1] + 100.0)];
        assert_eq!(*outputs[0].tensor.data(), Data::F32(Cow::Owned(rest)));
        let Data::F32(found) = outputs[1].tensor.data() else { panic!("not floats") };
        let is_near = |(found, wanted): (&f32, &f32)| (found - wanted).abs() <= 1e-6 * wanted.abs();
        assert!(found.iter().zip(&share).all(is_near), "{found:?} for {share:?}");
    }
}

#[test]
fn inputs_whose_first_dimension_has_no_name_have_the_same_rows() {
    let (flow, pool) = (flow("nameless.onnx"), pool());
    let column = |name: &'static str, values: Vec<f32>| Column {
        name: name.into(),
        row_shape: RowShape::Flat(1),
        data: Data::F32(Cow::Owned(values)),
    };
    let columns = vec![column("left", vec![1.0, 2.0]), column("right", vec![3.0, 4.0])];
    let table = Table::new(2, columns).unwrap();
    let outputs = flow.run(&pool, &table, Deadline::NONE).unwrap().outputs;
    assert_eq!(outputs[0].tensor.shape(), [2, 2]);
    assert_eq!(*outputs[0].tensor.data(), Data::F32(Cow::Owned(vec![1.0, 3.0, 2.0, 4.0])));
}

/// Each with what the sentence must say: what, where, and what was expected.
#[test]
fn values_that_nobody_can_compute_with_are_refused_by_a_sentence_at_the_node() {
    type Given = (&'static str, RowShape, Data<'static>);
    let floats = |name, row, values: &[f32]| -> Given {
        (name, row, Data::F32(Cow::Owned(values.to_vec())))
    };
    let integers = |name, row, values: &[i64]| -> Given {
        (name, row, Data::I64(Cow::Owned(values.to_vec())))
    };
    let told = |shape: &[usize]| RowShape::Told(shape.to_vec());
    let pick = |places: &[i64]| {
        let x = floats("x", told(&[3, 2]), &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        ("picked.onnx", vec![x, integers("places", told(&[2, 2]), places)])
    };
    let place = |place: i64, updates: &[f32]| {
        let x = floats("x", told(&[3]), &[1.0, 2.0, 3.0]);
        let updates = floats("updates", told(&[updates.len()]), updates);
        ("placed.onnx", vec![x, integers("places", told(&[1]), &[place]), updates])
    };
    let divide = |by: &[i64]| {
        ("divided.onnx", vec![integers("x", told(&[2]), &[7, -7]), integers("by", told(&[2]), by)])
    };
    let run = |(file, given): (&str, Vec<Given>)| {
        let columns = given.into_iter().map(|(name, row_shape, data)| Column {
            name: name.into(),
            row_shape,
            data,
        });
        let table = Table::new(1, columns.collect()).unwrap();
        flow(file).run(&pool(), &table, Deadline::NONE).map(|ran| {
            let outputs = ran.outputs.iter();
            outputs.map(|output| format!("{:?}", output.tensor.data())).collect::<Vec<_>>()
        })
    };
    assert!(run(pick(&[2, 0, -1, 1])).unwrap()[0].contains("[5.0, 2.0, 5.0, 4.0]"));
    assert!(run(place(0, &[1.0, 1.0, 1.0])).unwrap()[0].contains("[2.0, 3.0, 4.0]"));
    assert!(run(place(-1, &[1.0, 1.0, 1.0])).is_ok(), "counted from the end");
    assert!(run(divide(&[2, 2])).unwrap()[1].contains("[1, 1]"));
    let cases = [
        (pick(&[0, 0, 3, 1]), "pick", "the index 3 at [0, 1, 0] is beyond the axis 1"),
        (place(1, &[1.0, 1.0, 1.0]), "place", "the index 1 for the update at [0] is beyond"),
        (place(-7, &[1.0, 1.0, 1.0]), "place", "the index -7 for the update at [0] is beyond"),
        (place(0, &[1.0, 1.0]), "place", "have the shape [1, 2], and for these indices"),
        (divide(&[2, 0]), "divide", "integers are divided by 0: the divisor has it at [0, 1]"),
    ];
    for (given, node, words) in cases {
        let error = crate::exit::chain(&run(given).unwrap_err());
        assert!(error.contains(node) && error.contains(words), "{error}");
        assert!(error.starts_with("the model cannot compute this input"), "{error}");
    }
}

#[test]
fn no_change_of_a_models_bytes_is_more_than_an_error() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut random = |below: usize| random.below(below);
    let mut refused = 0;
    for name in ["counter.onnx", "score.onnx", "small_ints.onnx", "two_in_two_out.onnx"] {
        let sound = std::fs::read(fixtures.join(name)).unwrap();
        for _ in 0..100 {
            let mut bytes = sound.clone();
            for _ in 0..=random(3) {
                let place = random(bytes.len());
                bytes[place] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            // A crash, a hang or a panic that gets out ends the test; all else is an answer.
            refused += usize::from(Model::from_bytes(bytes).is_err());
        }
    }
    assert!(refused > 100, "only {refused} of 400 were refused: are the files still models?");
}
