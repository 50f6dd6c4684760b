//! One optimised plan for each concrete shape: a symbolic batch costs tract up to eight times more.

use super::Deadline;
use super::error::{RunError, contained};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Symbol, TDim, ToDim, bail};
use tract_onnx::tract_core::plan::{SimpleState, eval};

/// Plans kept for one model. Batches come in six sizes (`run::PART_ROWS`); the rest is for models
/// with further open dimensions. The oldest plan is dropped first.
const PLANS_MAX: usize = 32;

type TypedState = SimpleState<TypedFact, Box<dyn TypedOp>>;

/// The plans of one model.
#[derive(Debug)]
pub(super) struct Plans {
    typed: TypedModel,
    symbols: Vec<Symbol>,
    made: Mutex<VecDeque<(Vec<usize>, Arc<Plan>)>>,
}

/// A plan with the states that are not running now.
#[derive(Debug)]
pub(super) struct Plan {
    plan: Arc<TypedSimplePlan>,
    idle: Mutex<Vec<TypedState>>,
}

impl Plans {
    pub(super) fn new(typed: TypedModel, symbols: Vec<Symbol>) -> Plans {
        Plans { typed, symbols, made: Mutex::new(VecDeque::new()) }
    }

    /// The plan for these values of the open dimensions, made when it is not there.
    ///
    /// Two threads that need the same new plan make it twice: that is rarer, and better, than
    /// holding every other request up while tract optimises.
    pub(super) fn plan(&self, values: &HashMap<Symbol, usize>) -> Result<Arc<Plan>, RunError> {
        let key: Vec<usize> = self.symbols.iter().map(|symbol| values[symbol]).collect();
        let found = self.lock().iter().find(|(made, _)| *made == key).map(|(_, plan)| plan.clone());
        if let Some(plan) = found {
            return Ok(plan);
        }
        let substitutions: HashMap<Symbol, TDim> =
            values.iter().map(|(symbol, value)| (symbol.clone(), value.to_dim())).collect();
        let plan = contained(|| {
            let concrete = if substitutions.is_empty() {
                self.typed.clone()
            } else {
                self.typed.set_symbols(&substitutions)?
            };
            TypedSimplePlan::new(concrete.into_optimized()?)
        })?;
        let plan = Arc::new(Plan { plan, idle: Mutex::new(Vec::new()) });
        let mut made = self.lock();
        if made.len() == PLANS_MAX {
            made.pop_front();
        }
        made.push_back((key, plan.clone()));
        Ok(plan)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Vec<usize>, Arc<Plan>)>> {
        // Held for a look and a push only: a poisoned list is still a whole list.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// A plan for this graph, whose shapes are all known.
    pub(super) fn of(typed: TypedModel) -> TractResult<Plan> {
        let plan = TypedSimplePlan::new(typed.into_optimized()?)?;
        Ok(Plan { plan, idle: Mutex::new(Vec::new()) })
    }

    /// Runs once. A state that failed is thrown away: tract leaves its symbols half resolved.
    ///
    /// The deadline is looked at between nodes, so a run outlives it by one node at most.
    pub(super) fn run(
        &self,
        inputs: TVec<TValue>,
        deadline: Deadline,
    ) -> Result<TVec<TValue>, RunError> {
        let late = AtomicBool::new(false);
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let ran = contained(|| {
            let mut state = match idle {
                Some(state) => state,
                None => self.plan.spawn()?,
            };
            let outputs = state.run_plan_with_eval(inputs, |context, state, node, inputs| {
                if deadline.has_passed() {
                    late.store(true, Relaxed);
                    bail!("the deadline has passed");
                }
                eval(context, state, node, inputs)
            })?;
            Ok((outputs, state))
        });
        let (outputs, state) = match ran {
            Err(_) if late.load(Relaxed) => return Err(RunError::Late),
            ran => ran?,
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(state);
        Ok(outputs)
    }
}
