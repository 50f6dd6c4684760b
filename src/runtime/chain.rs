//! Models in turn: the outputs of one are the columns of the next.

use super::Deadline;
use super::error::RunError;
use super::load::Model;
use super::pool::{Pool, Turns};
use super::run::PART_ELEMENTS_MAX;
use crate::tensor::{
    Column, Dimension, ElementType, Misfit, MisfitKind, NamedTensor, Port, RowShape, Table,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Values of a row that may still gain from a batch: of rows with more, no two run in one part.
const BATCHED_ROW_ELEMENTS_MAX: usize = PART_ELEMENTS_MAX / 4;

/// Weights of a model whose rows may be computed together unasked: the plan for each of the four
/// sizes of such batches packs them anew, which a board with 512 MiB can bear for these.
const BATCHED_WEIGHTS_BYTES_MAX: usize = 8 << 20;

/// A model in a chain, with the names that its inputs have there.
#[derive(Debug, Clone)]
pub struct Link {
    model: Arc<Model>,
    names: Vec<String>,
}

impl Link {
    /// `fields` names the columns for the model's inputs, in their order; the inputs' own names
    /// hold when there are none, or not as many as inputs.
    pub fn new(model: Arc<Model>, fields: &[String]) -> Link {
        let names = if fields.len() == model.inputs().len() {
            fields.to_vec()
        } else {
            model.inputs().iter().map(|port| port.name.clone()).collect()
        };
        Link { model, names }
    }

    /// What the model takes, under the names that its inputs have in the chain.
    pub fn inputs(&self) -> Vec<Port> {
        let ports = self.model.inputs().iter().zip(&self.names);
        ports.map(|(port, name)| Port { name: name.clone(), ..port.clone() }).collect()
    }

    /// What the model gives.
    pub fn outputs(&self) -> &[Port] {
        self.model.outputs()
    }
}

/// At least one model, each after the first fed by the one before.
#[derive(Debug, Clone)]
pub struct Chain {
    links: Vec<Link>,
    inputs: Vec<Port>,
    /// Each model takes a batch of any size, at little cost in memory.
    batches: bool,
}

/// What a chain gave for one table.
#[derive(Debug)]
pub struct Outcome {
    /// The last model's outputs, in its order.
    pub outputs: Vec<NamedTensor<'static>>,
    /// How long each model took, in order.
    pub elapsed: Vec<Duration>,
}

impl Chain {
    /// A chain of these links; `None` when there is none.
    pub fn new(links: Vec<Link>) -> Option<Chain> {
        let inputs = links.first()?.inputs();
        let batches = links.iter().all(|link| {
            let Model { divisible, plans, .. } = &*link.model;
            *divisible && plans.weights_bytes() <= BATCHED_WEIGHTS_BYTES_MAX
        });
        Some(Chain { links, inputs, batches })
    }

    /// The models in the order in which they run.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What the chain takes: the first model's inputs under their names in the chain.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What the chain gives: the last model's outputs.
    pub fn outputs(&self) -> &[Port] {
        self.links.last().map_or(&[], Link::outputs)
    }

    /// Runs every row of `table` through each model in turn, with the pool to itself.
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

    /// Runs every row of `table` through each model in turn, on this thread, and on as many of
    /// the pool as it gets further `turns` for. The caller holds one.
    ///
    /// # Errors
    /// When the table does not fit the first model, an output not the next one, a model cannot
    /// compute its input, or the deadline passes.
    pub fn run_in_turn(
        &self,
        pool: &Pool,
        turns: &dyn Turns,
        table: &Table<'_>,
        deadline: Deadline,
    ) -> Result<Outcome, RunError> {
        let mut elapsed = Vec::with_capacity(self.links.len());
        let mut outputs: Option<Vec<NamedTensor<'static>>> = None;
        for link in &self.links {
            let start = Instant::now();
            let next = match &outputs {
                None => link.model.run(pool, turns, &link.names, table, deadline)?,
                Some(outputs) => {
                    let table = as_table(outputs, table.rows())?;
                    link.model.run(pool, turns, &link.names, &table, deadline)?
                }
            };
            elapsed.push(start.elapsed());
            outputs = Some(next);
        }
        Ok(Outcome { outputs: outputs.unwrap_or_default(), elapsed })
    }

    /// Whether this is one row that computes for less together with others like it: each model
    /// takes a batch of any size and has few weights, and the row has few values.
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
    /// What the model says to zeros.
    pub fn warm_up(&self, pool: &Pool) -> Result<bool, RunError> {
        let mut columns = Vec::new();
        for port in &self.inputs {
            let rest = port.dimensions.get(1..).unwrap_or_default();
            let shape: Option<Vec<usize>> = rest
                .iter()
                .map(|dimension| match dimension {
                    Dimension::Fixed(extent) => Some(*extent),
                    Dimension::Free(_) => None,
                })
                .collect();
            let (Some(shape), Some(_)) = (shape, port.dimensions.first()) else { return Ok(false) };
            if port.element == ElementType::String {
                return Ok(false);
            }
            columns.push((port, shape));
        }
        let rows = match self.inputs.first().map(|port| &port.dimensions[0]) {
            Some(Dimension::Fixed(rows)) => *rows,
            Some(Dimension::Free(_)) | None => 1,
        };
        let columns: Vec<Column<'_>> = columns
            .into_iter()
            .map(|(port, shape)| Column {
                name: port.name.clone(),
                data: port.element.zeros(rows * shape.iter().product::<usize>()),
                row_shape: RowShape::Told(shape),
            })
            .collect();
        let table =
            Table::new(rows, columns).map_err(|error| RunError::Broke(error.to_string()))?;
        self.run(pool, &table, Deadline::NONE).map(|_| true)
    }
}

/// The outputs of a model as the table for the next.
fn as_table<'o>(outputs: &'o [NamedTensor<'_>], rows: usize) -> Result<Table<'o>, Misfit> {
    let columns = outputs
        .iter()
        .filter_map(|output| {
            let shape = output.tensor.shape();
            let row = match shape.split_first() {
                Some((first, rest)) if *first == rows => rest.to_vec(),
                // One row may have given a whole tensor: detections, for instance.
                Some(_) | None if rows == 1 => shape.to_vec(),
                Some(_) | None => return None,
            };
            Some(Column {
                name: output.name.clone(),
                row_shape: RowShape::Told(row),
                data: output.tensor.data().borrow(),
            })
        })
        .collect();
    Table::new(rows, columns)
        .map_err(|error| Misfit::new(MisfitKind::WrongShape, error.to_string()))
}
