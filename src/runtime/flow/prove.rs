//! Known answers held against a flow: what this processor computes beside what it should.

use super::Flow;
use crate::pipeline::{Difference, KnownAnswers};
use crate::runtime::error::RunError;
use crate::runtime::{Deadline, Pool};

/// Why known answers could not be held against a flow.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A row is none that the flow takes.
    #[error("a row of the known answers is none: {0}")]
    Row(String),
    /// A row cannot be computed.
    #[error("row {row} of the known answers cannot be computed")]
    Run {
        /// The row, the first is 0.
        row: usize,
        /// Why.
        #[source]
        source: Box<RunError>,
    },
}

impl Flow {
    /// Infers each row of the known answers, and tells where the outputs are not what they
    /// should be.
    ///
    /// # Errors
    /// The first row that is none that the flow takes, or cannot be computed.
    pub fn prove(&self, pool: &Pool, known: &KnownAnswers) -> Result<Vec<Difference>, ProveError> {
        let mut differences = Vec::new();
        for row in 0..known.rows() {
            let outputs = self.answer(pool, known, row)?;
            differences.extend(known.differences(row, &outputs));
        }
        Ok(differences)
    }

    /// Fills in what the flow gives for the rows of the known answers that have none yet.
    ///
    /// # Errors
    /// As [`prove`](Self::prove).
    pub fn complete(&self, pool: &Pool, known: &mut KnownAnswers) -> Result<(), ProveError> {
        for row in 0..known.rows() {
            if !known.is_answered(row) {
                let outputs = self.answer(pool, known, row)?;
                known.set(row, &outputs);
            }
        }
        Ok(())
    }

    fn answer(
        &self,
        pool: &Pool,
        known: &KnownAnswers,
        row: usize,
    ) -> Result<Vec<crate::tensor::NamedTensor<'static>>, ProveError> {
        let table = known.table(row, &self.inputs).map_err(ProveError::Row)?;
        let outcome = self.run(pool, &table, Deadline::NONE);
        outcome
            .map(|it| it.outputs)
            .map_err(|source| ProveError::Run { row, source: Box::new(source) })
    }
}
