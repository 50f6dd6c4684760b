//! The program on the device: fetch a published pipeline, load it, answer for it.
//!
//! ```text
//! environment ──config──▶ fetch ──▶ slot (load, warm up) ──▶ serve ──▶ routes
//! ```
//! Start-up is a line of steps that each may fail with an exit code of its own; once it listens,
//! nothing but a signal ends it.

pub mod config;
mod fetch;
mod foreign;
mod gate;
mod infer;
mod metrics;
mod open_inference;
mod page;
mod persist;
mod progress;
mod refusal;
mod routes;
mod serve;
mod slot;
mod trust;

use crate::clock::DeviceClock;
use crate::exit::{Exit, Failure};
use crate::logging::{self, AT_START, Verbosity, announce};
use crate::registry::Layout;
use crate::runtime::Pool;
use config::Config;
use std::sync::Arc;

/// The first line on stdout, before anything is checked.
const GREETING: &str = "Potoroo Engine - Standalone mode";

/// Runs the engine until a signal ends it.
///
/// # Errors
/// What kept it from serving, with the exit code for it.
pub fn run(variables: Vec<(String, String)>) -> Result<(), Failure> {
    let debug = config::debug_wanted(&variables.iter().cloned().collect()).unwrap_or(false);
    logging::start(if debug { Verbosity::Debug } else { Verbosity::Normal });
    announce(GREETING);
    let config = Config::from_environment(variables).map_err(|error| {
        Failure::new(Exit::Usage, error).hint("`potoroo-engine --help` lists every setting")
    })?;
    if config.bundle.is_some() {
        log::warn!(
            target: AT_START,
            "msg=\"EDGE_BUNDLE is read, but this version does not report to the ops center yet\""
        );
    }
    let store = Layout::create(&config.persist.join("store"))?;
    let fetched = fetch::fetch(&config, &store)?;
    announce("Starting engine");
    // The original looks for files that are baked into its image. There are none here, but the
    // lines are part of what scripts wait for.
    announce("Looking for preexisting `yaml` files in //modelconfigs");
    announce("Looking for preexisting `yaml` files in //pipelines");
    let pool = Arc::new(Pool::start(config.cpus).map_err(|error| {
        Failure::new(Exit::Failed, error).hint("lower CONFIG_CPUS, or raise the process limit")
    })?);
    let slot = slot::Slot::load(fetched, &pool)?;
    serve::serve(config, slot, pool, Arc::new(DeviceClock))
}
