//! The commands for operators: fill the store, look into it, and clear it.

mod logs;
mod models;

pub use logs::logs;
pub use models::models;

use super::config::{self, Config};
use super::fetch::Fetched;
use super::keeper::Keeper;
use super::store::Store;
use super::voice::Voice;
use super::{Variables, config_of, start_logging};
use crate::clock::DeviceClock;
use crate::exit::{Exit, Failure};
use crate::logging::announce;
use crate::oci::Source;
use crate::runtime::Pool;
use std::path::PathBuf;
use std::sync::Arc;

/// Fetches the pipeline of `PIPELINE_URL` into the store and verifies it: the next start needs no
/// network, and begins with it.
///
/// # Errors
/// As those of a start; also while an engine runs on the same directory.
pub fn pull(variables: Variables) -> Result<(), Failure> {
    start_logging(&variables);
    let config: Arc<Config> = Arc::new(config_of(variables)?);
    let store = Store::open(&config.persist, Arc::new(DeviceClock))?;
    let pool = Pool::start(1).map_err(|error| Failure::new(Exit::Failed, error))?;
    let keeper = Keeper::new(config, store, Arc::new(pool));
    // A person who asks for it by name wants it, whatever was wrong with it before.
    keeper.store.pardon()?;
    let Fetched { digest, verification, .. } = keeper.fetch(Voice::Contract)?;
    verification.wait()?;
    keeper.adopt(digest)?;
    let place = match &keeper.aim().source {
        Source::Registry(_) => format!("in {}", keeper.store.directory().display()),
        Source::Layout { path, .. } => format!("where it was, in {}", path.display()),
    };
    announce(&format!("Pipeline {digest} is whole and verified {place}"));
    Ok(())
}

/// Takes away what no pipeline of the store needs, and says what that freed.
///
/// # Errors
/// When an engine runs on the directory, or the disk does not do its part.
pub fn gc(variables: Variables) -> Result<(), Failure> {
    start_logging(&variables);
    let store = Store::open(&persist(variables)?, Arc::new(DeviceClock))?;
    let swept = store.collect()?;
    let directory = store.directory().display();
    announce(&match swept.files {
        0 => format!("{directory} holds nothing that no pipeline needs"),
        files => format!("freed {} bytes of {files} files in {directory}", swept.bytes),
    });
    Ok(())
}

fn persist(variables: Variables) -> Result<PathBuf, Failure> {
    config::persist_directory(variables).map_err(|error| Failure::new(Exit::Usage, error))
}
