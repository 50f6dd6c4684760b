//! An inference request: its tensors as rows, and what its answer shall hold.

use super::batch::{raw_shape, rows};
use super::binary;
use super::datatype;
use super::given::{Given, Place, Reading, shown};
use super::head::{self, Head, InputHead, OutputHead};
use super::response::is_of_challenger;
use crate::codec::decoded::Decoded;
use crate::codec::limits::VALUES_MAX;
use crate::codec::wanted;
use crate::tensor::{Misfit, MisfitKind, Port, Table};
use arrow_buffer::Buffer;
use std::borrow::Cow;

/// Bytes of a request's `id`, which the answer repeats: a UUID has 36.
const ID_BYTES_MAX: usize = 256;

/// A request that has been read.
#[derive(Debug)]
pub struct InferRequest {
    pub(super) id: Option<String>,
    /// The outputs asked for; none asks for all.
    pub(super) outputs: Vec<WantedOutput>,
    /// The form of an output that does not tell its own.
    pub(super) form: Form,
    decoded: Decoded,
}

/// One output that a request asks for.
#[derive(Debug)]
pub(super) struct WantedOutput {
    pub(super) name: String,
    pub(super) form: Form,
}

/// How an output's values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Binary,
}

impl Form {
    fn told(is_binary: Option<bool>, otherwise: Form) -> Form {
        match is_binary {
            Some(true) => Form::Binary,
            Some(false) => Form::Json,
            None => otherwise,
        }
    }
}

impl InferRequest {
    /// Its tensors, with their bytes.
    pub fn into_decoded(self) -> Decoded {
        self.decoded
    }

    /// The client's name for the request, which the answer repeats.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The tensors as a table, without a copy of any value. Its rows are the tensors' first
    /// dimension; a tensor without dimensions is the same on each row.
    pub fn table(&self) -> Table<'_> {
        self.decoded.table()
    }

    /// Checks, before anything is computed, that each output asked for is one of the model's, or one
    /// `beside` them: of a challenger, or the model that a row went to.
    ///
    /// # Errors
    /// Names the first that there is not.
    pub fn check_outputs(&self, outputs: &[Port], beside: &[String]) -> Result<(), Misfit> {
        let present = outputs.iter().map(|port| &port.name).chain(beside);
        self.check_names(&present.map(String::as_str).collect::<Vec<_>>(), |_| false)
    }

    /// As [`check_outputs`](Self::check_outputs), of what there is after it was computed: a challenger
    /// that failed gave nothing, which is no fault of who asked.
    pub(super) fn check_given(&self, present: &[&str]) -> Result<(), Misfit> {
        self.check_names(present, is_of_challenger)
    }

    fn check_names(&self, present: &[&str], may_lack: fn(&str) -> bool) -> Result<(), Misfit> {
        let is_there = |name: &str| present.contains(&name) || may_lack(name);
        let unknown = self.outputs.iter().find(|output| !is_there(&output.name));
        let Some(WantedOutput { name, .. }) = unknown else { return Ok(()) };
        let name = shown(name);
        let given = wanted::listed(present.iter().copied());
        let sentence = format!("output `{name}` is not known: the model gives {given}");
        Err(Misfit::new(MisfitKind::MissingColumn, sentence).column(&name).expected(given, name))
    }
}

