//! Known answers at publishing: read from their file, completed, and proven on this machine first.

use crate::exit::{Exit, Failure};
use crate::pipeline::{KNOWN_BYTES_MAX, KnownAnswers};
use crate::runtime::{Flow, Pool};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Differences that a refusal lists.
const LISTED_MAX: usize = 5;

/// Reads the file that a person names.
pub(super) fn read(path: &Path) -> Result<KnownAnswers, Failure> {
    let wrong = |what: String| {
        Failure::new(Exit::Usage, format!("the known answers in {}: {what}", path.display())).hint(
            "it takes a list of rows, or {\"rows\": [{\"in\": {…}, \"out\": {…}}]} with what each gives",
        )
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let most = KNOWN_BYTES_MAX as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    KnownAnswers::parse(&bytes).map_err(wrong)
}

/// Fills in what the file does not tell, and refuses what this machine computes otherwise.
pub(super) fn prove(
    flow: &Flow,
    pool: &Pool,
    mut known: KnownAnswers,
) -> Result<KnownAnswers, Failure> {
    let refused = |error| {
        Failure::new(Exit::ModelRefused, error)
            .hint("nothing was published; correct the known answers or the model")
    };
    let differences = flow.prove(pool, &known).map_err(refused)?;
    if !differences.is_empty() {
        let listed: Vec<String> =
            differences.iter().take(LISTED_MAX).map(ToString::to_string).collect();
        let sentence = format!(
            "{} outputs differ from the known answers: {}",
            differences.len(),
            listed.join("; ")
        );
        return Err(Failure::new(Exit::ModelRefused, sentence)
            .hint("nothing was published; correct them, or widen `relative` and `absolute`"));
    }
    flow.complete(pool, &mut known).map_err(refused)?;
    Ok(known)
}
