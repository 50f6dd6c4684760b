//! A model in a flow, with the columns that feed it.

use crate::runtime::error::RunError;
use crate::runtime::pool::{Pool, Turns};
use crate::runtime::{Deadline, Model};
use crate::tensor::{NamedTensor, Port, Table};
use std::sync::Arc;

/// Weights of a model whose rows may be computed together unasked: the plan for each of the four
/// sizes of such batches packs them anew, which a board with 512 MiB can bear for these.
const BATCHED_WEIGHTS_BYTES_MAX: usize = 8 << 20;

/// A model with the names that its inputs have in the pipeline.
#[derive(Debug, Clone)]
pub struct Link {
    model: Arc<Model>,
    names: Vec<String>,
}

impl Link {
    /// A model whose inputs are fed by the columns `fields`, in their order; the inputs' own names
    /// hold when there are none, or not as many as inputs.
    pub fn new(model: Arc<Model>, fields: &[String]) -> Link {
        let names = if fields.len() == model.inputs().len() {
            fields.to_vec()
        } else {
            model.inputs().iter().map(|port| port.name.clone()).collect()
        };
        Link { model, names }
    }

    /// What the model takes, under the names that its inputs have in the pipeline.
    pub fn inputs(&self) -> Vec<Port> {
        let ports = self.model.inputs().iter().zip(&self.names);
        ports.map(|(port, name)| Port { name: name.clone(), ..port.clone() }).collect()
    }

    /// What the model gives.
    pub fn outputs(&self) -> &[Port] {
        self.model.outputs()
    }

    /// Whether the model takes a batch of any size, at little cost in memory.
    pub(super) fn gains_from_batches(&self) -> bool {
        let Model { divisible, plans, .. } = &*self.model;
        *divisible && plans.weights_bytes() <= BATCHED_WEIGHTS_BYTES_MAX
    }

    /// Runs every row of `table`.
    pub(super) fn run(
        &self,
        pool: &Pool,
        turns: &dyn Turns,
        table: &Table<'_>,
        deadline: Deadline,
    ) -> Result<Vec<NamedTensor<'static>>, RunError> {
        self.model.run(pool, turns, &self.names, table, deadline)
    }
}
