//! The names of a classifier's classes: integers or texts, and what is answered of them.

use super::attributes::Attributes;
use super::kernel::tensor;
use tract_onnx::tract_core::internal::*;

/// Class labels in the order of the scores.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    Integers(Vec<i64>),
    Texts(Vec<String>),
}

/// One answer of a classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The class at this place.
    Class(usize),
    /// The literal labels `1` and `0`: what onnxruntime says where a score has two outcomes and
    /// the classifier not two classes for them.
    Positive,
    Negative,
}

impl Labels {
    /// Reads the labels from `{prefix}_strings`, else from `integers`.
    pub(super) fn read(attributes: Attributes<'_>, integers: &str) -> TractResult<Labels> {
        let texts = attributes.texts("classlabels_strings")?;
        let labels = match texts.is_empty() {
            false => Labels::Texts(texts),
            true => Labels::Integers(attributes.ints(integers)?.to_vec()),
        };
        Ok(labels)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Labels::Integers(labels) => labels.len(),
            Labels::Texts(labels) => labels.len(),
        }
    }

    pub(super) fn element(&self) -> DatumType {
        match self {
            Labels::Integers(_) => DatumType::I64,
            Labels::Texts(_) => DatumType::String,
        }
    }

    /// The label of each answer, as a tensor of one dimension.
    pub(super) fn tensor(&self, answers: &[Answer]) -> TractResult<Tensor> {
        let shape = [answers.len()];
        match self {
            Labels::Integers(labels) => {
                let label = |answer: &Answer| match answer {
                    Answer::Class(class) => labels.get(*class).copied(),
                    Answer::Positive => Some(1),
                    Answer::Negative => Some(0),
                };
                tensor(&shape, all(answers, label)?)
            }
            Labels::Texts(labels) => {
                let label = |answer: &Answer| match answer {
                    Answer::Class(class) => labels.get(*class).cloned(),
                    Answer::Positive => Some("1".to_owned()),
                    Answer::Negative => Some("0".to_owned()),
                };
                tensor(&shape, all(answers, label)?)
            }
        }
    }
}

fn all<T>(answers: &[Answer], label: impl Fn(&Answer) -> Option<T>) -> TractResult<Vec<T>> {
    let labels: Option<Vec<T>> = answers.iter().map(label).collect();
    labels.context("a class has no label: the model has fewer labels than classes")
}
