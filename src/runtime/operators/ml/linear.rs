//! `LinearClassifier` and `LinearRegressor`: a weighted sum of a row's values for each class or target.

use super::attributes::Attributes;
use super::kernel::{Kernel, Wire, elements, number, rows_and_columns, tensor};
use super::labels::{Answer, Labels};
use super::post::{PostTransform, Second};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Weights in rows, one row for each class or target.
#[derive(Debug)]
struct Weights {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
    features: usize,
}

impl Weights {
    fn read(attributes: Attributes<'_>, count: usize) -> TractResult<Weights> {
        let coefficients = attributes.floats("coefficients")?.to_vec();
        let mut intercepts = attributes.floats("intercepts")?.to_vec();
        intercepts.resize(count, 0.0);
        let features = coefficients.len().checked_div(count).unwrap_or(0);
        ensure!(
            features > 0 && features * count == coefficients.len(),
            "{} coefficients are not {count} rows of the same length",
            coefficients.len()
        );
        Ok(Weights { coefficients, intercepts, features })
    }

    fn sums(&self, row: &[f32], sums: &mut [f32]) {
        let weights = self.coefficients.chunks_exact(self.features);
        for ((sum, weights), intercept) in sums.iter_mut().zip(weights).zip(&self.intercepts) {
            *sum = dot(row, weights) + intercept;
        }
    }
}

/// The sum of products, in eight sums that a processor adds to at once.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (lefts, left_rest) = left.as_chunks::<8>();
    let (rights, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (left, right) in lefts.iter().zip(rights) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

/// The rows of an input as floats.
pub(super) fn float_rows(input: &Tensor, features: usize) -> TractResult<(usize, Vec<f32>)> {
    let (rows, columns) = rows_and_columns(input)?;
    ensure!(columns == features, "a row has {columns} values, and the model wants {features}");
    Ok((rows, elements::<f32>(&*input.cast_to::<f32>()?)?.to_vec()))
}

#[derive(Debug)]
struct Classifier {
    weights: Weights,
    labels: Labels,
    post: PostTransform,
    scores: usize,
}

pub(super) fn classifier(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let labels = Labels::read(attributes, "classlabels_ints")?;
    let scores = attributes.floats("intercepts")?.len();
    ensure!(scores > 0, "there are no intercepts, which tell the number of scores");
    ensure!(
        scores == 1 || labels.len() >= scores,
        "there are {scores} scores and {} labels for them",
        labels.len()
    );
    let weights = Weights::read(attributes, scores)?;
    Ok(Arc::new(Classifier { weights, labels, post: PostTransform::read(attributes)?, scores }))
}

impl Classifier {
    /// One score for two classes becomes two.
    fn columns(&self) -> usize {
        if self.scores == 1 && self.labels.len() == 2 { 2 } else { self.scores }
    }
}

impl Kernel for Classifier {
    fn name(&self) -> &'static str {
        "LinearClassifier"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.element)?;
        let rows = input.rows_of(self.weights.features)?;
        Ok(tvec!(
            Wire::new(self.labels.element(), [rows.clone()]),
            Wire::new(DatumType::F32, [rows, self.columns().to_dim()]),
        ))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (rows, values) = float_rows(&inputs[0], self.weights.features)?;
        let columns = self.columns();
        let mut scores = vec![0.0_f32; rows * columns];
        let mut answers = Vec::with_capacity(rows);
        let rows_in = values.chunks_exact(self.weights.features);
        for (row, scores) in rows_in.zip(scores.chunks_exact_mut(columns)) {
            self.weights.sums(row, &mut scores[..self.scores]);
            if self.scores > 1 {
                answers.push(Answer::Class(largest(scores)));
                self.post.apply(scores);
                continue;
            }
            answers.push(match (self.labels.len() == 2, scores[0] > 0.0) {
                (true, above) => Answer::Class(usize::from(above)),
                (false, true) => Answer::Positive,
                (false, false) => Answer::Negative,
            });
            let second = if columns == 2 { Second::Rest } else { Second::Nothing };
            let single = self.post.single(scores[0], second);
            scores.copy_from_slice(&single[..columns]);
        }
        Ok(tvec!(self.labels.tensor(&answers)?, tensor(&[rows, columns], scores)?))
    }
}

/// The first place of the largest value.
pub(super) fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

#[derive(Debug)]
struct Regressor {
    weights: Weights,
    post: PostTransform,
    targets: usize,
}

pub(super) fn regressor(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let targets = attributes.int("targets")?.unwrap_or(1);
    let targets = usize::try_from(targets).ok().filter(|targets| *targets > 0);
    let targets = targets.context("targets should be at least 1")?;
    let coefficients = attributes.floats("coefficients")?.len();
    ensure!(
        coefficients >= targets,
        "{coefficients} coefficients are too few for {targets} targets"
    );
    let weights = Weights::read(attributes, targets)?;
    Ok(Arc::new(Regressor { weights, post: PostTransform::read(attributes)?, targets }))
}

impl Kernel for Regressor {
    fn name(&self) -> &'static str {
        "LinearRegressor"
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        number(input.element)?;
        let rows = input.rows_of(self.weights.features)?;
        Ok(tvec!(Wire::new(DatumType::F32, [rows, self.targets.to_dim()])))
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let (rows, values) = float_rows(&inputs[0], self.weights.features)?;
        let mut out = vec![0.0_f32; rows * self.targets];
        let rows_in = values.chunks_exact(self.weights.features);
        for (row, out) in rows_in.zip(out.chunks_exact_mut(self.targets)) {
            self.weights.sums(row, out);
            if self.targets > 1 || self.post == PostTransform::Probit {
                self.post.apply(out);
            }
        }
        Ok(tvec!(tensor(&[rows, self.targets], out)?))
    }
}
