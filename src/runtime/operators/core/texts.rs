//! `StringNormalizer`: texts without stop words, in one case.

use super::super::ml::{Attributes, Kernel, Wire, elements, tensor};
use std::collections::HashSet;
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
    Kept,
}

#[derive(Debug)]
struct Normalizer {
    dropped: HashSet<String>,
    is_case_sensitive: bool,
    case: Case,
    /// How many texts are left.
    kept: Symbol,
}

pub(super) fn string_normalizer(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let is_case_sensitive = attributes.int("is_case_sensitive")?.unwrap_or(0) != 0;
    let case = match attributes.text("case_change_action")?.as_deref() {
        Some("LOWER") => Case::Lower,
        Some("UPPER") => Case::Upper,
        Some("NONE") | None => Case::Kept,
        Some(other) => bail!("case_change_action is `{other}`, not LOWER, UPPER or NONE"),
    };
    let stop_words = attributes.texts("stopwords")?.into_iter();
    let dropped = stop_words.map(|word| if is_case_sensitive { word } else { lower(&word) });
    Ok(Arc::new(Normalizer {
        dropped: dropped.collect(),
        is_case_sensitive,
        case,
        kept: attributes.context.template.symbols.new_with_prefix("kept"),
    }))
}

/// One character for each: `ß` has no single one in upper case, and stays.
fn each(text: &str, change: impl Fn(char) -> Option<char>) -> String {
    text.chars().map(|one| change(one).unwrap_or(one)).collect()
}

fn single<I: Iterator<Item = char>>(mut all: I) -> Option<char> {
    let first = all.next();
    if all.next().is_none() { first } else { None }
}

fn lower(text: &str) -> String {
    each(text, |one| single(one.to_lowercase()))
}

impl Kernel for Normalizer {
    fn name(&self) -> &'static str {
        "StringNormalizer"
    }

    fn mints_symbols(&self) -> bool {
        true
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        ensure!(input.element == DatumType::String, "expected text, found {:?}", input.element);
        let texts =
            |told: &TDim| match self.dropped.is_empty() && told.to_i64().is_ok_and(|it| it > 0) {
                true => told.clone(),
                false => self.kept.to_dim(),
            };
        let shape: TVec<TDim> = match &*input.shape {
            [told] => tvec!(texts(told)),
            [one, told] => {
                ensure!(one.to_i64().is_ok_and(|it| it == 1), "expected one row, found {one}");
                tvec!(1.to_dim(), texts(told))
            }
            shape => bail!("expected one or two dimensions, found {}", shape.len()),
        };
        Ok(tvec!(Wire::new(DatumType::String, shape)))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let stays = |text: &&String| match self.is_case_sensitive {
            true => !self.dropped.contains(*text),
            false => !self.dropped.contains(&lower(text)),
        };
        let changed = |text: &String| match self.case {
            Case::Lower => lower(text),
            Case::Upper => each(text, |one| single(one.to_uppercase())),
            Case::Kept => text.clone(),
        };
        let mut texts: Vec<String> =
            elements::<String>(input)?.iter().filter(stays).map(changed).collect();
        if texts.is_empty() {
            texts.push(String::new()); // the specification has one empty text for none
        }
        let mut shape = input.shape().to_vec();
        *shape.last_mut().context("expected a dimension")? = texts.len();
        Ok(tvec!(tensor(&shape, texts)?))
    }
}
