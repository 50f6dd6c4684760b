//! One optimised plan for each concrete shape: a symbolic batch costs tract up to eight times more.

use super::Deadline;
use super::cache::Written;
use super::error::{LoadError, RunError, Trouble, contained};
use super::{blocked, operators, packing, products, profile};
use crate::allocator;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{DimLike, Symbol, TDim, ToDim, bail};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::plan::{SimpleState, eval};

/// Plans kept for one model. Batches come in six sizes (`run::PART_ROWS`); the rest is for models
/// with further open dimensions. The oldest plan is dropped first.
const PLANS_MAX: usize = 32;

type TypedState = SimpleState<TypedFact, Box<dyn TypedOp>>;

/// The graph that plans are made of.
#[derive(Debug)]
enum Source {
    /// With all its weights, which plans share where they do not pack them.
    Whole(TypedModel),
    /// Written down without its weights, which a plan reads and drops once they are packed: so memory has them
    /// once. The first plan takes what loading made.
    Left { first: Mutex<Option<TypedModel>>, written: Written },
}

/// The plans of one model.
#[derive(Debug)]
pub(super) struct Plans {
    source: Source,
    /// Whether the graph was not decluttered, since stretches of it are ours to compute.
    is_of_images: bool,
    /// What plans for more rows need not make again.
    programs: blocked::Programs,
    products: products::Packed,
    symbols: Vec<Symbol>,
    weights_bytes: usize,
    /// Floats of a row that the widest product makes, as far as they are known for all sizes.
    product_floats: usize,
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
    /// Nanoseconds of the quickest run that was timed.
    quickest: AtomicU64,
    idle: Mutex<Vec<TypedState>>,
}

impl Plans {
    pub(super) fn new(typed: TypedModel, symbols: Vec<Symbol>) -> Plans {
        let is_of_images = blocked::is_of_images(&typed);
        let (weights_bytes, product_floats) = (weights_bytes(&typed), product_floats(&typed));
        let (source, programs) = (Source::Whole(typed), blocked::Programs::default());
        let (products, made) = (products::Packed::default(), Mutex::new(VecDeque::new()));
        Plans {
            source,
            is_of_images,
            programs,
            products,
            symbols,
            weights_bytes,
            product_floats,
            made,
        }
    }

    /// Drops the graph's weights after the first plan, for others to be read as they are `written`.
    pub(super) fn leave(&mut self, written: Written) {
        if let Source::Whole(typed) = &mut self.source {
            let first = Mutex::new(Some(std::mem::take(typed)));
            self.source = Source::Left { first, written };
        }
    }

    /// How the graph is written down, if plans read its weights.
    pub(super) fn written(&self) -> Option<&Written> {
        match &self.source {
            Source::Whole(_) => None,
            Source::Left { written, .. } => Some(written),
        }
    }

    /// The graph that plans are made of, where all of it is there.
    pub(super) fn whole(&self) -> Option<&TypedModel> {
        match &self.source {
            Source::Whole(typed) => Some(typed),
            Source::Left { .. } => None,
        }
    }

    /// A copy of the graph that plans are made of, weights included.
    #[cfg(test)]
    pub(super) fn typed(&self) -> TypedModel {
        match &self.source {
            Source::Whole(typed) => typed.clone(),
            Source::Left { written, .. } => written.graph(1).unwrap().0,
        }
    }

