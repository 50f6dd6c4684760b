//! A model with inputs and another runtime's outputs, as `tests/fixtures/ml/case.py` writes them.

use potoroo::runtime::{Deadline, Flow, LoadError, Model, Pool, RunError};
use potoroo::tensor::{Column, Data, ElementType, NamedTensor, RowShape, Table, Tensor};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Relative to the number, or to a tenth of the largest one beside it: what is small there is a
/// difference of large numbers, and as good as the sum of their roundings.
const TOLERANCE: f64 = 1e-4;

/// What an answer may be off the exact one, in what the other runtime's is off: where terms cancel,
/// the last bit of each is most of the answer, and whose sum comes nearer is chance.
const FROM_EXACT_MAX: f64 = 2.0;

/// One step of quantisation, and what a product of its scale is rounded by.
const STEPS_MAX: f64 = 1.01;

/// More than one part, and no whole number of them.
const MANY_ROWS: usize = 1_350;

#[derive(Deserialize)]
struct Written {
    name: String,
    dtype: String,
    dim: Vec<usize>,
    data: Vec<Value>,
}

#[derive(Deserialize)]
struct File {
    inputs: Vec<Written>,
    outputs: Vec<Written>,
    #[serde(default)]
    literal: Vec<Written>,
    #[serde(default)]
    exact: Vec<Written>,
    step: Option<f64>,
}

/// A case of a directory.
pub struct Case {
    pub name: String,
    model: PathBuf,
    inputs: Vec<(String, Tensor<'static>)>,
    outputs: Vec<(String, Tensor<'static>)>,
    /// What the other runtime answers where it takes each node as it is written; with quantised
    /// nets it and its optimised self are several steps apart now and then.
    literal: Vec<(String, Tensor<'static>)>,
    /// What the same net comes to in double precision; there where that is farther from the other
    /// runtime's answer than ours may be.
    exact: Vec<(String, Tensor<'static>)>,
    /// What differences are counted in, where it is not the number itself: a step of quantisation.
    pub step: Option<f64>,
}

/// Every case of a directory, by name.
pub fn cases(directory: &Path) -> Vec<Case> {
    let mut models: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "onnx"))
        .collect();
    models.sort();
    models.into_iter().map(Case::read).collect()
}

impl Case {
    fn read(model: PathBuf) -> Case {
        let text = std::fs::read(model.with_extension("json")).unwrap();
        let file: File = serde_json::from_slice(&text).unwrap();
        let read = |written: Vec<Written>| written.into_iter().map(tensor).collect();
        let name = model.file_stem().unwrap().to_string_lossy().into_owned();
        let parts = [file.inputs, file.outputs, file.literal, file.exact];
        let [inputs, outputs, literal, exact] = parts.map(read);
        Case { name, model, inputs, outputs, literal, exact, step: file.step }
    }

    /// How far the farthest output is from the other runtime's; an error says why there is none.
    pub fn difference(&self, pool: &Pool) -> Result<f64, String> {
        let model = Model::load(&self.model).map_err(|error| chain(&error))?;
        let flow = Flow::of_model(Arc::new(model));
        let rows = self.inputs[0].1.shape()[0];
        let all: Vec<usize> = (0..rows).collect();
        if let Some(step) = self.step {
            return self.steps(pool, &flow, &all, step);
        }
        let mut worst = self.compare(pool, &flow, &all)?;
        if self.outputs.iter().all(|(_, tensor)| tensor.shape().first() == Some(&rows)) {
            // The first row alone, and so many that they run in parts: other code does that.
            worst = worst.max(self.compare(pool, &flow, &all[..1])?);
            let many: Vec<usize> = (0..MANY_ROWS).map(|row| row * 7 % rows).collect();
            worst = worst.max(self.compare(pool, &flow, &many)?);
        }
        Ok(worst)
    }

    /// How far the other runtime is from the same net in double precision, where that is far.
    #[allow(dead_code, reason = "the catalog alone tells it")]
    pub fn inexact(&self) -> Option<f64> {
        let pairs = self.outputs.iter().zip(&self.exact);
        pairs.map(|((_, theirs), (_, exact))| off(theirs, exact)).reduce(f64::max)
    }

    /// The model's file.
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.model).unwrap()
    }

