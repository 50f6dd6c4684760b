//! From a definition's steps to the stages that run, with all that must go together held together.

use super::split::Split;
use super::stage::{Arm, Stage};
use super::{Flow, Link};
use crate::oci::Digest;
use crate::pipeline::{Definition, ModelKey, Ports, Step, Unfit, Validation};
use crate::runtime::Model;
use crate::tensor::Port;
use std::sync::Arc;

/// Why the steps of a definition do not run.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// No step runs a model.
    #[error("the pipeline has no step that runs a model")]
    NoModel,
    /// A step that looks back at models, with none before it.
    #[error(
        "step {step} of the pipeline, `{kind}`, looks at models, and no step before it has any"
    )]
    NothingBefore {
        /// The first step is 1.
        step: usize,
        /// The step's kind.
        kind: &'static str,
    },
    /// A step that names a model by a place that there is not.
    #[error(
        "step {step} of the pipeline, `{kind}`, names model {place} of the step before it, which \
         has {models}, counted from 0"
    )]
    NoPlace {
        /// The first step is 1.
        step: usize,
        /// The step's kind.
        kind: &'static str,
        /// What it names.
        place: usize,
        /// The models there are.
        models: usize,
    },
    /// A column that is not there.
    #[error("step {step} of the pipeline selects the column `{column}`, which is not there")]
    NoColumn {
        /// The first step is 1.
        step: usize,
        /// The column.
        column: String,
    },
    /// A validation that does not fit.
    #[error("the validation `{name}`, `{text}`, does not fit the pipeline")]
    Validation {
        /// Its name.
        name: String,
        /// Its expression.
        text: String,
        /// Why.
        #[source]
        source: Unfit,
    },
}

/// What is known of the steps so far.
struct Building {
    stages: Vec<Stage>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    companions: Vec<String>,
    /// The names of the models that may have given the outputs.
    models: Vec<String>,
}

/// One step of one model, which has no name here.
pub(super) fn of_model(model: Arc<Model>) -> Flow {
    let key = ModelKey { name: String::new(), version: String::new(), sha: Digest::of(b"") };
    let arm = Arm { key, link: Link::new(model, &[]) };
    let (inputs, outputs) = (arm.link.inputs(), arm.link.outputs().to_vec());
    let stage = Stage::Models { arms: vec![arm], champion: 0, shown: 0..0 };
    let stages = vec![stage];
    let batches = stages.iter().all(Stage::gains_from_batches);
    Flow { stages, inputs, outputs, companions: Vec::new(), batches }
}

pub(super) fn build(
    definition: &Definition,
    mut model: impl FnMut(&ModelKey) -> Arc<Model>,
) -> Result<Flow, FlowError> {
    let mut building = Building {
        stages: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        companions: Vec::new(),
        models: Vec::new(),
    };
    let mut arm = |key: &ModelKey| {
        let fields = definition.model(key).map_or(&[][..], |entry| &entry.tensor_fields);
        Arm { key: key.clone(), link: Link::new(model(key), fields) }
    };
    for (index, step) in definition.steps.iter().enumerate() {
        let number = index + 1;
        match step {
            Step::ModelInference(keys) => {
                let arms: Vec<Arm> = keys.iter().map(&mut arm).collect();
                let shown = 0..arms.len();
                building.runs(&arms);
                building.stages.push(Stage::Models { arms, champion: 0, shown });
            }
            Step::RandomSplit(split) => {
                let arms = split.weights.iter().map(|(key, _)| arm(key)).collect();
                building.splits(arms, Split::random(split, definition));
            }
            Step::KeySplit(split) => {
                let keys = std::iter::once(&split.control);
                let keys = keys.chain(split.routes.iter().map(|(_, key)| key));
                building.splits(keys.map(&mut arm).collect(), Split::by_key(split));
            }
            Step::Check(validations) => building.checks(validations)?,
            Step::AuditResults { .. } | Step::Nth(_) | Step::MultiOut => {
                building.looks_back(number, step)?;
            }
            Step::ColumnsSelect(columns) => building.selects(number, columns)?,
        }
    }
    let Building { stages, inputs, outputs, companions, .. } = building;
    if stages.iter().all(|stage| stage.arms().is_empty()) {
        return Err(FlowError::NoModel);
    }
    let batches = stages.iter().all(Stage::gains_from_batches);
    Ok(Flow { stages, inputs, outputs, companions, batches })
}

