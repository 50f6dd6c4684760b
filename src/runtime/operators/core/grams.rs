//! `TfIdfVectorizer`: how often each known sequence of words or numbers stands in a row.

use super::super::ml::{Attributes, Kernel, Wire, elements, tensor};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Columns of the vector, at most: an index is a number in a file, and a row of so many floats
/// takes 64 MiB.
const COLUMNS_MAX: i64 = 16 << 20;

/// Values of a row that may be skipped within a sequence: each makes another pass over it.
const SKIPPED_MAX: i64 = 1 << 10;

/// Values of the longest sequence that is looked for.
const LENGTH_MAX: i64 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// How often.
    Counts,
    /// Whether at all, by its weight.
    Weights,
    Both,
}

/// A known sequence: its column, and what it weighs.
type Known<T> = HashMap<Vec<T>, (usize, f32)>;

#[derive(Debug)]
struct Vectorizer {
    mode: Mode,
    shortest: usize,
    longest: usize,
    skipped: usize,
    columns: usize,
    numbers: Known<i64>,
    texts: Known<String>,
}

pub(super) fn tf_idf_vectorizer(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let bounded = |name: &str, least: i64, most: i64| -> TractResult<usize> {
        let told = attributes.int(name)?.with_context(|| format!("{name} is missing"))?;
        ensure!((least..=most).contains(&told), "{name} is {told}, not {least} to {most}");
        Ok(told as usize)
    };
    let mode = match attributes.text("mode")?.as_deref() {
        Some("TF") => Mode::Counts,
        Some("IDF") => Mode::Weights,
        Some("TFIDF") => Mode::Both,
        other => bail!("mode is {other:?}, not TF, IDF or TFIDF"),
    };
    let longest = bounded("max_gram_length", 1, LENGTH_MAX)?;
    let shortest = bounded("min_gram_length", 1, longest as i64)?;
    let skipped = bounded("max_skip_count", 0, SKIPPED_MAX)?;
    let columns = attributes.ints("ngram_indexes")?;
    let most = columns.iter().copied().max().context("ngram_indexes is empty")?;
    ensure!(
        columns.iter().all(|column| (0..COLUMNS_MAX).contains(column)),
        "ngram_indexes has a number below 0, or beyond the {COLUMNS_MAX} that are allowed"
    );
    let weights = attributes.floats("weights")?;
    ensure!(
        weights.is_empty() || weights.len() == columns.len(),
        "there are {} weights for {} sequences",
        weights.len(),
        columns.len()
    );
    let (numbers, texts) = (attributes.ints("pool_int64s")?, attributes.texts("pool_strings")?);
    ensure!(
        numbers.is_empty() != texts.is_empty(),
        "there should be either pool_int64s or pool_strings"
    );
    let starts = attributes.ints("ngram_counts")?;
    let pool = Pool { starts, columns, weights };
    Ok(Arc::new(Vectorizer {
        mode,
        shortest,
        longest,
        skipped,
        columns: most as usize + 1,
        numbers: pool.known(numbers)?,
        texts: pool.known(&texts)?,
    }))
}

/// Where sequences of each length begin in the pool, and what belongs to each of them.
struct Pool<'a> {
    starts: &'a [i64],
    columns: &'a [i64],
    weights: &'a [f32],
}

impl Pool<'_> {
    fn known<T: Clone + Eq + Hash>(&self, values: &[T]) -> TractResult<Known<T>> {
        let mut known = Known::new();
        let mut place = 0;
        for (index, start) in self.starts.iter().enumerate() {
            if values.is_empty() {
                break;
            }
            let end = self.starts.get(index + 1).map_or(values.len() as i64, |end| *end);
            let part = usize::try_from(*start).ok().zip(usize::try_from(end).ok());
            let part = part.and_then(|(start, end)| values.get(start..end));
            let part = part.context("ngram_counts points out of the pool, or goes back in it")?;
            ensure!(part.len() % (index + 1) == 0, "the pool ends within a sequence");
            for sequence in part.chunks_exact(index + 1) {
                let column = self.columns.get(place);
                let column = *column.context("ngram_indexes has fewer numbers than the pool")?;
                let weight = self.weights.get(place).copied().unwrap_or(1.0);
                known.insert(sequence.to_vec(), (column as usize, weight));
                place += 1;
            }
        }
        Ok(known)
    }
}

impl Vectorizer {
    fn count<T: Clone + Eq + Hash>(&self, row: &[T], known: &Known<T>, out: &mut [f32]) {
        let mut sequence = Vec::with_capacity(self.longest);
        for step in 1..=self.skipped + 1 {
            // Nothing can be skipped within one value, so it is counted once.
            let shortest = if step == 1 { self.shortest } else { self.shortest.max(2) };
            if (shortest - 1).saturating_mul(step) >= row.len() {
                break;
            }
            for start in 0..row.len() {
                sequence.clear();
                for value in row[start..].iter().step_by(step).take(self.longest) {
                    sequence.push(value.clone());
                    if sequence.len() < shortest {
                        continue;
                    }
                    let Some((column, weight)) = known.get(&sequence) else { continue };
                    match self.mode {
                        Mode::Counts => out[*column] += 1.0,
                        Mode::Weights => out[*column] = *weight,
                        Mode::Both => out[*column] += *weight,
                    }
                }
            }
        }
    }

    fn rows<T: Clone + Eq + Hash>(
        &self,
        values: &[T],
        known: &Known<T>,
        (rows, width): (usize, usize),
    ) -> TractResult<Vec<f32>> {
        let all = rows.checked_mul(self.columns).filter(|all| *all as i64 <= i64::from(i32::MAX));
        let mut out = vec![0.0_f32; all.context("the result is too large")?];
        if width > 0 {
            for (row, out) in values.chunks_exact(width).zip(out.chunks_exact_mut(self.columns)) {
                self.count(row, known, out);
            }
        }
        Ok(out)
    }
}

impl Kernel for Vectorizer {
    fn name(&self) -> &'static str {
        "TfIdfVectorizer"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let is_text = input.element == DatumType::String;
        let is_number = matches!(input.element, DatumType::I64 | DatumType::I32);
        ensure!(is_text || is_number, "expected text or integers, found {:?}", input.element);
        ensure!(!is_text || self.numbers.is_empty(), "the pool holds numbers, not text");
        ensure!(!is_number || self.texts.is_empty(), "the pool holds text, not numbers");
        let columns = self.columns.to_dim();
        let shape: TVec<TDim> = match &*input.shape {
            [_] => tvec!(columns),
            [rows, _] => tvec!(rows.clone(), columns),
            shape => bail!("expected one or two dimensions, found {}", shape.len()),
        };
        Ok(tvec!(Wire::new(DatumType::F32, shape)))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let (shape, extents) = match *input.shape() {
            [width] => (vec![self.columns], (1, width)),
            [rows, width] => (vec![rows, self.columns], (rows, width)),
            ref shape => bail!("expected one or two dimensions, found {}", shape.len()),
        };
        let out = if input.datum_type() == DatumType::String {
            self.rows(elements::<String>(input)?, &self.texts, extents)?
        } else {
            let numbers = input.cast_to::<i64>()?;
            self.rows(elements::<i64>(&numbers)?, &self.numbers, extents)?
        };
        Ok(tvec!(tensor(&shape, out)?))
    }
}