    /// The graph for one more plan, with the symbols of its open dimensions.
    fn graph(&self) -> Result<(TypedModel, Vec<Symbol>), RunError> {
        let (first, written) = match &self.source {
            Source::Whole(typed) => return Ok((typed.clone(), self.symbols.clone())),
            Source::Left { first, written } => (first, written),
        };
        if let Some(first) = first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok((first, self.symbols.clone()));
        }
        let threads = if packing::has_threads() { rayon::current_num_threads() } else { 1 };
        let read = contained(|| Ok(written.graph(threads)))?;
        read.ok_or(RunError::Unread)
    }

    /// Whether stretches of the graph are ours to compute, with helpers where they are to be had.
    pub(super) fn are_of_images(&self) -> bool {
        self.is_of_images
    }

    /// Bytes of the model's constants, which each plan has packed in its own way.
    pub(super) fn weights_bytes(&self) -> usize {
        self.weights_bytes
    }

    /// Floats that the widest product makes of a row, as far as that is known for all sizes.
    pub(super) fn product_floats(&self) -> usize {
        self.product_floats
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
        // The first plan is that of the warm-up: no request waits, and all threads may help.
        let is_first = self.lock().is_empty() && packing::has_threads();
        let plan = match self.with_kernels(&extents, is_first)? {
            Ok(plan) => plan,
            Err(trouble) => {
                slower(trouble);
                let mut concrete = self.concrete(&extents)?;
                contained(|| {
                    self.settle(&mut concrete)?;
                    Plan::packed(concrete, is_first)
                })?
            }
        };
        allocator::give_back();
        let plan = Arc::new(plan);
        let mut made = self.lock();
        if made.len() == PLANS_MAX {
            made.pop_front();
        }
        made.push_back((extents, plan.clone()));
        Ok(plan)
    }

    /// The graph with these extents of its open dimensions.
    fn concrete(&self, extents: &[usize]) -> Result<TypedModel, RunError> {
        let (graph, symbols) = self.graph()?;
        let pairs = symbols.into_iter().zip(extents);
        let substitutions: HashMap<Symbol, TDim> =
            pairs.map(|(symbol, extent)| (symbol, extent.to_dim())).collect();
        match substitutions.is_empty() {
            true => Ok(graph),
            false => Ok(contained(|| graph.set_symbols(&substitutions))?),
        }
    }

    /// A plan with kernels of ours, or why these could not be made ready.
    fn with_kernels(
        &self,
        extents: &[usize],
        is_first: bool,
    ) -> Result<Result<Plan, Trouble>, RunError> {
        let mut concrete = self.concrete(extents)?;
        allocator::give_back();
        if self.is_of_images
            && let Err(trouble) = contained(|| blocked::rewrite(&mut concrete, &self.programs))
        {
            return Ok(Err(trouble));
        }
        contained(|| self.settle(&mut concrete))?;
        allocator::give_back();
        if let Err(trouble) =
            contained(|| products::take_over(&mut concrete, &self.products, is_first))
        {
            return Ok(Err(trouble));
        }
        allocator::give_back();
        let plan = contained(|| {
            blocked::take_over(&mut concrete);
            let are_together = self.is_of_images && blocked::gain_from_each_other(&concrete);
            Ok(Plan { are_together, ..Plan::packed(concrete, is_first)? })
        })?;
        Ok(Ok(plan))
    }

    fn settle(&self, concrete: &mut TypedModel) -> TractResult<()> {
        if self.is_of_images {
            concrete.declutter()?;
            operators::correct(concrete)?;
        }
        concrete.declutter()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(TVec<usize>, Arc<Plan>)>> {
        // Held for a look and a push only: a poisoned list is still a whole list.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that a graph has no kernels of ours, and why.
pub(super) fn slower(trouble: Trouble) {
    log::warn!(
        "a net is computed the slower way: {}",
        crate::exit::chain(&LoadError::from(trouble))
    );
}

/// Bytes of a graph's constants.
fn weights_bytes(typed: &TypedModel) -> usize {
    let constants = typed.nodes.iter().filter_map(|node| node.op_as::<Const>());
    let bytes =
        |tensor: &Tensor| tensor.shape().iter().product::<usize>() * tensor.datum_type().size_of();
    constants.map(|constant| bytes(constant.val())).sum()
}

/// Floats that the widest product of a graph makes of a row, whose open dimensions are told by requests.
fn product_floats(typed: &TypedModel) -> usize {
    let products = typed.nodes.iter().filter(|node| node.op_is::<EinSum>());
    let floats = |node: &TypedNode| {
        let extents = node.outputs[0].fact.shape.iter();
        extents.filter_map(|extent| extent.to_usize().ok()).product()
    };
    products.map(floats).max().unwrap_or_default()
}

impl Plan {
    /// A plan for this graph, whose shapes are all known.
    pub(super) fn of(mut typed: TypedModel) -> TractResult<Plan> {
        operators::spread_stored(&mut typed, |_, _| false)?;
        Plan::optimised(typed.into_optimized()?)
    }

    /// The same for a graph that was decluttered, whose weights are packed on all threads where it is the first.
    fn packed(mut model: TypedModel, is_first: bool) -> TractResult<Plan> {
        operators::prepare(&mut model)?;
        if !is_first {
            return Plan::of(model);
        }
        operators::spread_stored(&mut model, |_, _| false)?;
        packing::optimise(&mut model)?;
        Plan::optimised(model)
    }

    fn optimised(model: TypedModel) -> TractResult<Plan> {
        let is_shared = products::are_shared(&model) || blocked::are_shared(&model);
        let (plan, idle) = (TypedSimplePlan::new(model)?, Mutex::new(Vec::new()));
        let quickest = AtomicU64::new(u64::MAX);
        Ok(Plan { plan, is_shared, are_together: false, quickest, idle })
    }

    /// Whether a run's operators take so long that threads may share them.
    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether several rows take less time in one run than in several, of a plan for one row.
    pub(super) fn are_together(&self) -> bool {
        self.are_together
    }

    /// What the quickest run took of those that were timed, if any was.
    pub(super) fn quickest(&self) -> Option<Duration> {
        let nanoseconds = self.quickest.load(Relaxed);
        (nanoseconds < u64::MAX).then(|| Duration::from_nanos(nanoseconds))
    }

    /// As [`run`](Self::run), and looks at the clock: what others had of the processor is in most of its times,
    /// and seldom in the quickest.
    pub(super) fn timed(
        &self,
        inputs: TVec<TValue>,
        deadline: Deadline,
    ) -> Result<TVec<TValue>, RunError> {
        let start = Instant::now();
        let outputs = self.run(inputs, deadline)?;
        let taken = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.quickest.fetch_min(taken, Relaxed);
        Ok(outputs)
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
