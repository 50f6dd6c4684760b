//! `TreeEnsembleClassifier`, `TreeEnsembleRegressor` and `TreeEnsemble`: three operators over one forest.

use super::super::attributes::Attributes;
use super::super::kernel::{Kernel, Wire, elements, number, rows_and_columns, tensor};
use super::super::labels::{Answer, Labels};
use super::super::post::PostTransform;
use super::forest::{Forest, Real};
use super::grown::Grown;
use super::verdict::Verdict;
use super::walk::{Scores, block_rows};
use super::{listed, tensors};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Targets of an ensemble at most: their count is a number in a file, and the output has a column
/// for each, whether a tree names it or not; 1,024 rows of so many floats take 256 MiB.
const TARGETS_MAX: i64 = 1 << 16;

pub(in super::super) fn classifier(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let labels = Labels::read(attributes, "classlabels_int64s")?;
    let classes = targets(labels.len() as i64, "class")?;
    let (grown, wide) = listed::read(attributes, "class", classes)?;
    let base = attributes.numbers("base_values")?;
    let mut ids = grown.leaves.iter().flatten().map(|(class, _)| class);
    let first = ids.next();
    let verdict = Verdict {
        classes,
        base: base.values.iter().map(|value| *value as f32).collect(),
        post: PostTransform::read(attributes)?,
        single_weights: classes == 2 && first.is_some() && ids.all(|id| Some(id) == first),
        all_positive: grown.leaves.iter().flatten().all(|(_, weight)| *weight >= 0.0),
        texts: labels.element() == DatumType::String,
    };
    let kind = Kind::Classifier { labels, verdict };
    seed("TreeEnsembleClassifier", grown, wide || base.wide, Aggregate::Sum, kind)
}

pub(in super::super) fn regressor(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let targets = targets(attributes.int("n_targets")?.unwrap_or(1), "target")?;
    let (grown, wide) = listed::read(attributes, "target", targets)?;
    let base = attributes.numbers("base_values")?;
    let aggregate = match attributes.text("aggregate_function")?.as_deref() {
        None | Some("SUM") => Aggregate::Sum,
        Some("AVERAGE") => Aggregate::Average,
        Some("MIN") => Aggregate::Least,
        Some("MAX") => Aggregate::Most,
        Some(other) => bail!("aggregate_function `{other}` is unknown"),
    };
    let post = PostTransform::read(attributes)?;
    let kind = Kind::Regressor { targets, base: base.values, post, same_type: false };
    seed("TreeEnsembleRegressor", grown, wide || base.wide, aggregate, kind)
}

pub(in super::super) fn tree_ensemble(attributes: Attributes<'_>) -> TractResult<Arc<dyn Kernel>> {
    let targets = targets(attributes.int("n_targets")?.unwrap_or(1), "target")?;
    let (grown, wide) = tensors::read(attributes, targets)?;
    let aggregate = match attributes.int("aggregate_function")?.unwrap_or(1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Least,
        3 => Aggregate::Most,
        other => bail!("aggregate_function {other} is unknown"),
    };
    let post = PostTransform::from_number(attributes.int("post_transform")?.unwrap_or(0))?;
    let kind = Kind::Regressor { targets, base: Vec::new(), post, same_type: true };
    seed("TreeEnsemble", grown, wide, aggregate, kind)
}

fn targets(count: i64, what: &str) -> TractResult<usize> {
    ensure!(count > 0, "there should be at least one {what}");
    ensure!(count <= TARGETS_MAX, "there are {count} of {what}, more than {TARGETS_MAX}");
    Ok(count as usize)
}

fn seed(
    name: &'static str,
    grown: Grown,
    wide: bool,
    aggregate: Aggregate,
    kind: Kind,
) -> TractResult<Arc<dyn Kernel>> {
    let features = grown.branches.iter().map(|branch| branch.feature as usize + 1).max();
    let features = features.unwrap_or(0).max(1);
    Ok(Arc::new(Seed { grown, wide, rest: Arc::new(Rest { name, aggregate, kind, features }) }))
}

/// How the weights of several trees become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
    Least,
    Most,
}

