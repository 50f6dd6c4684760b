//! Whether the steps of a pipeline fit each other: held together, run with zeros, and proven by its known answers.

use super::known;
use crate::exit::{Exit, Failure};
use crate::pipeline::{Definition, ModelEntry, ModelKey};
use crate::runtime::{Flow, Model, Pool, RunError};
use std::sync::Arc;

/// Completes a definition by what its steps tell: inputs, outputs, and what known answers lack.
///
/// # Errors
/// The first step, validation or row of the known answers that does not fit, and what to do.
pub(in crate::ops) fn fit(
    definition: &mut Definition,
    model: impl FnMut(&ModelKey) -> Arc<Model>,
) -> Result<(), Failure> {
    let flow = Flow::new(definition, model).map_err(|error| {
        Failure::new(Exit::Usage, error).hint("nothing was published; correct the pipeline")
    })?;
    let pool = Pool::start(1).map_err(|error| Failure::new(Exit::Failed, error))?;
    try_steps(&flow, &pool)?;
    let known = definition.known_answers.take();
    definition.known_answers = known.map(|known| known::prove(&flow, &pool, known)).transpose()?;
    definition.inputs = flow.inputs().to_vec();
    definition.outputs = flow.outputs().to_vec();
    let Definition { log, inputs, outputs, .. } = &*definition;
    log.fits(inputs, flow.companions(), outputs).map_err(|sentence| {
        Failure::new(
            Exit::Usage,
            format!("the `log` of the pipeline cannot be followed: {sentence}"),
        )
        .hint("nothing was published; correct the pipeline")
    })?;
    Ok(())
}

/// Whether there is a column for each input of a model, where columns are named at all.
///
/// # Errors
/// How many there are and should be.
pub(in crate::ops) fn fields_match(entry: &ModelEntry, model: &Model) -> Result<(), Failure> {
    let (fields, inputs) = (entry.tensor_fields.len(), model.inputs().len());
    if fields == 0 || fields == inputs {
        return Ok(());
    }
    let sentence = format!(
        "model `{}` has {fields} tensor_fields for {inputs} inputs: name one column for each input, \
         in the model's order",
        entry.key.name
    );
    Err(Failure::new(Exit::Usage, sentence))
}

/// Why steps do not run.
#[derive(Debug, thiserror::Error)]
#[error("the steps do not fit each other, or a model cannot run")]
struct Steps(#[source] RunError);

/// One row of zeros through all steps. A model may refuse zeros and be sound, but a step that
/// does not fit the one before it, or a panic, is a fault in any case.
fn try_steps(flow: &Flow, pool: &Pool) -> Result<(), Failure> {
    match flow.warm_up(pool) {
        Ok(_) | Err(RunError::Uneven { .. }) => Ok(()),
        Err(error @ RunError::Refused(_)) => {
            log::warn!(
                target: crate::logging::AT_PUBLISH,
                "msg={:?}", format!("a row of zeros is refused: {}", crate::exit::chain(&error))
            );
            Ok(())
        }
        Err(
            error @ (RunError::Misfit(_) | RunError::Broke(_) | RunError::Unread | RunError::Late),
        ) => Err(Failure::new(Exit::ModelRefused, Steps(error)).hint(
            "nothing was published; each step takes the outputs of the step before it by \
                 name (or by `tensor_fields`)",
        )),
    }
}