impl Building {
    /// Takes in the models of a step, the first of which answers unless a later step says so.
    fn runs(&mut self, arms: &[Arm]) {
        let is_first = self.stages.iter().all(|stage| stage.arms().is_empty());
        for arm in arms.iter().filter(|_| is_first) {
            for port in arm.link.inputs() {
                // Models of one step share the columns that they have in common.
                if !self.inputs.iter().any(|known| known.name == port.name) {
                    self.inputs.push(port);
                }
            }
        }
        let first = arms.first().map_or(&[][..], |arm| arm.link.outputs());
        self.outputs = first.to_vec();
        self.models = arms.iter().take(1).map(|arm| arm.key.name.clone()).collect();
    }

    fn splits(&mut self, arms: Vec<Arm>, split: Split) {
        self.runs(&arms);
        self.models = arms.iter().map(|arm| arm.key.name.clone()).collect();
        let column = split.column().map(str::to_owned);
        let is_new = |name: &String| {
            !self.companions.contains(name) && !self.inputs.iter().any(|port| port.name == *name)
        };
        self.companions.extend(column.filter(is_new));
        self.stages.push(Stage::Split { arms, split });
    }

    fn checks(&mut self, validations: &[Validation]) -> Result<(), FlowError> {
        let models: Vec<&str> = self.models.iter().map(String::as_str).collect();
        let ports = Ports { inputs: &self.inputs, outputs: &self.outputs, models: &models };
        for validation in validations {
            validation.expression.check(&ports).map_err(|source| FlowError::Validation {
                name: validation.name.clone(),
                text: validation.text.clone(),
                source,
            })?;
        }
        self.stages.push(Stage::Check(validations.to_vec()));
        Ok(())
    }

    /// A step about the models of the step before it.
    fn looks_back(&mut self, number: usize, step: &Step) -> Result<(), FlowError> {
        let nothing = FlowError::NothingBefore { step: number, kind: step.kind() };
        let last = self.stages.iter_mut().rev().find(|stage| !stage.arms().is_empty());
        // After a split there is one result, and all of it is given anyway.
        let Some(Stage::Models { arms, champion, shown }) = last else {
            return if self.models.is_empty() { Err(nothing) } else { Ok(()) };
        };
        let no_place = |place: usize| FlowError::NoPlace {
            step: number,
            kind: step.kind(),
            place,
            models: arms.len(),
        };
        match step {
            Step::AuditResults { from, to } => {
                let to = to.unwrap_or(arms.len());
                if arms.len() < *from || arms.len() < to {
                    return Err(no_place(to.max(*from)));
                }
                *shown = *from..to;
            }
            Step::Nth(place) => {
                let arm = arms.get(*place).ok_or_else(|| no_place(*place))?;
                *champion = *place;
                self.outputs = arm.link.outputs().to_vec();
                self.models = vec![arm.key.name.clone()];
            }
            Step::ModelInference(_)
            | Step::RandomSplit(_)
            | Step::KeySplit(_)
            | Step::Check(_)
            | Step::MultiOut
            | Step::ColumnsSelect(_) => {}
        }
        Ok(())
    }

    fn selects(&mut self, number: usize, columns: &[String]) -> Result<(), FlowError> {
        if !self.models.is_empty() {
            let missing = columns
                .iter()
                .find(|column| !self.outputs.iter().any(|port| port.name == **column));
            if let Some(column) = missing {
                return Err(FlowError::NoColumn { step: number, column: column.clone() });
            }
            self.outputs.retain(|port| columns.contains(&port.name));
        }
        self.stages.push(Stage::Select(columns.to_vec()));
        Ok(())
    }
}
