//! A model in a flow, with the columns that feed it.

use crate::runtime::error::RunError;
use crate::runtime::pool::{Pool, Turns};
use crate::runtime::{Deadline, Model};
use crate::tensor::{NamedTensor, Port, Table};
use std::sync::Arc;

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