/// What the operators differ in.
#[derive(Debug)]
enum Kind {
    Classifier {
        labels: Labels,
        verdict: Verdict,
    },
    /// `same_type`: the output has the input's type, not `float`.
    Regressor {
        targets: usize,
        base: Vec<f64>,
        post: PostTransform,
        same_type: bool,
    },
}

#[derive(Debug)]
struct Rest {
    name: &'static str,
    aggregate: Aggregate,
    kind: Kind,
    /// The values that a row must have.
    features: usize,
}

/// An ensemble whose input type is not known yet, and with it the number type of its nodes.
#[derive(Debug)]
struct Seed {
    grown: Grown,
    wide: bool,
    rest: Arc<Rest>,
}

impl Kernel for Seed {
    fn name(&self) -> &'static str {
        self.rest.name
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        self.rest.outputs(inputs)
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let types: Vec<DatumType> = inputs.iter().map(|input| input.datum_type()).collect();
        let planted = self.settled(&types)?.context("an ensemble is planted for any type")?;
        planted.run(inputs)
    }

    fn settled(&self, inputs: &[DatumType]) -> TractResult<Option<Arc<dyn Kernel>>> {
        let sums = matches!(self.rest.aggregate, Aggregate::Sum | Aggregate::Average);
        let rest = self.rest.clone();
        Ok(Some(if self.wide || inputs == [DatumType::F64] {
            Arc::new(Ensemble { forest: Forest::<f64>::plant(&self.grown, sums)?, rest })
        } else {
            Arc::new(Ensemble { forest: Forest::<f32>::plant(&self.grown, sums)?, rest })
        }))
    }
}

/// An ensemble that is laid out.
#[derive(Debug)]
struct Ensemble<T> {
    forest: Forest<T>,
    rest: Arc<Rest>,
}

impl<T: Real> Kernel for Ensemble<T> {
    fn name(&self) -> &'static str {
        self.rest.name
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        self.rest.outputs(inputs)
    }

    fn run(&self, inputs: &[Arc<Tensor>]) -> TractResult<TVec<Tensor>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let (rows, width) = rows_and_columns(input)?;
        self.rest.wide_enough(width)?;
        let cast = input.cast_to::<T>()?;
        let values = elements::<T>(&cast)?;
        let kind = &self.rest.kind;
        match kind {
            Kind::Classifier { labels, verdict } => {
                let blocks = self.blocks(values, width, rows, |values, rows| {
                    self.answers(verdict, &self.scores(values, width, rows), rows)
                });
                let (answers, scores): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
                let scores = tensor(&[rows, verdict.classes], joined(scores))?;
                Ok(tvec!(labels.tensor(&joined(answers))?, scores))
            }
            Kind::Regressor { targets, base, post, same_type } => {
                let blocks = self.blocks(values, width, rows, |values, rows| {
                    let scores = self.scores(values, width, rows);
                    self.values(*targets, base, *post, &scores, rows)
                });
                let values = tensor(&[rows, *targets], joined(blocks))?;
                let element = if *same_type { input.datum_type() } else { DatumType::F32 };
                Ok(tvec!(values.cast_to_dt(element)?.into_owned()))
            }
        }
    }
}

fn joined<V>(mut blocks: Vec<Vec<V>>) -> Vec<V> {
    match blocks.len() {
        1 => blocks.swap_remove(0),
        _ => blocks.into_iter().flatten().collect(),
    }
}

impl<T: Real> Ensemble<T> {
    /// What `work` makes of each block of rows; it is given their values and their number.
    ///
    /// One after the other: many rows come here in parts already, which the room shares out.
    fn blocks<B>(
        &self,
        values: &[T],
        width: usize,
        rows: usize,
        work: impl Fn(&[T], usize) -> B,
    ) -> Vec<B> {
        let size = block_rows(width * size_of::<T>());
        let block = |from: usize| {
            let to = (from + size).min(rows);
            work(&values[from * width..to * width], to - from)
        };
        (0..rows).step_by(size).map(block).collect()
    }