    /// Loads the file at `damaged` in the place of the model, and runs it if it loads; what it says
    /// when it breaks, and nothing when it is refused or answers.
    pub fn break_of(&self, damaged: &Path, pool: &Pool) -> Option<String> {
        let model = match Model::load(damaged) {
            Ok(model) => model,
            Err(LoadError::Broke(text)) => return Some(text),
            Err(_) => return None,
        };
        let flow = Flow::of_model(Arc::new(model));
        let rows: Vec<usize> = (0..self.inputs[0].1.shape()[0]).collect();
        match flow.run(pool, &self.table(&rows), Deadline::NONE) {
            Err(RunError::Broke(text)) => Some(text),
            Ok(_) | Err(_) => None,
        }
    }

    fn table(&self, rows: &[usize]) -> Table<'static> {
        let columns = self.inputs.iter().map(|(name, tensor)| {
            let picked = picked(tensor, rows);
            let row_shape = RowShape::Told(picked.shape()[1..].to_vec());
            Column { name: name.clone().into(), row_shape, data: picked.into_data() }
        });
        Table::new(rows.len(), columns.collect()).unwrap()
    }

    /// How many steps it is to the nearer of the other runtime's answers; one is allowed.
    fn steps(&self, pool: &Pool, flow: &Flow, rows: &[usize], step: f64) -> Result<f64, String> {
        let outcome = flow.run(pool, &self.table(rows), Deadline::NONE);
        let outputs = outcome.map_err(|error| chain(&error))?.outputs;
        let away = |wanted: &[(String, Tensor<'_>)]| {
            let pairs = outputs.iter().zip(wanted);
            pairs.fold(0.0_f64, |worst, (found, (_, wanted))| {
                match (found.tensor.data(), wanted.data()) {
                    (Data::F32(ours), Data::F32(theirs)) if ours.len() == theirs.len() => {
                        let each = ours.iter().zip(&**theirs);
                        let each = each.map(|(one, other)| f64::from((one - other).abs()) / step);
                        // A NaN is as far as can be.
                        each.fold(worst, |most, one| if one <= most { most } else { one })
                    }
                    _ => f64::INFINITY,
                }
            })
        };
        let (usual, literal) = (away(&self.outputs), away(&self.literal));
        match usual.min(literal) <= STEPS_MAX {
            true => Ok(usual.min(literal)),
            false => Err(format!(
                "{usual:.2} steps from onnxruntime, {literal:.2} from it without optimisation"
            )),
        }
    }

    /// Asks for these rows of the case.
    fn compare(&self, pool: &Pool, flow: &Flow, rows: &[usize]) -> Result<f64, String> {
        let table = self.table(rows);
        let outcome = flow.run(pool, &table, Deadline::NONE);
        let outputs = outcome.map_err(|error| chain(&error))?.outputs;
        if outputs.len() != self.outputs.len() {
            return Err(format!("{} outputs, not {}", outputs.len(), self.outputs.len()));
        }
        let all = self.inputs[0].1.shape()[0];
        let mut worst = 0.0_f64;
        let asked = |tensor: &Tensor<'static>| match rows.len() == all {
            true => tensor.clone(),
            false => picked(tensor, rows),
        };
        for (place, (found, (name, wanted))) in outputs.iter().zip(&self.outputs).enumerate() {
            let farthest = match (apart(found, name, &asked(wanted)), self.exact.get(place)) {
                (Err(reason), Some((_, exact))) => {
                    let (ours, limit) = (off(&found.tensor, &asked(exact)), off(wanted, exact));
                    if ours > FROM_EXACT_MAX * limit {
                        return Err(format!("{ours:.1e} from the exact answer; {reason}"));
                    }
                    ours
                }
                (apart, _) => apart?,
            };
            worst = worst.max(farthest);
        }
        Ok(worst)
    }
}

