//! Runs the rows of one request: in parts over the compute threads where the model allows it.

use super::Deadline;
use super::bind::{Binding, RowsPerRun, bind};
use super::error::{RunError, contained};
use super::load::Model;
use super::plan::Plan;
use super::pool::{Pool, Turns};
use super::values;
use crate::tensor::{Data, NamedTensor, Table, Tensor};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tract_onnx::prelude::{IntoTValue, TVec};
use tract_onnx::tract_core::internal::Symbol;

/// The sizes in which rows of a divisible batch run: few, so that few plans are ever made.
const PART_ROWS: [usize; 6] = [1024, 256, 64, 16, 4, 1];

/// Rows of images that are run at once where they gain from it: those who wait for a turn wait for them.
const ROWS_TOGETHER: usize = 4;

/// Parts that take less than this together are run by the caller alone. Help with two parts of 17 us took 35 us
/// of CPU time, and 26 by the clock: from here on it saves a quarter of the time at least.
const SHARED_MIN: Duration = Duration::from_micros(100);

/// Values of one input that a part holds at most, beyond its first row. tract runs a batch of
/// images slower than the images one by one (2 to 4 times, measured with conv nets); rows of few
/// values gain from a batch. 64 Ki values lie between a table's row and an image's.
pub(super) const PART_ELEMENTS_MAX: usize = 64 << 10;

/// Floats that a product makes of a part, from which on a part has [`ROWS_NARROW`] rows at most: what it makes and what it is made
/// of, half a megabyte each, then stay in a second-level cache, and threads have parts of their own.
const PRODUCT_FLOATS_MAX: usize = 128 << 10;

/// Rows that weights are worth reading again for.
const ROWS_NARROW: usize = 256;

