//! Steps as they run: challengers, splits, checks, and what does not go together.

use super::*;
use crate::oci::Digest;
use crate::pipeline::{KeySplit, RandomSplit, Sense, Step, Validation};
use crate::tensor::Data;
use std::borrow::Cow;
use std::path::Path;

/// A model of the fixtures under a name: `fraud` and `fraud@b` are two models of one file.
fn key(name: &str) -> ModelKey {
    ModelKey { name: name.into(), version: "1".into(), sha: Digest::of(name.as_bytes()) }
}

fn models(names: &[&str]) -> Step {
    Step::ModelInference(names.iter().map(|name| key(name)).collect())
}

fn flow(steps: Vec<Step>) -> Result<Flow, String> {
    let definition = Definition {
        name: "p".into(),
        version: String::new(),
        steps,
        models: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        known_answers: None,
        log: crate::pipeline::LogPolicy::default(),
        created: None,
    };
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let load = |key: &ModelKey| {
        let file = key.name.split('@').next().unwrap_or_default();
        Arc::new(Model::load(&fixtures.join(format!("{file}.onnx"))).unwrap())
    };
    Flow::new(&definition, load).map_err(|error| crate::exit::chain(&error))
}

/// Rows of the fraud model, each unlike the others, with a further column.
fn rows(count: usize, further: Option<(&'static str, Data<'static>)>) -> Table<'static> {
    let values = (0..count * 29).map(|index| (index % 23) as f32 / 23.0).collect();
    let features = Column {
        name: "features".into(),
        row_shape: RowShape::Flat(29),
        data: Data::F32(Cow::Owned(values)),
    };
    let further = further.map(|(name, data)| Column {
        name: name.into(),
        row_shape: RowShape::Told(Vec::new()),
        data,
    });
    Table::new(count, std::iter::once(features).chain(further).collect()).unwrap()
}

fn run(steps: Vec<Step>, table: &Table<'_>) -> Outcome {
    let pool = Pool::start(2).unwrap();
    flow(steps).unwrap().run(&pool, table, Deadline::NONE).unwrap()
}

