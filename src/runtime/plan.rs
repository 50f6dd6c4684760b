//! One optimised plan for each concrete shape: a symbolic batch costs tract up to eight times more.

use super::Deadline;
use super::error::{RunError, contained};
use super::{blocked, operators, packing, products, profile};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Symbol, TDim, ToDim, bail};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::plan::{SimpleState, eval};

/// Plans kept for one model. Batches come in six sizes (`run::PART_ROWS`); the rest is for models
/// with further open dimensions. The oldest plan is dropped first.
const PLANS_MAX: usize = 32;

type TypedState = SimpleState<TypedFact, Box<dyn TypedOp>>;

/// The plans of one model.
#[derive(Debug)]
pub(super) struct Plans {
    typed: TypedModel,
    /// Whether `typed` was not decluttered, since stretches of it are ours to compute.
    is_of_images: bool,
    /// What plans for more rows need not make again.
    programs: blocked::Programs,
    symbols: Vec<Symbol>,
    made: Mutex<VecDeque<(TVec<usize>, Arc<Plan>)>>,
}

/// A plan with the states that are not running now.
#[derive(Debug)]
pub(super) struct Plan {
    plan: Arc<TypedSimplePlan>,
    /// Whether helpers are of use, where they are to be had.
    is_shared: bool,
    /// Whether several rows take less time in one run than in several.
    are_together: bool,
    idle: Mutex<Vec<TypedState>>,
}

impl Plans {
    pub(super) fn new(typed: TypedModel, symbols: Vec<Symbol>) -> Plans {
        let is_of_images = blocked::is_of_images(&typed);
        let programs = blocked::Programs::default();
        Plans { typed, is_of_images, programs, symbols, made: Mutex::new(VecDeque::new()) }
    }

    /// The graph that plans are made of.
    pub(super) fn typed(&self) -> &TypedModel {
        &self.typed
    }

    /// Whether stretches of the graph are ours to compute, with helpers where they are to be had.
    pub(super) fn are_of_images(&self) -> bool {
        self.is_of_images
    }

    /// Bytes of the model's constants, which each plan has packed in its own way.
    pub(super) fn weights_bytes(&self) -> usize {
        let constants = self.typed.nodes.iter().filter_map(|node| node.op_as::<Const>());
        let bytes = |tensor: &Tensor| {
            tensor.shape().iter().product::<usize>() * tensor.datum_type().size_of()
        };
        constants.map(|constant| bytes(constant.val())).sum()
    }

    /// The extents of the open dimensions, in the order in which plans are known by them.
    pub(super) fn extents(&self, extent: impl FnMut(&Symbol) -> usize) -> TVec<usize> {
        self.symbols.iter().map(extent).collect()
    }

    /// The plan for these extents, if it was made before.
    pub(super) fn made(&self, extents: &[usize]) -> Option<Arc<Plan>> {
        let made = self.lock();
        made.iter().find(|(known, _)| **known == *extents).map(|(_, plan)| plan.clone())
    }

    /// Makes the plan for these extents.
    ///
    /// Two threads that need the same new plan make it twice: that is rarer, and better, than
    /// holding every other request up while tract optimises.
    pub(super) fn make(&self, extents: TVec<usize>) -> Result<Arc<Plan>, RunError> {
        let pairs = self.symbols.iter().zip(&extents);
        let substitutions: HashMap<Symbol, TDim> =
            pairs.map(|(symbol, extent)| (symbol.clone(), extent.to_dim())).collect();
        // The first plan is that of the warm-up: no request waits, and all threads may help.
        let is_first = self.lock().is_empty() && packing::has_threads();
        let plan = contained(|| {
            let mut concrete = if substitutions.is_empty() {
                self.typed.clone()
            } else {
                self.typed.set_symbols(&substitutions)?
            };
            if self.is_of_images {
                blocked::rewrite(&mut concrete, &self.programs);
                concrete.declutter()?;
                operators::correct(&mut concrete)?;
            }
            concrete.declutter()?;
            products::take_over(&mut concrete, is_first);
            blocked::take_over(&mut concrete);
            let are_together = self.is_of_images && blocked::gain_from_each_other(&concrete);
            operators::prepare(&mut concrete)?;
            let plan = if is_first {
                packing::optimise(&mut concrete)?;
                Plan::optimised(concrete)?
            } else {
                Plan::of(concrete)?
            };
            Ok(Plan { are_together, ..plan })
        })?;
        let plan = Arc::new(plan);
        let mut made = self.lock();
        if made.len() == PLANS_MAX {
            made.pop_front();
        }
        made.push_back((extents, plan.clone()));
        Ok(plan)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(TVec<usize>, Arc<Plan>)>> {
        // Held for a look and a push only: a poisoned list is still a whole list.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plan {
    /// A plan for this graph, whose shapes are all known.
    pub(super) fn of(typed: TypedModel) -> TractResult<Plan> {
        Plan::optimised(typed.into_optimized()?)
    }

    fn optimised(model: TypedModel) -> TractResult<Plan> {
        let is_shared = products::are_shared(&model);
        let (plan, idle) = (TypedSimplePlan::new(model)?, Mutex::new(Vec::new()));
        Ok(Plan { plan, is_shared, are_together: false, idle })
    }

    /// Whether a run's operators take so long that threads may share them.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether several rows take less time in one run than in several, of a plan for one row.
    pub(super) fn are_together(&self) -> bool {
        self.are_together
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
        let ran = deadline.during(|| {
            contained(|| {
                let mut state = match idle {
                    Some(state) => state,
                    None => self.plan.spawn()?,
                };
                let outputs =
                    state.run_plan_with_eval(inputs, |context, state, node, inputs| {
                        if deadline.has_passed() {
                            late.store(true, Relaxed);
                            bail!("the deadline has passed");
                        }
                        profile::node(node, inputs, |inputs| eval(context, state, node, inputs))
                    })?;
                Ok((outputs, state))
            })
        });
        let (outputs, state) = match ran {
            // A loop inside of a node looks at the deadline itself.
            Err(_) if late.load(Relaxed) || deadline.has_passed() => return Err(RunError::Late),
            ran => ran?,
        };
        // A loop keeps what it carried, and the next run would go on from there.
        if state.op_states.iter().all(Option::is_none) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(state);
        }
        Ok(outputs)
    }
}