impl Model {
    /// Runs every row of `table` and joins the outputs along their first dimension.
    ///
    /// The caller holds one of the `turns`; rows that run in one part need no other.
    ///
    /// `names` are the columns that hold the model's inputs, in the order of
    /// [`inputs`](Self::inputs).
    ///
    /// # Errors
    /// When the table does not fit, or the model cannot compute these values.
    pub(super) fn run(
        &self,
        pool: &Pool,
        turns: &dyn Turns,
        names: &[String],
        table: &Table<'_>,
        deadline: Deadline,
    ) -> Result<Vec<NamedTensor<'static>>, RunError> {
        let binding = bind(self, names, table)?;
        let together = self.rows_together(&binding, pool.threads());
        let wide = (self.plans.product_floats(), pool.threads());
        let parts = parts(&binding, self.divisible, together, wide);
        if 1 < parts.len() && self.late.is_none() {
            // Or else each thread would make it for its own first part. What is wrong, a part tells.
            let _ = self.plan_of(Some(pool), self.extents_of(&binding, parts[0].len()));
        }
        let part_with = |turns: Option<&dyn Turns>, number: usize| {
            self.part(pool, &binding, parts[number].clone(), turns, deadline)
        };
        let part = |number: usize| part_with(None, number);
        let runs = match parts.len() {
            1 if is_large(&binding, &parts[0]) && turns.are_wanted() => {
                vec![pool.on_warm_memory(|| part(0))?]
            }
            1 if self.late.is_some() || self.is_shared(&binding, &parts[0]) => {
                vec![part_with(Some(turns), 0)?]
            }
            2.. if self.are_short(&binding, &parts) => {
                (0..parts.len()).map(part).collect::<Result<_, _>>()?
            }
            _ => pool.each(turns, parts.len(), part)?,
        };
        self.join(runs)
    }

    /// How many of the rows are run by [`ROWS_TOGETHER`], though each is large: as many as give all
    /// threads as much of them.
    fn rows_together(&self, binding: &Binding<'_>, threads: usize) -> usize {
        let round = ROWS_TOGETHER * threads;
        if binding.rows < round || !self.plans.are_of_images() {
            return 0;
        }
        let one = self.plans.made(&self.extents_of(binding, 1));
        match one.is_some_and(|plan| plan.are_together()) {
            true => binding.rows / round * round,
            false => 0,
        }
    }

    /// Whether helpers may share the kernels of a run of these rows.
    fn is_shared(&self, binding: &Binding<'_>, rows: &Range<usize>) -> bool {
        // A plan that is still to be made needs the pool's threads for itself.
        let Some(plan) = self.plans.made(&self.extents_of(binding, rows.len())) else {
            return false;
        };
        plan.is_shared() || self.plans.are_of_images() && is_large(binding, rows)
    }

    /// Whether all of these parts take less time than it takes to have help with them.
    fn are_short(&self, binding: &Binding<'_>, parts: &[Range<usize>]) -> bool {
        is_short(
            parts
                .iter()
                .map(|rows| self.plans.made(&self.extents_of(binding, rows.len()))?.quickest()),
        )
    }

    /// Runs these rows; helpers for the turns that are free, where some are told, are there for the run alone, and
    /// do not wait while values are copied.
    fn part(
        &self,
        pool: &Pool,
        binding: &Binding<'_>,
        rows: Range<usize>,
        turns: Option<&dyn Turns>,
        deadline: Deadline,
    ) -> Result<Vec<Tensor<'static>>, RunError> {
        if deadline.has_passed() {
            return Err(RunError::Late); // parts that wait for a thread need not begin
        }
        let inputs: TVec<_> = contained(|| {
            binding
                .inputs
                .iter()
                .map(|input| {
                    let (shape, data) = input.part(rows.start, rows.end);
                    Ok(values::into_tract(&shape, &data)?.into_tvalue())
                })
                .collect()
        })?;
        let outputs = match &self.late {
            Some(late) => late.run(Some(pool), turns, inputs, deadline)?,
            None => {
                let extents = self.extents_of(binding, rows.len());
                match self.plan_of(Some(pool), extents) {
                    Err(RunError::Unread) if self.are_apart(binding, &rows) => {
                        return self.one_by_one(pool, binding, rows, deadline);
                    }
                    plan if rows.len() < binding.rows => plan?.timed(inputs, deadline)?,
                    plan => {
                        let plan = plan?;
                        match turns {
                            Some(turns) => pool.with_gang(turns, || plan.run(inputs, deadline))?,
                            None => plan.run(inputs, deadline)?,
                        }
                    }
                }
            }
        };
        Ok(contained(|| outputs.iter().map(|output| values::from_tract(output)).collect())?)
    }

    /// Whether these are several rows that may be run each by itself, by a plan that is there.
    fn are_apart(&self, binding: &Binding<'_>, rows: &Range<usize>) -> bool {
        let is_there = self.plans.made(&self.extents_of(binding, 1)).is_some();
        1 < rows.len() && self.divisible && binding.per_run == RowsPerRun::Any && is_there
    }

    /// The same rows by the plan for one: where the disk gives no weights for another, it still answers.
    fn one_by_one(
        &self,
        pool: &Pool,
        binding: &Binding<'_>,
        rows: Range<usize>,
        deadline: Deadline,
    ) -> Result<Vec<Tensor<'static>>, RunError> {
        let runs = rows.map(|row| self.part(pool, binding, row..row + 1, None, deadline));
        self.joined(runs.collect::<Result<_, _>>()?)
    }

    /// The plan for these extents of the open dimensions, made when it is not there: on a thread
    /// of the pool, whose stack is large, or on the caller's.
    pub(super) fn plan_for(
        &self,
        pool: Option<&Pool>,
        extent: impl FnMut(&Symbol) -> usize,
    ) -> Result<Arc<Plan>, RunError> {
        self.plan_of(pool, self.plans.extents(extent))
    }

    /// The extents of the open dimensions with so many rows of a table.
    fn extents_of(&self, binding: &Binding<'_>, rows: usize) -> TVec<usize> {
        self.plans.extents(|symbol| match binding.batch.contains(symbol) {
            true => rows,
            false => binding.open[symbol],
        })
    }

    fn plan_of(&self, pool: Option<&Pool>, extents: TVec<usize>) -> Result<Arc<Plan>, RunError> {
        match (self.plans.made(&extents), pool) {
            (Some(plan), _) => Ok(plan),
            // tract's passes over a graph call each other deeply.
            (None, Some(pool)) => pool.on_large_stack(|| self.plans.make(extents)),
            (None, None) => self.plans.make(extents),
        }
    }

    fn join(&self, runs: Vec<Vec<Tensor<'static>>>) -> Result<Vec<NamedTensor<'static>>, RunError> {
        let tensors = self.joined(runs)?;
        let named = self.outputs().iter().zip(tensors);
        Ok(named.map(|(port, tensor)| NamedTensor { name: port.name.clone(), tensor }).collect())
    }

    fn joined(&self, runs: Vec<Vec<Tensor<'static>>>) -> Result<Vec<Tensor<'static>>, RunError> {
        let mut runs = runs.into_iter();
        let first = runs.next().unwrap_or_default();
        match runs.next() {
            None => Ok(first),
            Some(second) => {
                let mut joined: Vec<Joined> = first.into_iter().map(Joined::first).collect();
                for outputs in std::iter::once(second).chain(runs) {
                    let ports = self.outputs().iter();
                    for ((port, joined), output) in ports.zip(&mut joined).zip(outputs) {
                        joined.add(&port.name, output)?;
                    }
                }
                joined.into_iter().map(Joined::tensor).collect()
            }
        }
    }
}

/// Whether it is known of all of these parts what they take, and that it is little.
fn is_short(mut parts: impl Iterator<Item = Option<Duration>>) -> bool {
    let all = parts.try_fold(Duration::ZERO, |sum, part| {
        sum.checked_add(part?).filter(|sum| *sum < SHARED_MIN) // many parts are soon too many
    });
    all.is_some()
}

/// Whether these rows take much memory on their way through a model: an image, and not a table.
fn is_large(binding: &Binding<'_>, rows: &Range<usize>) -> bool {
    binding.inputs.iter().any(|input| PART_ELEMENTS_MAX < rows.len() * input.row_elements())
}

/// The row ranges that run, in order; the first `together` rows may run by [`ROWS_TOGETHER`]. What the widest product makes of
/// a row, and the threads, tell how many rows a part has at most.
fn parts(
    binding: &Binding<'_>,
    divisible: bool,
    together: usize,
    (product_floats, threads): (usize, usize),
) -> Vec<Range<usize>> {
    let rows = binding.rows;
    if rows == 1 {
        return std::iter::once(0..1).collect();
    }
    let sizes: Vec<usize> = match binding.per_run {
        RowsPerRun::Exactly(rows) => vec![rows],
        RowsPerRun::Any if !divisible => vec![rows],
        RowsPerRun::Any => {
            let widest = binding.inputs.iter().map(|input| input.row_elements()).max().unwrap_or(1);
            let fits = |size: &usize| *size == 1 || size * widest <= PART_ELEMENTS_MAX;
            // Of fewer parts than threads, one would compute what all could.
            let is_small = |size: &usize| {
                let is_warm = size.saturating_mul(product_floats) <= PRODUCT_FLOATS_MAX;
                *size <= ROWS_NARROW || is_warm && size * threads <= rows
            };
            PART_ROWS.into_iter().filter(fits).filter(is_small).collect()
        }
    };
    let mut parts = Vec::new();
    let mut from = 0;
    if sizes.as_slice() == [1] && binding.per_run == RowsPerRun::Any {
        let ends = (ROWS_TOGETHER..=together).step_by(ROWS_TOGETHER);
        parts.extend(ends.map(|end| end - ROWS_TOGETHER..end));
        from = together;
    }
    for size in sizes {
        while rows - from >= size {
            parts.push(from..from + size);
            from += size;
        }
    }
    parts
}

/// The parts of one output, one after the other.
struct Joined {
    shape: Vec<usize>,
    data: Data<'static>,
    single: bool,
}

impl Joined {
    fn first(tensor: Tensor<'static>) -> Joined {
        Joined { shape: tensor.shape().to_vec(), data: tensor.into_data(), single: true }
    }

    fn add(&mut self, output: &str, more: Tensor<'static>) -> Result<(), RunError> {
        let uneven = |first: &[usize], other: &[usize]| RunError::Uneven {
            output: output.to_owned(),
            first: first.to_vec(),
            other: other.to_vec(),
        };
        if self.single && self.shape.is_empty() {
            self.shape = vec![1]; // scalars of several runs become a list
        }
        self.single = false;
        let other = if more.shape().is_empty() { vec![1] } else { more.shape().to_vec() };
        let same = |shape: &[usize]| shape.get(1..).map(<[usize]>::to_vec);
        if same(&self.shape) != same(&other) {
            return Err(uneven(&self.shape, &other));
        }
        if self.data.append(more.into_data()).is_err() {
            return Err(uneven(&self.shape, &other));
        }
        self.shape[0] += other[0];
        Ok(())
    }

    fn tensor(self) -> Result<Tensor<'static>, RunError> {
        Tensor::new(self.shape, self.data).map_err(|error| RunError::Broke(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_run_alone_where_all_are_known_to_take_little_together() {
        let known = |parts: &[Option<Duration>]| is_short(parts.iter().copied());
        let (little, unknown) = (Some(SHARED_MIN / 4), None);
        assert!(known(&[little; 3]));
        assert!(!known(&[little; 4]), "what they take together is worth help");
        assert!(!known(&[little, unknown]), "what is not known may be much");
        assert!(!known(&[Some(Duration::MAX), little]));
    }
}
