//! The checker: one thread that has every new version tried, and sweeps what was abandoned.

use super::resumed;
use crate::exit;
use crate::logging::AT_LOAD;
use crate::ops::center::Center;
use crate::ops::garbage;
use crate::ops::store::{ModelVersion, StoreError};
use crate::ops::trial::{Bounds, Facts, Order, TrialError, Verdict, hold};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one check may take: the loader's own ten minutes, and one for running.
const CHECK_TIME: Duration = Duration::from_secs(660);

/// How long the checker sleeps when nothing is to be checked; then it sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// How long it waits when it can neither start a process nor write a record.
const TROUBLE: Duration = Duration::from_secs(10);

/// Starts the checker; what was being checked when the ops center ended is checked again.
///
/// # Errors
/// When the system gives no thread.
pub(in crate::ops) fn start(center: Arc<Center>) -> std::io::Result<()> {
    resumed::sweep_strays(&center);
    let thread = std::thread::Builder::new().name("check".into());
    thread.spawn(move || go_on(&center)).map(drop)
}

fn go_on(center: &Center) {
    let mut looked = Instant::now();
    loop {
        let seen = center.models.changes();
        match next(center) {
            Ok(true) => {}
            Ok(false) => {
                resumed::sweep(center, center.now_ms());
                if looked.elapsed() >= garbage::EVERY {
                    garbage::collect_by_itself(center);
                    looked = Instant::now();
                }
                center.models.wait(seen, SWEEP_EVERY);
            }
            Err(error) => {
                log::error!(target: AT_LOAD, "msg={:?}", exit::chain(&*error));
                center.models.wait(seen, TROUBLE);
            }
        }
    }
}

/// Checks the first version that is to be; tells whether there was one.
fn next(center: &Center) -> Result<bool, Box<dyn std::error::Error>> {
    let Some(version) = center.store.read(|tx| tx.model_version_to_check())? else {
        return Ok(false);
    };
    let facts = checked(center, &version)?;
    let json = serde_json::to_string(&facts)?;
    let error = facts.error.as_deref();
    center.store.write(|tx| tx.set_checked(version.id, error, &json))?;
    center.models.wake();
    let ModelVersion { name, version, .. } = &version;
    log::info!(target: AT_LOAD, "model={name} version={version} ready={} error={:?}", error.is_none(), error.unwrap_or(""));
    Ok(true)
}

/// What is found out about a version. A trial that cannot be held is no fact about it.
fn checked(center: &Center, version: &ModelVersion) -> Result<Facts, Box<dyn std::error::Error>> {
    let malformed = || StoreError::Malformed { what: "a model version" };
    let file = center.models.file(&version.sha).ok_or_else(malformed)?;
    let side_files = center.store.read(|tx| tx.side_files(version.id))?;
    let order = Order::Model { file, beside: center.models.beside(&side_files) };
    let error = match hold(center.models.program(), &order, Bounds::of(CHECK_TIME)) {
        Ok(Verdict::Model(facts)) => return Ok(facts),
        Ok(Verdict::Pipeline { .. } | Verdict::Unfit { .. }) => {
            "the check gave the verdict of something else: upload it again".to_owned()
        }
        Err(error @ (TrialError::NotStarted(_) | TrialError::Garbled(_))) => {
            return Err(error.into());
        }
        Err(error @ (TrialError::Memory { .. } | TrialError::Late(_) | TrialError::Broke(_))) => {
            error.to_string()
        }
    };
    Ok(Facts { error: Some(error), ..Facts::default() })
}
