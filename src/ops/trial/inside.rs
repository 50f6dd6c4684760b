//! The inside of a trial: what the process does that was started for it.

use super::facts::{Facts, Missing, PortFact};
use super::{Order, Verdict};
use crate::disk::Stretch;
use crate::exit::{self, Exit, Failure};
use crate::ops::publish::fit;
use crate::pipeline::{Definition, ModelKey};
use crate::runtime::{Beside, Flow, LoadError, Model, Pool, RunError, census};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of an order: the largest config and some paths.
const ORDER_BYTES_MAX: u64 = 32 << 20;

/// Runs whose median is the latency.
const RUNS: usize = 9;

/// Time after which no further run begins; a slow model has fewer.
const RUNS_TIME: Duration = Duration::from_secs(10);

/// Reads an order from standard input, and writes the verdict to standard output.
///
/// # Errors
/// When standard input has no order: people do not call this.
pub(in crate::ops) fn answer() -> Result<(), Failure> {
    ask_to_be_ended_first();
    let mut line = String::new();
    let mut input = std::io::BufReader::new(std::io::stdin());
    let order = input.by_ref().take(ORDER_BYTES_MAX).read_line(&mut line).ok();
    let order: Option<Order> = order.and_then(|_| serde_json::from_str(&line).ok());
    let order = order.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is no order on standard input")
            .hint("the ops center calls this by itself; upload a model, and it does")
    })?;
    end_with_the_center(input);
    let verdict = match order {
        Order::Model { file, beside } => Verdict::Model(examine(&file, &beside)),
        Order::Pipeline { config, files, beside } => match assemble(&config, &files, &beside) {
            Ok(config) => Verdict::Pipeline { config },
            Err(Failure { error, hint, .. }) => {
                Verdict::Unfit { sentence: exit::chain(&*error), hint }
            }
        },
    };
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, error);
    let json = serde_json::to_vec(&verdict).map_err(|error| Failure::new(Exit::Failed, error))?;
    let mut output = std::io::stdout().lock();
    output.write_all(&json).and_then(|()| output.flush()).map_err(failed)
}

/// Where memory is short, the kernel ends this process and not the center.
fn ask_to_be_ended_first() {
    // Without procfs there is no such choice, and the watch of the center is what is left.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Ends this process when the center is gone, however it went: its end of the pipe closes.
fn end_with_the_center(mut input: impl Read + Send + 'static) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut input, &mut std::io::sink());
        std::process::exit(Exit::Failed as i32);
    });
}

/// Everything that can be found out about a model's file.
pub(super) fn examine(file: &Path, beside: &BTreeMap<String, PathBuf>) -> Facts {
    let stretch = Stretch::whole(file.to_owned());
    let before = resident("VmRSS:");
    let mut facts = match Model::load_stretch(&stretch, known(beside)) {
        Ok(model) => tried(model),
        Err(error) => {
            let unsupported = match &error {
                LoadError::UnsupportedOperators { operators } => {
                    operators.iter().map(Missing::of).collect()
                }
                LoadError::Unreadable(_)
                | LoadError::NotOnnx(_)
                | LoadError::NoGraph
                | LoadError::TooManyNodes { .. }
                | LoadError::FileTooLarge { .. }
                | LoadError::Unsound { .. }
                | LoadError::Late { .. }
                | LoadError::ExternalData { .. }
                | LoadError::SideFiles { .. }
                | LoadError::UnsupportedType { .. }
                | LoadError::Refused(_)
                | LoadError::Broke(_) => Vec::new(),
            };
            Facts { error: Some(exit::chain(&error)), unsupported, ..Facts::default() }
        }
    };
    facts.peak_memory_bytes =
        resident("VmHWM:").zip(before).map(|(peak, before)| peak.saturating_sub(before));
    if let Ok(census) = census(&stretch) {
        facts.parameters = Some(census.parameters);
        facts.operators = census.operators;
    }
    facts
}

/// Runs rows of zeros through a model that loads.
fn tried(model: Model) -> Facts {
    let mut facts = Facts {
        inputs: model.inputs().iter().map(PortFact::of).collect(),
        outputs: model.outputs().iter().map(PortFact::of).collect(),
        ..Facts::default()
    };
    let flow = Flow::of_model(Arc::new(model));
    let pool = match Pool::start(1) {
        Ok(pool) => pool,
        Err(error) => {
            facts.remark = Some(exit::chain(&error));
            return facts;
        }
    };
    // The first run makes the plan.
    match flow.warm_up(&pool) {
        Ok(true) => facts.latency_us = median(&flow, &pool),
        Ok(false) => {
            facts.remark =
                Some("its rows have no fixed shape, so none was tried and timed".to_owned());
        }
        Err(error @ (RunError::Refused(_) | RunError::Uneven { .. })) => {
            facts.remark = Some(format!("a row of zeros is refused: {}", exit::chain(&error)));
        }
        Err(
            error @ (RunError::Misfit(_) | RunError::Broke(_) | RunError::Unread | RunError::Late),
        ) => {
            facts.error = Some(exit::chain(&error));
        }
    }
    facts
}

