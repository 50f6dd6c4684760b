//! A table's way through the gate and the models: in a turn of its own, alone or along with rows that wait, or in another's.

use super::batch::{Companions, Waiting};
use super::gate::{Entered, Gate, Pass};
use super::refusal::Problem;
use crate::runtime::{Deadline, Flow, Outcome, Pool};
use crate::tensor::Table;
use std::time::{Duration, Instant};

/// Where tables are computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'t> {
    pub(super) gate: &'t Gate,
    pub(super) pool: &'t Pool,
    pub(super) flow: &'t Flow,
    /// Whether rows that wait compute together.
    pub(super) batches: bool,
}

/// A table that was computed, and how long it waited for that and took.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) outcome: Outcome,
    pub(super) waited: Duration,
    pub(super) ran: Duration,
}

impl Turn<'_> {
    /// Computes the table; `client_left` is asked while it waits.
    ///
    /// # Errors
    /// When no turn comes, the table does not fit the models, or they cannot compute it by the
    /// deadline. A row that was computed with others hears of no fault but its own.
    pub(super) fn compute(
        self,
        table: &Table<'_>,
        deadline: Instant,
        client_left: &mut dyn FnMut() -> bool,
    ) -> Result<Computed, Problem> {
        let wait = Instant::now();
        let row = || {
            let joins = self.batches && self.flow.gains_from_batches(table);
            let place = std::ptr::from_ref(self.flow).addr();
            joins.then(|| Waiting::new(table, place, deadline))?
        };
        let (pass, companions) = match self.gate.enter_with(deadline, client_left, row)? {
            Entered::Turn(pass, companions) => (pass, companions),
            Entered::Computed(outcome) => {
                let ran = outcome.elapsed.iter().sum();
                let waited = wait.elapsed().saturating_sub(ran);
                return Ok(Computed { outcome, waited, ran });
            }
        };
        let run = Instant::now();
        let outcome = match self.together(&pass, companions, table, deadline) {
            Some(outcome) => outcome,
            None => self.flow.run_in_turn(self.pool, &pass, table, Deadline::at(deadline))?,
        };
        drop(pass);
        Ok(Computed { outcome, waited: run.duration_since(wait), ran: run.elapsed() })
    }

    /// Computes the table and its companions' rows as one; `None` when there are none, or it
    /// fails: then each is computed alone.
    fn together(
        self,
        pass: &Pass<'_>,
        companions: Companions,
        table: &Table<'_>,
        deadline: Instant,
    ) -> Option<Outcome> {
        if companions.is_empty() {
            return None;
        }
        let all = companions.with(table)?;
        let deadline = Deadline::at(companions.deadline(deadline));
        let outcome = self.flow.run_in_turn(self.pool, pass, &all, deadline).ok()?;
        companions.share(&outcome)
    }
}

#[cfg(test)]
mod tests;
