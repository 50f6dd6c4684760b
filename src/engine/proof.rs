//! The proof: what this device computes for the known answers of a pipeline, before it answers anyone.

use crate::exit::{Exit, Failure, chain};
use crate::logging::{AT_LOAD, quoted};
use crate::pipeline::{Definition, Difference};
use crate::runtime::{Flow, Pool};
use std::time::Instant;

/// Differences that a log line lists; the page lists them all.
const LISTED_MAX: usize = 3;

/// What a pipeline's known answers lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proving {
    /// They are not looked at.
    Off,
    /// The pipeline runs, and log, page and metrics tell what differs.
    Warn,
    /// The pipeline does not run when anything differs.
    Require,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Proof {
    /// The pipeline brings no known answers, or nobody wants to know.
    None,
    /// This many rows were computed, with these differences.
    Held { rows: usize, differences: Vec<Difference> },
    /// A row could not be computed at all.
    Broken(String),
}

impl Proof {
    /// Proves `flow` by the known answers of its definition.
    ///
    /// # Errors
    /// When `proving` requires what does not hold.
    pub(super) fn of(
        flow: &Flow,
        definition: &Definition,
        pool: &Pool,
        proving: Proving,
    ) -> Result<Proof, Failure> {
        let Some(known) = definition.known_answers.as_ref().filter(|_| proving != Proving::Off)
        else {
            return Ok(Proof::None);
        };
        let start = Instant::now();
        let proof = match flow.prove(pool, known) {
            Ok(differences) => Proof::Held { rows: known.rows(), differences },
            Err(error) => Proof::Broken(chain(&error)),
        };
        let ms = start.elapsed().as_millis();
        let Some(sentence) = proof.sentence() else {
            log::info!(target: AT_LOAD, "known_answers={} differences=0 ms={ms}", known.rows());
            return Ok(proof);
        };
        match proving {
            Proving::Require => Err(Failure::new(Exit::ModelRefused, sentence).hint(
                "this device computes something else than the publisher did: compare processor \
                 and engine version, or set POTOROO_KNOWN_ANSWERS=warn to serve all the same",
            )),
            Proving::Warn | Proving::Off => {
                log::warn!(target: AT_LOAD, "ms={ms} {}", quoted("msg", &sentence));
                Ok(proof)
            }
        }
    }

    /// What does not hold, shortened.
    pub(super) fn sentence(&self) -> Option<String> {
        match self {
            Proof::None => None,
            Proof::Held { differences, .. } if differences.is_empty() => None,
            Proof::Held { rows, differences } => {
                let listed: Vec<String> =
                    differences.iter().take(LISTED_MAX).map(Difference::to_string).collect();
                let more = match differences.len().saturating_sub(LISTED_MAX) {
                    0 => String::new(),
                    more => format!("; and {more} more"),
                };
                Some(format!(
                    "{} outputs of {rows} known rows differ: {}{more}",
                    differences.len(),
                    listed.join("; ")
                ))
            }
            Proof::Broken(why) => Some(format!("the known answers do not hold: {why}")),
        }
    }

    /// The outputs that differ; a proof that broke counts as one.
    pub(super) fn failures(&self) -> u64 {
        match self {
            Proof::None => 0,
            Proof::Held { differences, .. } => differences.len() as u64,
            Proof::Broken(_) => 1,
        }
    }

    /// What the page says, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Proof::None => vec!["none, or not looked at".to_owned()],
            Proof::Held { rows, differences } if differences.is_empty() => {
                vec![format!("{rows} rows, all as the publisher computed them")]
            }
            Proof::Held { differences, .. } => {
                differences.iter().map(Difference::to_string).collect()
            }
            Proof::Broken(why) => vec![why.clone()],
        }
    }
}