/// These rows of a tensor.
fn picked(tensor: &Tensor<'_>, rows: &[usize]) -> Tensor<'static> {
    let mut shape = tensor.shape().to_vec();
    shape[0] = rows.len();
    let row: usize = shape[1..].iter().product();
    let places: Vec<usize> = rows.iter().flat_map(|at| at * row..(at + 1) * row).collect();
    Tensor::new(shape, tensor.data().pick(&places)).unwrap()
}

/// An error with its causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn apart(found: &NamedTensor<'_>, name: &str, wanted: &Tensor<'_>) -> Result<f64, String> {
    let (ours, theirs) = (&found.tensor, wanted.data());
    let shape = wanted.shape();
    if found.name != name || ours.shape() != shape || ours.data().element() != theirs.element() {
        let (element, ours) = (ours.data().element(), ours.shape());
        let wanted = theirs.element();
        return Err(format!(
            "{} {element}{ours:?} where {name} {wanted}{shape:?} is wanted",
            found.name
        ));
    }
    let differs = || format!("{name} is {:?} and not {:?}", ours.data(), theirs);
    match (ours.data(), theirs) {
        (Data::F32(ours), Data::F32(theirs)) => {
            let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
            farthest(&wide(ours), &wide(theirs)).ok_or_else(differs)
        }
        (Data::F64(ours), Data::F64(theirs)) => farthest(ours, theirs).ok_or_else(differs),
        (ours, theirs) if ours == theirs => Ok(0.0),
        _ => Err(differs()),
    }
}

/// `None` beyond the tolerance.
fn farthest(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    Some(distance(ours, theirs)).filter(|apart| *apart <= TOLERANCE)
}

/// How far two lists are apart at most, infinitely where only one of them has a number.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    let finite = theirs.iter().filter(|value| value.is_finite());
    let largest = finite.fold(0.0, |most: f64, value| most.max(value.abs()));
    let mut worst = 0.0_f64;
    for (ours, theirs) in ours.iter().zip(theirs) {
        if ours == theirs || (ours.is_nan() && theirs.is_nan()) {
            continue;
        }
        let apart = (ours - theirs).abs() / theirs.abs().max(largest / 10.0);
        worst = worst.max(if apart.is_nan() { f64::INFINITY } else { apart });
    }
    worst
}

/// How far an answer is from the exact one.
fn off(answer: &Tensor<'_>, exact: &Tensor<'_>) -> f64 {
    match (answer.data(), exact.data()) {
        (Data::F32(answer), Data::F64(exact)) if answer.len() == exact.len() => {
            distance(&answer.iter().copied().map(f64::from).collect::<Vec<f64>>(), exact)
        }
        _ => f64::INFINITY,
    }
}

fn tensor(written: Written) -> (String, Tensor<'static>) {
    fn list<T: Clone>(data: &[Value], one: impl Fn(&Value) -> T) -> Cow<'static, [T]> {
        Cow::Owned(data.iter().map(one).collect())
    }
    let float = |value: &Value| match value {
        Value::Null => f64::NAN,
        Value::String(text) => text.parse().unwrap(),
        Value::Number(number) => number.as_f64().unwrap(),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => panic!("{value} is no float"),
    };
    let integer = |value: &Value| value.as_i64().unwrap();
    let data = &written.data;
    let data = match written.dtype.as_str() {
        "float32" => Data::F32(list(data, |value| float(value) as f32)),
        "float64" => Data::F64(list(data, float)),
        "int64" => Data::I64(list(data, integer)),
        "int32" => Data::I32(list(data, |value| integer(value) as i32)),
        "int16" => Data::I16(list(data, |value| integer(value) as i16)),
        "bool" => Data::Bool(list(data, |value| value.as_bool().unwrap())),
        "string" => Data::String(list(data, |value| value.as_str().unwrap().to_owned())),
        other => panic!("no element type for {other}, of {:?}", ElementType::ALL),
    };
    (written.name, Tensor::new(written.dim, data).unwrap())
}