fn median(flow: &Flow, pool: &Pool) -> Option<f64> {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < RUNS && (times.is_empty() || begun.elapsed() < RUNS_TIME) {
        let start = Instant::now();
        flow.warm_up(pool).ok()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times.get(times.len() / 2).map(|time| time.as_nanos() as f64 / 1000.0)
}

/// The config blob of a pipeline whose steps were run.
pub(super) fn assemble(
    config: &str,
    files: &BTreeMap<String, PathBuf>,
    others: &BTreeMap<String, BTreeMap<String, PathBuf>>,
) -> Result<String, Failure> {
    let usage = |error| Failure::new(Exit::Usage, error);
    let mut definition = Definition::parse(config.as_bytes()).map_err(usage)?;
    // Two trainings of one net may share a file, and have weights of their own beside it.
    let mut loaded: HashMap<ModelKey, Arc<Model>> = HashMap::new();
    let nothing = BTreeMap::new();
    for entry in &definition.models {
        let (name, sha) = (&entry.key.name, entry.key.sha.hex());
        let beside = others.get(&entry.key.version).unwrap_or(&nothing);
        let is_same = |other: &&ModelKey| {
            other.sha == entry.key.sha && others.get(&other.version).unwrap_or(&nothing) == beside
        };
        let same = loaded.keys().find(is_same).cloned();
        if let Some(same) = same {
            loaded.insert(entry.key.clone(), loaded[&same].clone());
        } else {
            let refused = |what: String| {
                Failure::new(Exit::ModelRefused, format!("model `{name}` cannot be loaded: {what}"))
            };
            let file = files.get(&sha).ok_or_else(|| refused("its file is not there".into()))?;
            let model = Model::load_stretch(&Stretch::whole(file.clone()), known(beside))
                .map_err(|error| refused(exit::chain(&error)))?;
            loaded.insert(entry.key.clone(), Arc::new(model));
        }
        fit::fields_match(entry, &loaded[&entry.key])?;
    }
    fit::fit(&mut definition, |key| loaded[key].clone())?;
    String::from_utf8(definition.to_json()).map_err(|error| Failure::new(Exit::Failed, error))
}

/// The files beside a model, or word that none came.
fn known(beside: &BTreeMap<String, PathBuf>) -> Beside {
    if beside.is_empty() {
        return Beside::Nowhere;
    }
    let whole =
        |(location, path): (&String, &PathBuf)| (location.clone(), Stretch::whole(path.clone()));
    Beside::Known(beside.iter().map(whole).collect())
}

/// Bytes of memory of this process, by the kernel's name for them.
fn resident(line: &str) -> Option<u64> {
    super::process::status_bytes(&std::fs::read_to_string("/proc/self/status").ok()?, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
    }

    #[test]
    fn a_model_that_loads_is_described_and_timed() {
        let facts = examine(&fixture("fraud.onnx"), &BTreeMap::new());
        assert_eq!(facts.error, None);
        assert_eq!(facts.inputs[0].element, "float");
        assert!(facts.latency_us.is_some_and(|time| time > 0.0), "{facts:?}");
        assert!(facts.parameters.is_some_and(|count| count > 0), "{facts:?}");
    }

    #[test]
    fn each_missing_operator_is_listed_with_its_nodes() {
        let facts = examine(&fixture("broken/unknown_operator.onnx"), &BTreeMap::new());
        assert!(
            !facts.unsupported.is_empty() && !facts.unsupported[0].nodes.is_empty(),
            "{facts:?}"
        );
        let error = facts.error.unwrap();
        assert!(error.contains(&facts.unsupported[0].operator), "{error}");
    }

    #[test]
    fn what_is_no_model_is_told_so() {
        for name in ["broken/not_onnx.onnx", "broken/truncated.onnx"] {
            let facts = examine(&fixture(name), &BTreeMap::new());
            assert!(facts.error.is_some() && facts.latency_us.is_none(), "{name}: {facts:?}");
        }
    }
}
