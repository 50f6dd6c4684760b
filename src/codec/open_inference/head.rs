//! The JSON object of an inference request, with its tensors' values still unread.

use super::given::shown;
use crate::codec::limits::{COLUMNS_MAX, NESTING_MAX};
use crate::tensor::{Misfit, MisfitKind};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::marker::PhantomData;

/// `$inference_request` (Open Inference Protocol, REST, "Inference"); further keys are passed
/// over.
#[derive(Debug, Deserialize)]
pub(super) struct Head<'t> {
    pub(super) id: Option<String>,
    pub(super) parameters: Option<RequestParameters>,
    #[serde(borrow)]
    pub(super) inputs: Capped<InputHead<'t>, COLUMNS_MAX>,
    pub(super) outputs: Option<Capped<OutputHead, COLUMNS_MAX>>,
}

/// What of a request's parameters changes the answer; others, as `priority`, do not here.
#[derive(Debug, Deserialize)]
pub(super) struct RequestParameters {
    pub(super) binary_data_output: Option<bool>,
}

/// `$request_input`.
#[derive(Debug, Deserialize)]
pub(super) struct InputHead<'t> {
    pub(super) name: String,
    pub(super) shape: Capped<i64, NESTING_MAX>,
    pub(super) datatype: String,
    pub(super) parameters: Option<InputParameters>,
    #[serde(borrow)]
    pub(super) data: Option<&'t RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct InputParameters {
    pub(super) binary_data_size: Option<usize>,
    pub(super) shared_memory_region: Option<IgnoredAny>,
}

/// `$request_output`.
#[derive(Debug, Deserialize)]
pub(super) struct OutputHead {
    pub(super) name: String,
    pub(super) parameters: Option<OutputParameters>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct OutputParameters {
    pub(super) binary_data: Option<bool>,
    pub(super) classification: Option<IgnoredAny>,
    pub(super) shared_memory_region: Option<IgnoredAny>,
}

/// At most so many items of a list; whether there were more.
#[derive(Debug)]
pub(super) struct Capped<T, const MAX: usize> {
    pub(super) items: Vec<T>,
    pub(super) is_over: bool,
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Capped<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = Capped<T, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX {
                    match list.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(Capped { items, is_over: false }),
                    }
                }
                let is_over = list.next_element::<IgnoredAny>()?.is_some();
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Capped { items, is_over })
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// Reads the object. Values of tensors are found to be JSON and left where they are.
pub(super) fn read(bytes: &[u8]) -> Result<Head<'_>, Misfit> {
    let head: Head<'_> = serde_json::from_slice(bytes).map_err(|error| refused(bytes, &error))?;
    if head.inputs.is_over || head.outputs.as_ref().is_some_and(|outputs| outputs.is_over) {
        let sentence = format!("the request names more than {COLUMNS_MAX} inputs or outputs");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    Ok(head)
}

fn refused(bytes: &[u8], error: &serde_json::Error) -> Misfit {
    if error.is_syntax() && stands_at_no_number(bytes, error) {
        let sentence = "the request has NaN or an infinity, which JSON does not have: send the \
                        tensor in binary form if it is meant";
        return Misfit::new(MisfitKind::NotANumber, sentence);
    }
    // An error of the reader's repeats the text at fault, whatever its length.
    let why = error.to_string();
    let sentence = format!("the body is no inference request: {}", shown(&why));
    Misfit::new(MisfitKind::Unreadable, sentence)
}

/// Whether the error is at one of the words that Python writes for what is no finite number.
fn stands_at_no_number(bytes: &[u8], error: &serde_json::Error) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1));
    let column = error.column();
    let words: [&[u8]; 2] = [b"NaN", b"Infinity"];
    let starts = |at: usize| {
        let rest = line.and_then(|line| line.get(at..)).unwrap_or_default();
        words.iter().any(|word| rest.starts_with(word))
    };
    starts(column.saturating_sub(1)) || starts(column.saturating_sub(2))
}
