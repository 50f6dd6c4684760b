//! Rows that compute together: each gets what it would have got alone, whatever becomes of the others.

use super::*;
use crate::engine::gate::Busy;
use crate::runtime::Model;
use crate::tensor::{Column, Data, RowShape};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::thread;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the models' kernels for one row and for many may differ by.
const TOLERANCE: f32 = 1e-6;

/// The parts of an engine with one turn.
struct Parts {
    gate: Gate,
    pool: Pool,
    flow: Flow,
}

impl Parts {
    fn of(model: &str) -> Parts {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        let model = Arc::new(Model::load(&fixtures.join(model)).unwrap());
        let flow = Flow::of_model(model);
        Parts { gate: Gate::batching_from(0), pool: Pool::start(1).unwrap(), flow }
    }

    fn turn(&self) -> Turn<'_> {
        Turn { gate: &self.gate, pool: &self.pool, flow: &self.flow, batches: true }
    }

    fn alone(&self, table: &Table<'_>) -> Outcome {
        self.flow.run(&self.pool, table, Deadline::NONE).unwrap()
    }

    /// Computes all tables after each has begun to wait, in their order; the one with the number
    /// `odd` has that deadline and client, and gives up before the others have their turn.
    fn crowd(
        &self,
        tables: &[Table<'_>],
        odd: usize,
        deadline: Instant,
        left: bool,
    ) -> Vec<Result<Computed, Problem>> {
        let pass = self.gate.enter(far(), &mut || false).unwrap();
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (number, table) in tables.iter().enumerate() {
                let is_odd = number == odd;
                let deadline = if is_odd { deadline } else { far() };
                let mut has_left = move || left && is_odd;
                let compute = move || self.turn().compute(table, deadline, &mut has_left);
                let thread = scope.spawn(compute);
                let waits = number + usize::from(number < odd);
                while if is_odd { !thread.is_finished() } else { self.gate.load().waiting < waits }
                {
                    thread::yield_now();
                }
                threads.push(thread);
            }
            drop(pass);
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}

fn far() -> Instant {
    Instant::now() + 2 * PATIENCE
}

fn row(name: &'static str, data: Data<'static>) -> Table<'static> {
    let row_shape = RowShape::Flat(data.len());
    Table::new(1, vec![Column { name: name.into(), row_shape, data }]).unwrap()
}

fn features(number: usize) -> Table<'static> {
    let values = (0..29).map(|index| ((number * 29 + index) % 23) as f32 / 23.0 - 0.4).collect();
    row("features", Data::F32(Cow::Owned(values)))
}

fn pairs(first: f64) -> Table<'static> {
    row("x", Data::F64(Cow::Owned(vec![first, 3.0])))
}

fn floats(outcome: &Outcome) -> &[f32] {
    let Data::F32(values) = outcome.outputs[0].tensor.data() else { panic!("not floats") };
    values
}

fn assert_same(together: &Outcome, alone: &Outcome) {
    assert_eq!(together.outputs[0].tensor.shape(), alone.outputs[0].tensor.shape());
    for (one, other) in floats(together).iter().zip(floats(alone)) {
        assert!((one - other).abs() <= TOLERANCE, "{one} {other}");
    }
}

#[test]
fn rows_that_wait_compute_together_and_each_gets_its_own() {
    let parts = Parts::of("fraud.onnx");
    let tables: Vec<_> = (0..21).map(features).collect();
    let answers = parts.crowd(&tables, usize::MAX, far(), false);
    for (table, answer) in tables.iter().zip(&answers) {
        assert_same(&answer.as_ref().unwrap().outcome, &parts.alone(table));
    }
    // One run gave all of them, so it took the same time for each.
    let elapsed = |at: usize| answers[at].as_ref().unwrap().outcome.elapsed.clone();
    assert_eq!(elapsed(1), elapsed(20));
    assert_eq!(parts.gate.load().running, 0);
}

#[test]
fn rows_that_come_to_a_short_line_compute_alone() {
    let parts = Parts { gate: Gate::batching_from(3), ..Parts::of("fraud.onnx") };
    let tables: Vec<_> = (0..7).map(features).collect();
    let answers = parts.crowd(&tables, usize::MAX, far(), false);
    let elapsed: Vec<_> =
        answers.into_iter().map(|answer| answer.unwrap().outcome.elapsed).collect();
    // What computes in one run took the same time, to the nanosecond.
    let (alone, together) = elapsed.split_at(3);
    assert!(alone.iter().any(|elapsed| *elapsed != alone[0]), "{alone:?}");
    assert!(together.iter().all(|elapsed| *elapsed == together[0]), "{together:?}");
}

#[test]
fn a_bad_row_is_refused_and_the_others_are_not() {
    let parts = Parts::of("counter.onnx");
    let tables = [1.0, 2.0, 4.5, 5.0].map(pairs);
    let answers = parts.crowd(&tables, usize::MAX, far(), false);
    for (number, answer) in answers.iter().enumerate() {
        match (number, answer) {
            (2, Err(problem)) => assert_eq!(problem.kind(), "value_range"),
            (_, Ok(answer)) => {
                let (ours, alone) = (&answer.outcome.outputs, parts.alone(&tables[number]).outputs);
                assert_eq!(*ours, alone, "integers are the same to the bit");
            }
            (number, answer) => panic!("{number}: {answer:?}"),
        }
    }
}

#[test]
fn a_client_that_leaves_takes_nobody_along() {
    let parts = Parts::of("fraud.onnx");
    let tables: Vec<_> = (0..5).map(features).collect();
    for (number, answer) in parts.crowd(&tables, 1, far(), true).into_iter().enumerate() {
        match number {
            1 => assert_eq!(answer.unwrap_err().kind(), Problem::from(Busy::ClientLeft).kind()),
            _ => assert_same(&answer.unwrap().outcome, &parts.alone(&tables[number])),
        }
    }
}

#[test]
fn a_deadline_that_passes_is_only_its_own_rows() {
    let parts = Parts::of("fraud.onnx");
    let tables: Vec<_> = (0..5).map(features).collect();
    for (number, answer) in parts.crowd(&tables, 1, Instant::now(), false).into_iter().enumerate() {
        match number {
            1 => assert_eq!(answer.unwrap_err().kind(), Problem::from(Busy::Waited).kind()),
            _ => assert_same(&answer.unwrap().outcome, &parts.alone(&tables[number])),
        }
    }
}

#[test]
fn a_deadline_that_passes_within_a_batch_leaves_the_others_their_turns() {
    let parts = Parts::of("fraud.onnx");
    let (late, other) = (features(0), features(1));
    let passed = Waiting::new(&late, 0, Instant::now()).unwrap();
    let companions = Companions::new(vec![passed.clone()]);
    let pass = parts.gate.enter(far(), &mut || false).unwrap();
    assert!(parts.turn().together(&pass, companions, &other, far()).is_none());
    assert!(matches!(passed.take_fate(), crate::engine::batch::Fate::Alone));
}

#[test]
fn rows_of_many_values_and_several_rows_take_their_own_turns() {
    let vision = Parts::of("vision.onnx");
    let image = row("tensor", Data::F32(Cow::Owned(vec![0.5; 3 * 224 * 224])));
    assert!(!vision.flow.gains_from_batches(&image));
    let fraud = Parts::of("fraud.onnx");
    assert!(fraud.flow.gains_from_batches(&features(0)));
    let data = Data::F32(Cow::Owned(vec![0.5; 58]));
    let two = Column { name: "features".into(), row_shape: RowShape::Flat(29), data };
    assert!(!fraud.flow.gains_from_batches(&Table::new(2, vec![two]).unwrap()));
}
