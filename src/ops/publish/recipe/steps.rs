//! The steps and validations of a pipeline file, as a person writes them, with every model found.

use super::RecipeError;
use crate::pipeline::{KeySplit, ModelKey, RandomSplit, Sense, Step, Validation};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A step as it is written; exactly one of `model`, `split`, `route` and `columns` says what it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepWire {
    /// Rows go through this model.
    model: Option<String>,
    /// These models get the same rows, and are shown beside its answer.
    #[serde(default)]
    challengers: Vec<String>,
    split: Option<SplitWire>,
    route: Option<RouteWire>,
    columns: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitWire {
    by: Option<String>,
    weights: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteWire {
    by: String,
    to: BTreeMap<String, String>,
    otherwise: String,
}

/// A validation as it is written, in one of its two senses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidationWire {
    name: String,
    must_hold: Option<String>,
    anomaly: Option<String>,
}

impl StepWire {
    /// The step that runs one model.
    pub(super) fn of_model(name: &str) -> StepWire {
        StepWire { model: Some(name.to_owned()), ..StepWire::default() }
    }
}

/// A step whose models are places in the recipe's list.
#[derive(Debug, PartialEq)]
pub(in crate::ops) enum StepRecipe {
    Models(Vec<usize>),
    Split { by: Option<String>, weights: Vec<(usize, f64)> },
    Route { by: String, otherwise: usize, to: Vec<(String, usize)> },
    Columns(Vec<String>),
    Check(Vec<Validation>),
}

impl StepRecipe {
    /// The places of the models that it names.
    pub(super) fn places(&self) -> Vec<usize> {
        match self {
            StepRecipe::Models(places) => places.clone(),
            StepRecipe::Split { weights, .. } => weights.iter().map(|(place, _)| *place).collect(),
            StepRecipe::Route { otherwise, to, .. } => {
                std::iter::once(*otherwise).chain(to.iter().map(|(_, place)| *place)).collect()
            }
            StepRecipe::Columns(_) | StepRecipe::Check(_) => Vec::new(),
        }
    }

    /// The step as it is published, in as many steps as the original makes of it.
    pub(in crate::ops) fn published(&self, keys: &[ModelKey]) -> Vec<Step> {
        let key = |place: &usize| keys[*place].clone();
        match self {
            StepRecipe::Models(places) => {
                let mut steps = vec![Step::ModelInference(places.iter().map(key).collect())];
                if places.len() > 1 {
                    // What the original's shadow deployments are made of.
                    steps.extend([Step::AuditResults { from: 1, to: None }, Step::MultiOut]);
                }
                steps
            }
            StepRecipe::Split { by, weights } => {
                let weights = weights.iter().map(|(place, weight)| (key(place), *weight)).collect();
                vec![Step::RandomSplit(RandomSplit { hash_key: by.clone(), weights })]
            }
            StepRecipe::Route { by, otherwise, to } => {
                let routes = to.iter().map(|(value, place)| (value.clone(), key(place))).collect();
                let (split_key, control) = (by.clone(), key(otherwise));
                vec![Step::KeySplit(KeySplit { split_key, control, routes })]
            }
            StepRecipe::Columns(columns) => vec![Step::ColumnsSelect(columns.clone())],
            StepRecipe::Check(validations) => vec![Step::Check(validations.clone())],
        }
    }
}

/// The step that is written as number `step`, the first is 1; `place` finds a model by its name.
pub(super) fn resolve(
    wire: StepWire,
    step: usize,
    place: impl Fn(&str) -> Option<usize>,
) -> Result<StepRecipe, RecipeError> {
    let find = |model: &String| {
        place(model).ok_or_else(|| RecipeError::UnknownModel { step, model: model.clone() })
    };
    let StepWire { model, challengers, split, route, columns } = wire;
    match (model, split, route, columns) {
        (Some(model), None, None, None) => {
            let models = std::iter::once(&model).chain(&challengers);
            Ok(StepRecipe::Models(models.map(find).collect::<Result<_, _>>()?))
        }
        (None, _, _, _) if !challengers.is_empty() => Err(RecipeError::Challengers { step }),
        (None, Some(SplitWire { by, weights }), None, None) => {
            let weights = weights.iter().map(|(model, weight)| Ok((find(model)?, *weight)));
            Ok(StepRecipe::Split { by, weights: weights.collect::<Result<_, _>>()? })
        }
        (None, None, Some(RouteWire { by, to, otherwise }), None) => {
            let to = to.iter().map(|(value, model)| Ok((value.clone(), find(model)?)));
            let to = to.collect::<Result<_, _>>()?;
            Ok(StepRecipe::Route { by, otherwise: find(&otherwise)?, to })
        }
        (None, None, None, Some(columns)) => Ok(StepRecipe::Columns(columns)),
        (_, _, _, _) => Err(RecipeError::StepKind { step }),
    }
}

/// The check that the validations of a pipeline file make, if there are any.
pub(super) fn check(wires: Vec<ValidationWire>) -> Result<Option<StepRecipe>, RecipeError> {
    let validations = wires.into_iter().map(|ValidationWire { name, must_hold, anomaly }| {
        let (text, sense) = match (must_hold, anomaly) {
            (Some(text), None) => (text, Sense::MustHold),
            (None, Some(text)) => (text, Sense::FindsAnomaly),
            (_, _) => return Err(RecipeError::ValidationSense { name }),
        };
        Validation::parse(&name, &text, sense).map_err(|source| RecipeError::Validation {
            name,
            text,
            source,
        })
    });
    let validations = validations.collect::<Result<Vec<_>, _>>()?;
    Ok((!validations.is_empty()).then_some(StepRecipe::Check(validations)))
}