    fn scores(&self, values: &[T], width: usize, rows: usize) -> Scores<T> {
        let forest = &self.forest;
        match self.rest.aggregate {
            Aggregate::Sum | Aggregate::Average => forest.sums(values, width, rows),
            Aggregate::Least => {
                forest.fold(
                    values,
                    width,
                    rows,
                    |so_far, weight| {
                        if weight < so_far { weight } else { so_far }
                    },
                )
            }
            Aggregate::Most => {
                forest.fold(
                    values,
                    width,
                    rows,
                    |so_far, weight| {
                        if weight > so_far { weight } else { so_far }
                    },
                )
            }
        }
    }

    /// A classifier's answers and its scores, which have a column for each class.
    fn answers(
        &self,
        verdict: &Verdict,
        scores: &Scores<T>,
        rows: usize,
    ) -> (Vec<Answer>, Vec<f32>) {
        let classes = verdict.classes;
        let columns = &self.forest.columns;
        let mut hit = vec![false; classes];
        columns.iter().for_each(|class| hit[*class as usize] = true);
        let mut out = vec![0.0_f32; rows * classes];
        let mut answers = Vec::with_capacity(rows);
        for (row, out) in out.chunks_exact_mut(classes).enumerate() {
            for (column, class) in columns.iter().enumerate() {
                let place = row * columns.len() + column;
                out[*class as usize] = scores.values[place].wide() as f32;
                if let Some(hits) = &scores.hit {
                    hit[*class as usize] = hits[place];
                }
            }
            answers.push(verdict.of(out, &hit));
        }
        (answers, out)
    }

    /// A regressor's values, which have a column for each target.
    fn values(
        &self,
        targets: usize,
        base: &[f64],
        post: PostTransform,
        scores: &Scores<T>,
        rows: usize,
    ) -> Vec<T> {
        let columns = &self.forest.columns;
        let trees = T::of(self.forest.trees.len() as f64);
        let base = |target: usize| match base.len() == targets {
            true => T::of(base[target]),
            false => T::ZERO,
        };
        let mut out = vec![T::ZERO; rows * targets];
        let mut transformed = vec![0.0_f32; targets];
        for (row, out) in out.chunks_exact_mut(targets).enumerate() {
            for (column, target) in columns.iter().enumerate() {
                out[*target as usize] = scores.values[row * columns.len() + column];
            }
            for (target, value) in out.iter_mut().enumerate() {
                if self.rest.aggregate == Aggregate::Average {
                    *value = *value / trees;
                }
                *value += base(target);
            }
            // onnxruntime has no other transformation for a single target.
            if post == PostTransform::None || (targets == 1 && post != PostTransform::Probit) {
                continue;
            }
            for (transformed, value) in transformed.iter_mut().zip(&*out) {
                *transformed = value.wide() as f32;
            }
            post.apply(&mut transformed);
            for (value, transformed) in out.iter_mut().zip(&transformed) {
                *value = T::of(f64::from(*transformed));
            }
        }
        out
    }
}

impl Rest {
    fn wide_enough(&self, width: usize) -> TractResult<()> {
        let features = self.features;
        ensure!(width >= features, "a row has {width} values, and the trees ask for {features}");
        Ok(())
    }

    fn outputs(&self, inputs: &[Wire]) -> TractResult<TVec<Wire>> {
        let [input] = inputs else { bail!("expected one input, found {}", inputs.len()) };
        let (rows, columns) = input.rows_and_columns()?;
        if let Ok(width) = columns.to_usize() {
            self.wide_enough(width)?;
        }
        match &self.kind {
            Kind::Classifier { labels, verdict } => {
                number(input.element)?;
                Ok(tvec!(
                    Wire::new(labels.element(), [rows.clone()]),
                    Wire::new(DatumType::F32, [rows, verdict.classes.to_dim()]),
                ))
            }
            Kind::Regressor { targets, same_type, .. } => {
                if !same_type || input.element != DatumType::F16 {
                    number(input.element)?;
                }
                let element = if *same_type { input.element } else { DatumType::F32 };
                Ok(tvec!(Wire::new(element, [rows, targets.to_dim()])))
            }
        }
    }
}
