//! The program on the device: fetch a published pipeline, load it, answer for it.
//!
//! ```text
//! environment ─config─▶ start ─fetch, store─▶ slot (load, warm up) ─▶ serve ─▶ routes
//!                         │                     ▲
//!                         └─▶ updates ──────────┘ another pipeline, beside the one that answers
//! ```
//! Start-up is a line of steps that each may fail with an exit code of its own; once it listens,
//! nothing but a signal ends it.

pub mod config;
mod persist;
mod store;

mod aim;
mod artifact;
mod fetch;
mod follow;
mod foreign;
mod keeper;
mod orders;
mod progress;
mod start;
mod updates;
mod verification;
mod voice;
mod watch;

mod link;
mod live;
mod log_pages;
mod proof;
mod slot;
mod trust;

mod batch;
mod gate;
mod healthcheck;
mod infer;
mod journal;
mod metrics;
mod open_inference;
mod page;
mod refusal;
mod room;
mod routes;
mod serve;
mod turn;
mod verdicts;

mod commands;
mod doctor;
mod install;

pub use commands::{gc, logs, models, pull};
pub use doctor::doctor;
pub use healthcheck::healthcheck;
pub use install::{install_service, uninstall_service};
pub use persist::own_volume;

use crate::clock::DeviceClock;
use crate::exit::{self, Exit, Failure};
use crate::logging::{self, AT_JOURNAL, AT_START, Verbosity, announce, quoted};
use crate::runtime::{Pool, use_kernels};
use config::Config;
use journal::Journal;
use keeper::Keeper;
use link::Link;
use orders::Orders;
use serve::Ties;
use std::sync::Arc;
use store::Store;

/// The environment of the process.
pub type Variables = Vec<(String, String)>;

/// The first line on stdout, before anything is checked.
const GREETING: &str = "Potoroo Engine - Standalone mode";

/// Runs the engine until a signal ends it.
///
/// # Errors
/// What kept it from serving, with the exit code for it.
pub fn run(variables: Variables) -> Result<(), Failure> {
    start_logging(&variables);
    announce(GREETING);
    let mut config = config_of(variables)?;
    // From now on SIGHUP asks for an update and ends nothing.
    let (bell, wishes) = updates::wishes().map_err(|error| Failure::new(Exit::Failed, error))?;
    let tls = config.tls.take();
    let config = Arc::new(config);
    use_kernels(config.kernels);
    let pool = Arc::new(Pool::start(config.cpus).map_err(|error| {
        Failure::new(Exit::Failed, error).hint("lower CONFIG_CPUS, or raise the process limit")
    })?);
    let store = Store::open(&config.persist, Arc::new(DeviceClock))?;
    if let Err(failure) = store.started(&config.source) {
        log::error!(target: AT_START, "{}", quoted("msg", &failure.report()));
    }
    let orders = Arc::new(Orders::new(bell, store.assigned().map(|it| it.report())));
    let link = Link::start(&config, Arc::new(DeviceClock), orders.clone())?;
    if let Some(link) = link.clone() {
        // How an assignment goes on is told at once, and not when the next report is due.
        orders.listen(Box::new(move || link.report_soon()));
    }
    let keeper = Arc::new(Keeper::new(config.clone(), store, pool.clone()));
    let (slot, updates) = start::start(&keeper, &orders, wishes)?;
    let journal = journal(&config);
    if let (Some(link), Some(journal)) = (&link, &journal) {
        link.send(journal.clone())?;
    }
    let ties = Ties { journal, link };
    serve::serve(&config, tls, slot, updates, pool, Arc::new(DeviceClock), ties)
}

/// The journal, where one is wanted. Without it the engine serves all the same.
fn journal(config: &Config) -> Option<Arc<Journal>> {
    let settings = config.journal.clone()?;
    let directory = config.persist.join(journal::DIRECTORY);
    match Journal::open(&directory, settings, Arc::new(DeviceClock)) {
        Ok(journal) => {
            log::info!(
                target: AT_JOURNAL,
                "journal={} directory={directory:?} msg=\"inferences are kept\"", journal.id()
            );
            Some(journal)
        }
        Err(error) => {
            let cause = exit::chain(&error);
            log::error!(target: AT_JOURNAL, "cause={cause:?} msg=\"no inference is kept\"");
            None
        }
    }
}

fn start_logging(variables: &Variables) {
    let debug = config::debug_wanted(&variables.iter().cloned().collect()).unwrap_or(false);
    logging::start(if debug { Verbosity::Debug } else { Verbosity::Normal });
}

fn config_of(variables: Variables) -> Result<Config, Failure> {
    let config = Config::from_environment(variables).map_err(|error| {
        Failure::new(Exit::Usage, error).hint("`potoroo-engine --help` lists every setting")
    })?;
    for warning in &config.warnings {
        log::warn!(target: AT_START, "{}", quoted("msg", warning));
    }
    if let Some(file) = &config.login_file {
        log::info!(target: AT_START, "login_file={file:?} msg=\"the login of another tool is used\"");
    }
    Ok(config)
}