/// Reads the body of `POST /v2/models/{model}/infer`. `header_length` is the header
/// `Inference-Header-Content-Length`, the bytes of JSON before the tensors in binary form; without
/// it, all is JSON; 0 says that the body is the tensor of the model's only input.
///
/// Each tensor must have the element type of the input of its name. Values given as JSON may be
/// flat or nested; those in binary form are lent from `body` where they are aligned. A tensor named
/// among the `companions`, which no model takes and a split looks at, may come in any type.
///
/// # Errors
/// A [`Misfit`] that names the input as its column. No body, however damaged, panics out of here
/// or makes more than a small multiple of its own size be allocated, but that a tensor without
/// dimensions is repeated for each row, up to the limit of values.
pub fn read_infer(
    body: Vec<u8>,
    header_length: Option<usize>,
    inputs: &[Port],
    companions: &[String],
) -> Result<InferRequest, Misfit> {
    let body = Buffer::from_vec(body);
    let length = header_length.unwrap_or(body.len());
    if length == 0 && header_length.is_some() {
        return read_raw(&body, inputs);
    }
    if body.len() < length {
        let sentence = format!(
            "Inference-Header-Content-Length is {length}, the body has {} bytes",
            body.len()
        );
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    let Head { id, parameters, inputs: given, outputs } = head::read(&body[..length])?;
    if id.as_ref().is_some_and(|id| ID_BYTES_MAX < id.len()) {
        let sentence = format!("the id is over {ID_BYTES_MAX} bytes long");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    let is_binary = parameters.and_then(|parameters| parameters.binary_data_output);
    let form = Form::told(is_binary, Form::Json);
    let outputs = outputs.map(|outputs| outputs.items).unwrap_or_default();
    let outputs = outputs.into_iter().map(|output| wanted_output(output, form));
    let outputs = outputs.collect::<Result<_, _>>()?;
    let mut reading = Reading { rest: body.slice(length), values_left: VALUES_MAX };
    let mut tensors: Vec<Given> = Vec::new();
    for input in given.items {
        let port = port_of(&input, &tensors, inputs, companions)?;
        tensors.push(reading.tensor(input, &port)?);
    }
    if let Some(port) = inputs.iter().find(|port| tensors.iter().all(|t| t.name != port.name)) {
        let present: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        let mut misfit = wanted::missing(&port.name, &present, inputs);
        misfit.sentence = misfit.sentence.replacen("column", "input", 1);
        return Err(misfit);
    }
    if !reading.rest.is_empty() {
        let left = reading.rest.len();
        let sentence = format!("{left} bytes of the body belong to no input's `binary_data_size`");
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    let decoded = rows(tensors, reading.values_left)?;
    Ok(InferRequest { id, outputs, form, decoded })
}

fn wanted_output(output: OutputHead, form: Form) -> Result<WantedOutput, Misfit> {
    let name = output.name;
    let parameters = output.parameters.unwrap_or_default();
    let unsupported = match parameters {
        _ if parameters.classification.is_some() => "classification",
        _ if parameters.shared_memory_region.is_some() => "shared_memory_region",
        _ => return Ok(WantedOutput { name, form: Form::told(parameters.binary_data, form) }),
    };
    let name = shown(&name);
    let sentence = format!("output `{name}` has the parameter `{unsupported}`, not known here");
    Err(Misfit::new(MisfitKind::Unreadable, sentence).column(name))
}

/// The model's input of this name, or the companion, if there is one that is not given yet.
fn port_of<'p>(
    input: &InputHead<'_>,
    given: &[Given],
    inputs: &'p [Port],
    companions: &[String],
) -> Result<Cow<'p, Port>, Misfit> {
    let name = input.name.as_str();
    if given.iter().any(|tensor| tensor.name == name) {
        let sentence = format!("input `{name}` is given twice");
        return Err(Misfit::new(MisfitKind::Unreadable, sentence).column(name));
    }
    if let Some(port) = inputs.iter().find(|port| port.name == name) {
        return Ok(Cow::Borrowed(port));
    }
    if companions.iter().any(|companion| companion == name) {
        let element = datatype::element(&input.datatype).ok_or_else(|| {
            let told = shown(&input.datatype);
            let what = format!("its datatype is `{told}`, which the protocol does not have");
            Place { name }.misfit(MisfitKind::WrongType, what)
        })?;
        return Ok(Cow::Owned(Port { name: name.to_owned(), element, dimensions: Vec::new() }));
    }
    Err({
        let name = shown(name);
        let known: Vec<_> = inputs.iter().map(|port| &port.name).chain(companions).collect();
        let taken = wanted::listed(known.into_iter().map(String::as_str));
        let sentence = format!("input `{name}` is not known: the model takes {taken}");
        Misfit::new(MisfitKind::MissingColumn, sentence).column(&name).expected(taken, name)
    })
}

/// Reads a body that is one tensor and nothing else; its outputs are asked for in binary form.
fn read_raw(body: &Buffer, inputs: &[Port]) -> Result<InferRequest, Misfit> {
    let [port] = inputs else {
        let sentence = format!(
            "the body is one tensor (Inference-Header-Content-Length is 0), the model takes {}",
            inputs.len()
        );
        return Err(Misfit::new(MisfitKind::MissingColumn, sentence));
    };
    let place = Place { name: &port.name };
    let elements = binary::count(body, port.element).map_err(|unsound| place.unsound(unsound))?;
    if VALUES_MAX < elements {
        let what = format!("it has more than {VALUES_MAX} values");
        return Err(place.misfit(MisfitKind::OverLimit, what));
    }
    let shape = raw_shape(&port.dimensions, elements).ok_or_else(|| {
        let what = format!("its shape does not follow from {elements} values where {port} belongs");
        place.misfit(MisfitKind::WrongShape, what).expected(port.to_string(), elements.to_string())
    })?;
    let values = binary::read(body, port.element, elements);
    let values = values.map_err(|unsound| place.unsound(unsound))?;
    let tensor = Given { name: port.name.clone(), shape, values };
    let decoded = rows(vec![tensor], VALUES_MAX)?;
    Ok(InferRequest { id: None, outputs: Vec::new(), form: Form::Binary, decoded })
}
