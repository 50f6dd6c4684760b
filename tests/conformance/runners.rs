//! The three that are asked: our runtime, tract as it is, without our operators and checks, and rten.

use super::cases::{Case, Set};
use super::judge;
use potoroo::runtime::{Deadline, LoadError, Model, RunError};
use potoroo::tensor::{Data, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use tract_onnx::prelude::*;

/// How a case ended; `Crashed` and `Hung` are seen from outside alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Passed,
    Wrong,
    Refused,
    Broke,
    Crashed,
    Hung,
    Unasked,
}

impl Verdict {
    pub(crate) const ALL: [(Verdict, &str); 7] = [
        (Verdict::Passed, "passed"),
        (Verdict::Wrong, "wrong"),
        (Verdict::Refused, "refused"),
        (Verdict::Broke, "broke"),
        (Verdict::Crashed, "crashed"),
        (Verdict::Hung, "hung"),
        (Verdict::Unasked, "unasked"),
    ];
}

/// Runs a case through our runtime.
pub(crate) fn ours(case: &Case) -> (Verdict, String) {
    let sets = match case.sets() {
        Ok(sets) => sets,
        Err(reason) => return (Verdict::Unasked, reason),
    };
    let model = match Model::load(&case.folder.join("model.onnx")) {
        Ok(model) => model,
        Err(error @ LoadError::Broke(_)) => return (Verdict::Broke, chain(&error)),
        Err(error) => return (Verdict::Refused, chain(&error)),
    };
    for set in &sets {
        let outputs = match model.compute(&set.inputs, Deadline::NONE) {
            Ok(outputs) => outputs,
            Err(error @ RunError::Broke(_)) => return (Verdict::Broke, chain(&error)),
            Err(error) => return (Verdict::Refused, chain(&error)),
        };
        let outputs: Vec<Tensor<'_>> = outputs.into_iter().map(|output| output.tensor).collect();
        if let Some(difference) = judge::difference(&outputs, &set.outputs, case.measure()) {
            return (Verdict::Wrong, difference);
        }
    }
    (Verdict::Passed, String::new())
}

/// What the model takes and gives, or why it does not load.
pub(crate) fn load(file: &Path) -> String {
    match Model::load(file) {
        Err(error) => format!("refused: {}", chain(&error)),
        Ok(model) => {
            let ports = |ports: &[potoroo::tensor::Port]| {
                let ports = ports.iter().map(|port| format!("{} {port}", port.name));
                ports.collect::<Vec<String>>().join(", ")
            };
            format!("{} -> {}", ports(model.inputs()), ports(model.outputs()))
        }
    }
}

/// Runs a case through tract alone, told all that helps it: the shapes of the inputs.
pub(crate) fn tract_alone(case: &Case) -> (Verdict, String) {
    let sets = match case.sets() {
        Ok(sets) => sets,
        Err(reason) => return (Verdict::Unasked, reason),
    };
    for set in &sets {
        match catch_unwind(AssertUnwindSafe(|| tract_outputs(case, set))) {
            Ok(Ok(outputs)) => {
                if let Some(difference) = judge::difference(&outputs, &set.outputs, case.measure())
                {
                    return (Verdict::Wrong, difference);
                }
            }
            Ok(Err(error)) => return (Verdict::Refused, format!("{error:#}")),
            Err(_) => return (Verdict::Broke, "a panic".into()),
        }
    }
    (Verdict::Passed, String::new())
}

/// Runs a case through rten. It has integers of 32 bits for those of 64 and for truth values, which
/// is not held against it; doubles, half floats and texts it has none.
pub(crate) fn rten_alone(case: &Case) -> (Verdict, String) {
    let sets = match case.sets() {
        Ok(sets) => sets,
        Err(reason) => return (Verdict::Unasked, reason),
    };
    for set in &sets {
        match catch_unwind(AssertUnwindSafe(|| rten_outputs(case, set))) {
            Ok(Ok(outputs)) => {
                if let Some(difference) = judge::difference(&outputs, &set.outputs, case.measure())
                {
                    return (Verdict::Wrong, difference);
                }
            }
            Ok(Err(reason)) => return (Verdict::Refused, reason.replace(['\n', '\t'], " ")),
            Err(_) => return (Verdict::Broke, "a panic".into()),
        }
    }
    (Verdict::Passed, String::new())
}

fn rten_outputs(case: &Case, set: &Set) -> Result<Vec<Tensor<'static>>, String> {
    let options = rten::ModelOptions::with_all_ops();
    let model = options.load_file(case.folder.join("model.onnx"));
    let model = model.map_err(|error| error.to_string())?;
    let mut inputs = Vec::new();
    for (id, input) in model.input_ids().iter().zip(&set.inputs) {
        let value = match input.data() {
            Data::F32(values) => rten::Value::from_shape(input.shape(), values.to_vec()).ok(),
            Data::I8(values) => rten::Value::from_shape(input.shape(), values.to_vec()).ok(),
            Data::U8(values) => rten::Value::from_shape(input.shape(), values.to_vec()).ok(),
            Data::I32(values) => rten::Value::from_shape(input.shape(), values.to_vec()).ok(),
            Data::Bool(values) => {
                let values: Vec<i32> = values.iter().map(|value| i32::from(*value)).collect();
                rten::Value::from_shape(input.shape(), values).ok()
            }
            Data::I64(values) => {
                let large = |value: &i64| *value.clamp(&i64::from(i32::MIN), &i64::from(i32::MAX));
                let values: Vec<i32> = values.iter().map(|value| large(value) as i32).collect();
                rten::Value::from_shape(input.shape(), values).ok()
            }
            _ => None,
        };
        let value = value.ok_or_else(|| format!("no form for {}", input.element()))?;
        inputs.push((*id, value.into()));
    }
    let outputs = model.run(inputs, model.output_ids(), None).map_err(|error| error.to_string())?;
    let outputs = outputs.into_iter().zip(&set.outputs);
    outputs.map(|(output, expected)| from_rten(output, expected)).collect()
}