fn floats(outputs: &[NamedTensor<'_>]) -> Vec<f32> {
    let Data::F32(values) = outputs[0].tensor.data() else { panic!("not floats") };
    values.to_vec()
}

#[test]
fn models_in_turn_feed_each_other() {
    let table = rows(3, None);
    let fraud = run(vec![models(&["fraud"])], &table);
    let both = run(vec![models(&["fraud"]), models(&["score"])], &table);
    assert_eq!(both.model.name, "score");
    assert_eq!(both.elapsed.len(), 2);
    assert_eq!(both.outputs[0].name, "score");
    let ratio = floats(&both.outputs)[0] / floats(&fraud.outputs)[0];
    for (score, fraud) in floats(&both.outputs).iter().zip(floats(&fraud.outputs)) {
        assert!((score - fraud * ratio).abs() <= 1e-3 * score.abs());
    }
}

#[test]
fn challengers_are_shown_beside_the_answer() {
    let table = rows(2, None);
    let alone = run(vec![models(&["fraud"])], &table);
    let steps = vec![models(&["fraud", "fraud@b", "fraud@c"])];
    let outcome = run(steps, &table);
    assert_eq!(outcome.model.name, "fraud");
    assert_eq!(outcome.outputs, alone.outputs);
    let shadows: Vec<&str> = outcome.shadows.iter().map(|it| it.model.name.as_str()).collect();
    assert_eq!(shadows, ["fraud@b", "fraud@c"]);
    assert_eq!(outcome.shadows[0].outputs.as_ref().unwrap(), &alone.outputs);
}

#[test]
fn the_steps_after_the_models_say_which_are_shown_and_which_answers() {
    let all = models(&["fraud", "fraud@b", "fraud@c"]);
    let audit = Step::AuditResults { from: 2, to: None };
    let outcome = run(vec![all.clone(), audit, Step::MultiOut], &rows(1, None));
    assert_eq!(outcome.shadows.len(), 1);
    assert_eq!(outcome.shadows[0].model.name, "fraud@c");
    let outcome = run(vec![all, Step::Nth(1)], &rows(1, None));
    assert_eq!(outcome.model.name, "fraud@b");
    assert_eq!(outcome.shadows.len(), 2);
}

#[test]
fn a_challenger_that_cannot_compute_is_no_matter_of_the_answer() {
    let x = Column {
        name: "x".into(),
        row_shape: RowShape::Flat(2),
        data: Data::I64(Cow::Borrowed(&[4, 0])),
    };
    let table = Table::new(1, vec![x]).unwrap();
    let outcome = run(vec![models(&["counter", "double"])], &table);
    assert_eq!(outcome.outputs[0].name, "total");
    assert!(outcome.shadows[0].outputs.is_err());
}

#[test]
fn rows_go_where_their_key_says_and_come_back_in_their_order() {
    let split = Step::KeySplit(KeySplit {
        split_key: "card".into(),
        control: key("fraud"),
        routes: vec![("gold".into(), key("fraud@gold")), ("7".into(), key("fraud@seven"))],
    });
    let cards = ["gold", "none", "gold", "7", ""].map(str::to_owned).to_vec();
    let table = rows(5, Some(("card", Data::String(Cow::Owned(cards)))));
    let outcome = run(vec![split.clone()], &table);
    let chosen: Vec<String> = outcome.chosen.unwrap().into_iter().map(|key| key.name).collect();
    assert_eq!(chosen, ["fraud@gold", "fraud", "fraud@gold", "fraud@seven", "fraud"]);
    let alone = floats(&run(vec![models(&["fraud"])], &rows(5, None)).outputs);
    for (one, other) in floats(&outcome.outputs).iter().zip(&alone) {
        assert!((one - other).abs() <= 1e-6, "{one} {other}");
    }
    let numbers = Data::I64(Cow::Borrowed(&[7, 8]));
    let chosen = run(vec![split.clone()], &rows(2, Some(("card", numbers)))).chosen.unwrap();
    assert_eq!(chosen[0].name, "fraud@seven");
    let chosen = run(vec![split], &rows(1, None)).chosen.unwrap();
    assert_eq!(chosen[0].name, "fraud", "a row without the column goes to the control");
}

#[test]
fn a_hash_key_draws_the_same_model_always_and_each_by_its_weight() {
    let weights = vec![(key("fraud"), 3.0), (key("fraud@b"), 1.0)];
    let split = RandomSplit { hash_key: Some("session".into()), weights };
    let sessions = || Data::I64(Cow::Owned((0..400).collect()));
    let draw = || {
        let table = rows(400, Some(("session", sessions())));
        let outcome = run(vec![Step::RandomSplit(split.clone())], &table);
        let chosen = outcome.chosen.unwrap();
        chosen.into_iter().map(|key| key.name == "fraud").collect::<Vec<bool>>()
    };
    let first = draw();
    assert_eq!(first, draw());
    let share = first.iter().filter(|it| **it).count();
    assert!((270..330).contains(&share), "{share} of 400");
}

#[test]
fn without_a_hash_key_each_request_draws_for_all_of_its_rows() {
    let weights = vec![(key("fraud"), 1.0), (key("fraud@b"), 1.0)];
    let steps = vec![Step::RandomSplit(RandomSplit { hash_key: None, weights })];
    let (flow, pool) = (flow(steps).unwrap(), Pool::start(1).unwrap());
    let table = rows(2, None);
    let mut first = 0;
    for _ in 0..64 {
        let chosen = flow.run(&pool, &table, Deadline::NONE).unwrap().chosen.unwrap();
        assert_eq!(chosen[0], chosen[1]);
        first += usize::from(chosen[0].name == "fraud");
    }
    assert!((8..56).contains(&first), "{first} of 64");
}

#[test]
fn a_check_finds_the_rows_that_fail_it() {
    let table = rows(3, None);
    let limit = floats(&run(vec![models(&["fraud"])], &table).outputs)[1];
    let text = format!("out.fraud_probability[0] < {limit:?}");
    let check = Validation::parse("low", &text, Sense::MustHold).unwrap();
    let outcome = run(vec![models(&["fraud"]), Step::Check(vec![check])], &table);
    assert_eq!(outcome.findings[0].name, "low");
    assert!(outcome.findings[0].failed[1]);
}

#[test]
fn only_the_selected_columns_go_on() {
    let x = Column {
        name: "x".into(),
        row_shape: RowShape::Flat(2),
        data: Data::I64(Cow::Borrowed(&[4, 2])),
    };
    let table = Table::new(1, vec![x]).unwrap();
    let outcome =
        run(vec![models(&["counter"]), Step::ColumnsSelect(vec!["ratio".into()])], &table);
    assert_eq!(outcome.outputs.len(), 1);
    assert_eq!(outcome.outputs[0].name, "ratio");
}

#[test]
fn steps_that_do_not_go_together_are_refused() {
    let check = |text| {
        let check = Validation::parse("v", text, Sense::MustHold).unwrap();
        Step::Check(vec![check])
    };
    let cases = [
        (vec![check("true")], "no step that runs a model"),
        (vec![Step::Nth(0), models(&["fraud"])], "step 1 of the pipeline, `Nth`, looks at models"),
        (vec![models(&["fraud"]), Step::Nth(1)], "names model 1 of the step before it"),
        (
            vec![models(&["fraud"]), Step::AuditResults { from: 1, to: Some(3) }],
            "`AuditResults`, names model 3",
        ),
        (vec![models(&["fraud"]), Step::ColumnsSelect(vec!["y".into()])], "selects the column `y`"),
        (
            vec![models(&["fraud"]), check("out.dense < 1")],
            "`out.dense < 1`, does not fit the pipeline: `out.dense`: there is no such output",
        ),
        (vec![check("out.fraud_probability < 1"), models(&["fraud"])], "there are none"),
    ];
    for (steps, part) in cases {
        let error = flow(steps).map(|_| ()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
