//! The answer to an inference request: JSON, with the tensors asked for in binary form behind it.

use super::binary;
use super::datatype::datatype;
use super::request::{Form, InferRequest};
use crate::codec::literal;
use crate::pipeline::Record;
use crate::tensor::{Misfit, NamedTensor};

/// Bytes of an answer and of one output without its values, and of one value as JSON: what to
/// reserve.
const FRAME_BYTES: usize = 256;
const VALUE_BYTES: usize = 12;

/// Writes the answer: outputs in the model's order, those that `request` asks for, each in the
/// form it asks for. With the body comes, when any output is in binary form, the length of its
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
    let present: Vec<&str> = record.outputs.iter().map(|output| output.name.as_str()).collect();
    request.check_names(&present)?;
    let chosen: Vec<(&NamedTensor<'_>, Form)> = record
        .outputs
        .iter()
        .filter_map(|output| form_of(request, &output.name).map(|form| (output, form)))
        .collect();
    let json_values = chosen.iter().filter(|(_, form)| *form == Form::Json);
    let values: usize = json_values.map(|(output, _)| output.tensor.data().len()).sum();
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

fn form_of(request: &InferRequest, name: &str) -> Option<Form> {
    if request.outputs.is_empty() {
        return Some(request.form);
    }
    request.outputs.iter().find(|output| output.name == name).map(|output| output.form)
}

fn write_output(
    out: &mut Vec<u8>,
    tensors: &mut Vec<u8>,
    output: &NamedTensor<'_>,
    form: Form,
) -> Result<(), Misfit> {
    let NamedTensor { name, tensor } = output;
    out.extend_from_slice(b"{\"name\":");
    literal::json(out, name);
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