fn from_rten(output: rten::Value, expected: &Tensor<'_>) -> Result<Tensor<'static>, String> {
    use rten_tensor::prelude::*;
    let (shape, data) = match output {
        rten::Value::FloatTensor(it) => (it.shape().to_vec(), Data::F32(it.to_vec().into())),
        rten::Value::Int8Tensor(it) => (it.shape().to_vec(), Data::I8(it.to_vec().into())),
        rten::Value::UInt8Tensor(it) => (it.shape().to_vec(), Data::U8(it.to_vec().into())),
        rten::Value::Int32Tensor(it) => {
            let values = it.to_vec();
            let data = match expected.data() {
                Data::I64(_) => Data::I64(values.into_iter().map(i64::from).collect()),
                Data::Bool(_) => Data::Bool(values.into_iter().map(|value| value != 0).collect()),
                _ => Data::I32(values.into()),
            };
            (it.shape().to_vec(), data)
        }
        _ => return Err("a sequence".into()),
    };
    Tensor::new(shape, data).map_err(|error| error.to_string())
}

fn tract_outputs(case: &Case, set: &Set) -> TractResult<Vec<Tensor<'static>>> {
    let onnx = onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
    let mut model = onnx.model_for_path(case.folder.join("model.onnx"))?;
    let inputs: TVec<TValue> = set
        .inputs
        .iter()
        .map(|input| Ok(into_tract(input)?.into_tvalue()))
        .collect::<TractResult<_>>()?;
    for (index, input) in inputs.iter().enumerate() {
        model.set_input_fact(index, InferenceFact::dt_shape(input.datum_type(), input.shape()))?;
    }
    let outputs = model.into_optimized()?.into_runnable()?.run(inputs)?;
    let outputs = outputs.iter().zip(&set.outputs);
    outputs.map(|(output, expected)| from_tract(output, expected)).collect()
}

fn into_tract(tensor: &Tensor<'_>) -> TractResult<tract_onnx::prelude::Tensor> {
    use tract_onnx::prelude::Tensor;
    let shape = tensor.shape();
    match tensor.data() {
        Data::Bool(values) => Tensor::from_shape(shape, values),
        Data::F16(values) => Tensor::from_shape(shape, values),
        Data::F32(values) => Tensor::from_shape(shape, values),
        Data::F64(values) => Tensor::from_shape(shape, values),
        Data::I8(values) => Tensor::from_shape(shape, values),
        Data::I16(values) => Tensor::from_shape(shape, values),
        Data::I32(values) => Tensor::from_shape(shape, values),
        Data::I64(values) => Tensor::from_shape(shape, values),
        Data::String(values) => {
            let array = tract_ndarray::ArrayD::from_shape_vec(shape, values.to_vec())?;
            Ok(array.into_tensor())
        }
        Data::U8(values) => Tensor::from_shape(shape, values),
        Data::U16(values) => Tensor::from_shape(shape, values),
        Data::U32(values) => Tensor::from_shape(shape, values),
        Data::U64(values) => Tensor::from_shape(shape, values),
    }
}

/// tract's tensor as ours, in the type that is expected: it gives some integers as dimensions.
fn from_tract(
    tensor: &tract_onnx::prelude::Tensor,
    expected: &Tensor<'_>,
) -> TractResult<Tensor<'static>> {
    fn all<T: Datum + Clone>(tensor: &tract_onnx::prelude::Tensor) -> TractResult<Vec<T>> {
        Ok(tensor.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
    }
    let datum = tensor.datum_type();
    let data = match () {
        () if datum == DatumType::TDim => Data::I64(all(&*tensor.cast_to::<i64>()?)?.into()),
        () if datum == bool::datum_type() => Data::Bool(all(tensor)?.into()),
        () if datum == f16::datum_type() => Data::F16(all(tensor)?.into()),
        () if datum == f32::datum_type() => Data::F32(all(tensor)?.into()),
        () if datum == f64::datum_type() => Data::F64(all(tensor)?.into()),
        () if datum == i8::datum_type() => Data::I8(all(tensor)?.into()),
        () if datum == i16::datum_type() => Data::I16(all(tensor)?.into()),
        () if datum == i32::datum_type() => Data::I32(all(tensor)?.into()),
        () if datum == i64::datum_type() => Data::I64(all(tensor)?.into()),
        () if datum == u8::datum_type() => Data::U8(all(tensor)?.into()),
        () if datum == u16::datum_type() => Data::U16(all(tensor)?.into()),
        () if datum == u32::datum_type() => Data::U32(all(tensor)?.into()),
        () if datum == u64::datum_type() => Data::U64(all(tensor)?.into()),
        () if datum == String::datum_type() => Data::String(all(tensor)?.into()),
        () => tract_onnx::tract_core::internal::bail!("{datum:?} for {}", expected.element()),
    };
    Ok(Tensor::new(tensor.shape().to_vec(), data)?)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text.replace(['\n', '\t'], " ")
}
