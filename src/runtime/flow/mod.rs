//! A pipeline's steps as they run: models in turn, challengers beside them, splits, and checks.
//!
//! ```text
//! table ─▶ stage ─▶ stage ─▶ … ─▶ outputs of the last model
//!            │        └─ Check: findings for each row
//!            └─ challengers: shown beside the answer, and never in its way
//! ```

mod build;
mod link;
mod prove;
mod split;
mod stage;

pub use build::FlowError;
pub use link::Link;
pub use prove::ProveError;
pub use split::Split;

use super::error::RunError;
use super::pool::{Pool, Turns};
use super::run::PART_ELEMENTS_MAX;
use super::{Deadline, Model};
use crate::pipeline::{Definition, Finding, ModelKey};
use crate::tensor::{Column, Dimension, ElementType, NamedTensor, Port, RowShape, Table};
use stage::{Run, Stage};
use std::sync::Arc;
use std::time::Duration;

/// Values of a row that may still gain from a batch: of rows with more, no two run in one part.
const BATCHED_ROW_ELEMENTS_MAX: usize = PART_ELEMENTS_MAX / 4;

/// The steps of a pipeline, with their models loaded.
#[derive(Debug)]
pub struct Flow {
    stages: Vec<Stage>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    companions: Vec<String>,
    /// One model answers each row, takes a batch of any size, and has few weights.
    batches: bool,
}

/// What a flow gave for one table.
#[derive(Debug)]
pub struct Outcome {
    /// The model that answered: the last that ran, and where rows went to several, the first row's.
    pub model: ModelKey,
    /// Its outputs, in its order.
    pub outputs: Vec<NamedTensor<'static>>,
    /// What the challengers gave, in the order of the steps.
    pub shadows: Vec<Shadow>,
    /// The model that each row went to, where the last split chose one.
    pub chosen: Option<Vec<ModelKey>>,
    /// What the validations found, in the order of the steps.
    pub findings: Vec<Finding>,
    /// How long each step that computes took, in order.
    pub elapsed: Vec<Duration>,
}

/// What one challenger gave.
#[derive(Debug)]
pub struct Shadow {
    /// The challenger.
    pub model: ModelKey,
    /// Its outputs, in its order, or why there are none.
    pub outputs: Result<Vec<NamedTensor<'static>>, RunError>,
}

impl Flow {
    /// The flow of a definition; `model` gives the loaded model of each key that a step names.
    ///
    /// # Errors
    /// When the steps do not go together, or a validation does not fit what it looks at.
    pub fn new(
        definition: &Definition,
        model: impl FnMut(&ModelKey) -> Arc<Model>,
    ) -> Result<Flow, FlowError> {
        build::build(definition, model)
    }

    /// The flow of one model, under the names of its own inputs.
    pub fn of_model(model: Arc<Model>) -> Flow {
        build::of_model(model)
    }

    /// What the flow takes: the first models' inputs under their names in the pipeline.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Further columns that the flow looks at when they are there: those that split rows.
    pub fn companions(&self) -> &[String] {
        &self.companions
    }

    /// What the flow gives: the last models' outputs.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// Every model that runs, in the order of the steps, with what it takes and gives.
    pub fn links(&self) -> impl Iterator<Item = (&ModelKey, &Link)> {
        self.stages.iter().flat_map(Stage::arms).map(|arm| (&arm.key, &arm.link))
    }

    /// The models that run beside one that answers, as far as they are shown.
    pub fn challengers(&self) -> impl Iterator<Item = (&ModelKey, &Link)> {
        self.stages.iter().flat_map(Stage::challengers).map(|arm| (&arm.key, &arm.link))
    }

    /// Whether a step sends each row to one of several models.
    pub fn is_split(&self) -> bool {
        self.stages.iter().any(|stage| !stage.split_arms().is_empty())
    }

    /// Runs every row of `table` through each step in turn, with the pool to itself.
    ///
    /// # Errors
    /// As [`run_in_turn`](Self::run_in_turn).
    pub fn run(
        &self,
        pool: &Pool,
        table: &Table<'_>,
        deadline: Deadline,
    ) -> Result<Outcome, RunError> {
        self.run_in_turn(pool, &pool.all_turns(), table, deadline)
    }

    /// Runs every row of `table` through each step in turn, on this thread, and on as many of the
    /// pool as it gets further `turns` for. The caller holds one.
    ///
    /// # Errors
    /// When the table does not fit the first model, an output not the next one, a model that
    /// answers cannot compute its input, or the deadline passes. What a challenger does is no
    /// error of the run.
    pub fn run_in_turn(
        &self,
        pool: &Pool,
        turns: &dyn Turns,
        table: &Table<'_>,
        deadline: Deadline,
    ) -> Result<Outcome, RunError> {
        let mut run = Run::new(pool, turns, table, deadline);
        for stage in &self.stages {
            stage.run(&mut run)?;
        }
        run.outcome()
    }

    /// Whether this is one row that computes for less together with others like it: one model
    /// after the other takes a batch of any size and has few weights, and the row has few values.
    pub fn gains_from_batches(&self, table: &Table<'_>) -> bool {
        let elements = |column: &Column<'_>| column.row_shape.elements();
        let widest = table.columns().iter().map(elements).max().unwrap_or(0);
        self.batches && table.rows() == 1 && widest <= BATCHED_ROW_ELEMENTS_MAX
    }

    /// Runs one row of zeros through each model, so that plans are made and faults of a model
    /// show before the first request does.
    ///
    /// Returns whether it ran: a model whose rows have no fixed shape is not guessed at.
    ///
    /// # Errors
    /// What the models say to zeros, challengers too.
    pub fn warm_up(&self, pool: &Pool) -> Result<bool, RunError> {
        let Some(table) = zeros(&self.inputs)? else { return Ok(false) };
        let run = self.run(pool, &table, Deadline::NONE)?;
        for shadow in run.shadows {
            shadow.outputs?;
        }
        // A split runs one of its models; the others are to be as warm.
        for arm in self.stages.first().into_iter().flat_map(Stage::split_arms) {
            arm.link.run(pool, &pool.all_turns(), &table, Deadline::NONE)?;
        }
        Ok(true)
    }
}

/// A row of zeros for these ports, or as many as their first dimension is fixed to; `None` when
/// its shape is not known.
fn zeros(ports: &[Port]) -> Result<Option<Table<'static>>, RunError> {
    let mut columns = Vec::new();
    let rows = match ports.first().and_then(|port| port.dimensions.first()) {
        Some(Dimension::Fixed(rows)) => *rows,
        Some(Dimension::Free(_)) | None => 1,
    };
    for port in ports {
        let rest = port.dimensions.get(1..).unwrap_or_default();
        let shape: Option<Vec<usize>> = rest
            .iter()
            .map(|dimension| match dimension {
                Dimension::Fixed(extent) => Some(*extent),
                Dimension::Free(_) => None,
            })
            .collect();
        let (Some(shape), Some(_)) = (shape, port.dimensions.first()) else { return Ok(None) };
        if port.element == ElementType::String {
            return Ok(None);
        }
        columns.push(Column {
            name: port.name.clone().into(),
            data: port.element.zeros(rows * shape.iter().product::<usize>()),
            row_shape: RowShape::Told(shape),
        });
    }
    let table = Table::new(rows, columns).map_err(|error| RunError::Broke(error.to_string()))?;
    Ok(Some(table))
}

#[cfg(test)]
mod tests;
