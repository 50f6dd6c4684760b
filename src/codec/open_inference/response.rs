//! The answer to an inference request: JSON, with the tensors asked for in binary form behind it.

use super::binary;
use super::datatype::datatype;
use super::request::{Form, InferRequest};
use crate::codec::literal;
use crate::codec::rows::{MODEL_SPLIT, split_texts};
use crate::pipeline::Record;
use crate::tensor::{Data, Misfit, Tensor};
use std::borrow::Cow;

/// Bytes of an answer and of one output without its values, and of one value as JSON: what to
/// reserve.
const FRAME_BYTES: usize = 256;
const VALUE_BYTES: usize = 12;

/// What the names of a challenger's outputs begin with.
const CHALLENGER: &str = "out_";

/// The name by which a challenger's output can be asked for.
pub fn challenger_output(challenger: &str, output: &str) -> String {
    format!("{CHALLENGER}{challenger}.{output}")
}

/// The name by which the model that each row went to can be asked for.
pub const CHOSEN_MODEL: &str = MODEL_SPLIT;

pub(super) fn is_of_challenger(name: &str) -> bool {
    name.starts_with(CHALLENGER)
}

/// Writes the answer: outputs in the model's order, those that `request` asks for, each in the
/// form it asks for, and behind them what it asks for beside them. With the body comes, when any output is in binary form, the length of its
/// JSON, for the header `Inference-Header-Content-Length`.
///
/// `model` is the name by which the client knows the model; the version is the pipeline's, if
/// there is one. As JSON, NaN and infinities become `null`.
///
/// # Errors
/// When the request asks for an output that the record does not have.
pub fn write_infer(
    record: &Record<'_>,
    request: &InferRequest,
    model: &str,
) -> Result<(Vec<u8>, Option<usize>), Misfit> {
    let outputs = record.outputs.iter();
    let outputs = outputs.map(|it| (Cow::Borrowed(&*it.name), Cow::Borrowed(&it.tensor)));
    // Without names all that the model gives is asked for, and nothing beside it.
    let given: Vec<Named<'_>> = outputs.chain(beside(record, request)).collect();
    request.check_given(&given.iter().map(|(name, _)| &**name).collect::<Vec<_>>())?;
    let chosen = given.iter().filter_map(|output| Some((output, form_of(request, &output.0)?)));
    let chosen: Vec<(&Named<'_>, Form)> = chosen.collect();
    let json_values = chosen.iter().filter(|(_, form)| *form == Form::Json);
    let values: usize = json_values.map(|((_, tensor), _)| tensor.data().len()).sum();
    let frames = FRAME_BYTES.saturating_mul(1 + chosen.len());
    let mut out = Vec::with_capacity(frames.saturating_add(values.saturating_mul(VALUE_BYTES)));
    let mut tensors = Vec::new();
    out.extend_from_slice(b"{\"model_name\":");
    literal::json(&mut out, model);
    if !record.pipeline_version.is_empty() {
        out.extend_from_slice(b",\"model_version\":");
        literal::json(&mut out, &record.pipeline_version);
    }
    if let Some(id) = request.id() {
        out.extend_from_slice(b",\"id\":");
        literal::json(&mut out, id);
    }
    out.extend_from_slice(b",\"outputs\":[");
    for (index, (output, form)) in chosen.iter().enumerate() {
        if 0 < index {
            out.push(b',');
        }
        write_output(&mut out, &mut tensors, output, *form)?;
    }
    out.extend_from_slice(b"]}");
    if chosen.iter().all(|(_, form)| *form == Form::Json) {
        return Ok((out, None));
    }
    let header_length = out.len();
    out.append(&mut tensors);
    Ok((out, Some(header_length)))
}

/// An output under the name that it is asked for by.
type Named<'r> = (Cow<'r, str>, Cow<'r, Tensor<'r>>);

/// What there is beside the outputs of the model that answered, as far as it is asked for.
fn beside<'r>(record: &'r Record<'_>, request: &InferRequest) -> Vec<Named<'r>> {
    let is_wanted = |name: &str| {
        let is_own = record.outputs.iter().any(|output| output.name == name);
        !is_own && request.outputs.iter().any(|output| output.name == name)
    };
    let shadows = record.shadows.iter().flat_map(|shadow| {
        shadow.outputs.iter().map(|output| {
            let name = challenger_output(&shadow.model_name, &output.name);
            (Cow::Owned(name), Cow::Borrowed(&output.tensor))
        })
    });
    let mut beside: Vec<Named<'_>> = shadows.filter(|(name, _)| is_wanted(name)).collect();
    if let Some(chosen) = record.chosen.as_ref().filter(|_| is_wanted(MODEL_SPLIT)) {
        let texts = Data::String(Cow::Owned(split_texts(chosen)));
        // A text for each row is as many as its shape says.
        let tensor = Tensor::new(vec![chosen.len(), 1], texts).ok();
        beside.extend(tensor.map(|tensor| (Cow::Borrowed(MODEL_SPLIT), Cow::Owned(tensor))));
    }
    beside
}

fn form_of(request: &InferRequest, name: &str) -> Option<Form> {
    if request.outputs.is_empty() {
        return Some(request.form);
    }
    request.outputs.iter().find(|output| output.name == name).map(|output| output.form)
}

fn write_output(
    out: &mut Vec<u8>,
    tensors: &mut Vec<u8>,
    (name, tensor): &Named<'_>,
    form: Form,
) -> Result<(), Misfit> {
    out.extend_from_slice(b"{\"name\":");
    literal::json(out, &**name);
    out.extend_from_slice(b",\"shape\":");
    literal::list(out, tensor.shape(), literal::json);
    out.extend_from_slice(b",\"datatype\":");
    literal::json(out, datatype(tensor.element()));
    match form {
        Form::Json => {
            out.extend_from_slice(b",\"data\":[");
            literal::values(out, tensor.data(), 0..tensor.data().len());
            out.push(b']');
        }
        Form::Binary => {
            let size = binary::write(tensors, tensor.data())?;
            out.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
            literal::json(out, &size);
            out.push(b'}');
        }
    }
    out.push(b'}');
    Ok(())
}
