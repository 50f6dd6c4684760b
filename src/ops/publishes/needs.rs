//! What an engine is to have of its machine, read from the original's `engine_config`.

use crate::ops::chart::{AmountError, Arch, Cpus, EngineConfig, Memory};
use serde::Deserialize;
use serde_json::Number;

/// The longest `engine_config`: the original's have under 1 KB.
pub(in crate::ops) const ENGINE_CONFIG_BYTES_MAX: usize = 16 << 10;

/// What the original answers where nothing is asked for.
pub(in crate::ops) const ENGINE_CONFIG_DEFAULT: &str = concat!(
    r#"{"engine":{"resources":{"limits":{"cpu":4.0,"memory":"3Gi"},"#,
    r#""requests":{"cpu":4.0,"memory":"3Gi"}}},"#,
    r#""enginelb":{"resources":{"limits":{"cpu":1.0,"memory":"512Mi"},"#,
    r#""requests":{"cpu":0.2,"memory":"512Mi"}}},"engineAux":{}}"#
);

/// CPUs where nothing is asked for, as the original has it.
const CPUS_DEFAULT: &str = "4";
/// Memory where nothing is asked for, as the original has it.
const MEMORY_DEFAULT: &str = "3Gi";

/// What an engine is to have.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct Needs {
    /// CPUs.
    pub cpus: Cpus,
    /// The same as a number, for answers.
    pub cpus_shown: f64,
    /// Memory.
    pub memory: Memory,
    /// The processor, where it matters.
    pub arch: Option<Arch>,
}

/// Why an `engine_config` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum NeedsError {
    /// Not an object of the original's form.
    #[error(
        "engine_config is not of the form {{\"engine\": {{\"resources\": {{\"limits\": {{\"cpu\": 4, \
         \"memory\": \"3Gi\"}}}}}}}}"
    )]
    Form(#[source] serde_json::Error),
    /// An amount of it cannot be had.
    #[error("{at} of engine_config cannot be used")]
    Amount {
        /// Where it stands.
        at: &'static str,
        /// Why.
        #[source]
        source: AmountError,
    },
}

#[derive(Deserialize, Default)]
struct Wire {
    #[serde(default)]
    engine: Option<EngineWire>,
}

#[derive(Deserialize, Default)]
struct EngineWire {
    #[serde(default)]
    resources: Option<ResourcesWire>,
    #[serde(default)]
    arch: Option<String>,
}

#[derive(Deserialize, Default)]
struct ResourcesWire {
    #[serde(default)]
    limits: Option<LimitsWire>,
    #[serde(default)]
    requests: Option<LimitsWire>,
}

#[derive(Deserialize, Default)]
struct LimitsWire {
    #[serde(default)]
    cpu: Option<CpuWire>,
    #[serde(default)]
    memory: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CpuWire {
    Number(Number),
    Text(String),
}

impl Needs {
    /// Reads it; what is not told is as the original has it.
    ///
    /// # Errors
    /// When it is not of the form, or asks for what no machine has.
    pub(in crate::ops) fn read(engine_config: &str) -> Result<Needs, NeedsError> {
        // A list would be read as an object without its keys.
        let _: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(engine_config).map_err(NeedsError::Form)?;
        let wire: Wire = serde_json::from_str(engine_config).map_err(NeedsError::Form)?;
        let engine = wire.engine.unwrap_or_default();
        let resources = engine.resources.unwrap_or_default();
        let (limits, requests) =
            (resources.limits.unwrap_or_default(), resources.requests.unwrap_or_default());
        let cpus = limits.cpu.or(requests.cpu).map(|cpu| match cpu {
            CpuWire::Number(number) => number.to_string(),
            CpuWire::Text(text) => text,
        });
        let cpus: Cpus =
            cpus.as_deref().unwrap_or(CPUS_DEFAULT).parse().map_err(|source| {
                NeedsError::Amount { at: "engine.resources.limits.cpu", source }
            })?;
        let memory = limits.memory.or(requests.memory);
        let memory = memory.as_deref().unwrap_or(MEMORY_DEFAULT).parse().map_err(|source| {
            NeedsError::Amount { at: "engine.resources.limits.memory", source }
        })?;
        let arch = engine.arch.map(|arch| arch.parse()).transpose();
        let arch = arch.map_err(|source| NeedsError::Amount { at: "engine.arch", source })?;
        Ok(Needs { cpus, cpus_shown: shown(cpus), memory, arch })
    }

    /// The same for a chart.
    pub(super) fn for_chart(&self) -> EngineConfig {
        EngineConfig { cpus: self.cpus, memory: self.memory.clone(), arch: self.arch }
    }
}

/// Kubernetes' text of an amount as a number.
fn shown(cpus: Cpus) -> f64 {
    let text = cpus.to_string();
    match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().unwrap_or_default() / 1000.0,
        None => text.parse().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_told_is_as_the_original_has_it() {
        for config in ["{}", r#"{"engine":null}"#, ENGINE_CONFIG_DEFAULT] {
            let needs = Needs::read(config).unwrap();
            assert_eq!((needs.cpus_shown, needs.memory.to_string().as_str()), (4.0, "3Gi"));
        }
    }

    #[test]
    fn cpus_are_numbers_or_texts() {
        for (cpu, shown, whole) in [("0.5", 0.5, 1), ("\"1500m\"", 1.5, 2), ("2", 2.0, 2)] {
            let config = format!(r#"{{"engine":{{"resources":{{"limits":{{"cpu":{cpu}}}}}}}}}"#);
            let needs = Needs::read(&config).unwrap();
            assert_eq!((needs.cpus_shown, needs.cpus.whole()), (shown, whole), "{cpu}");
        }
    }

    #[test]
    fn what_no_machine_has_is_refused_by_its_place() {
        let cases = [
            (r#"{"engine":{"resources":{"limits":{"cpu":-1}}}}"#, "engine.resources.limits.cpu"),
            (
                r#"{"engine":{"resources":{"limits":{"memory":"much"}}}}"#,
                "engine.resources.limits.memory",
            ),
            (r#"{"engine":{"arch":"power10"}}"#, "engine.arch"),
            (r#"{"engine":4}"#, "engine_config"),
            ("[]", "engine_config"),
        ];
        for (config, place) in cases {
            let error = Needs::read(config).unwrap_err();
            assert!(error.to_string().contains(place), "{config}: {error}");
        }
    }
}
