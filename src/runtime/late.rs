//! Models whose graph depends on what a request brings: shapes, and values such as axes or rates.

use super::Deadline;
use super::error::{RunError, Trouble, contained};
use super::left::Left;
use super::load::Extent;
use super::onnx::Places;
use super::operators;
use super::plan::{Plan, slower};
use super::pool::{Pool, Turns};
use super::{blocked, check, products};
use crate::allocator;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::konst::Const;

/// Plans kept for one model; the oldest is dropped first.
const PLANS_MAX: usize = 16;

/// Values of an input that may be built into a plan: shapes, axes, scales, a rate. An input of
/// more is data, and would make a plan for each request.
const VALUES_MAX: usize = 64;

/// What open dimensions and small inputs are tried with while a model is loaded. The sizes are
/// those of audio frames too, which some nets insist on.
const EXTENTS_TRIED: [usize; 7] = [1, 2, 16, 64, 288, 512, 576];
const VALUES_TRIED: [i64; 3] = [1, 0, 2];

/// What a plan was made for: the shape of each input, and the values that are built in.
type Key = Vec<(Vec<usize>, Option<Arc<Tensor>>)>;

/// The graph of such a model, and the plans that were made of it.
///
/// tract types a graph once for all sizes where it can. Where it cannot, since a branch is chosen
/// by an input or a shape is one, it can for the sizes and the values of one request, and those
/// come again: a sampling rate, the size of a picture.
#[derive(Debug)]
pub(super) struct Late {
    /// Where weights are `left` in the file, without them.
    graph: InferenceModel,
    left: Option<Left>,
    /// The graph with all weights, where it is run node by node.
    whole: Mutex<Option<Arc<InferenceModel>>>,
    products: products::Packed,
    /// Whether values are built in, or shapes alone are enough.
    values: AtomicBool,
    /// Whether not even that is enough: results of branches differ in their axes, or a shape is
    /// computed from the data.
    steps: AtomicBool,
    made: Mutex<VecDeque<(Key, Arc<Plan>)>>,
}

impl Late {
    /// The graph as one that is typed late, with the types and shapes of what it gives, if some
    /// sizes and values show that it can be.
    pub(super) fn probe(
        graph: &InferenceModel,
        extents: &[Vec<Extent>],
    ) -> Option<(Late, Vec<TypedFact>)> {
        let open = extents.iter().flatten().any(|one| matches!(one, Extent::Free(_)));
        let small = extents.iter().any(|one| elements(one, 1) <= VALUES_MAX);
        let late = Late {
            graph: graph.clone(),
            left: None,
            whole: Mutex::new(None),
            products: products::Packed::default(),
            values: AtomicBool::new(false),
            steps: AtomicBool::new(false),
            made: Mutex::new(VecDeque::new()),
        };
        let trials = [None].into_iter().chain(VALUES_TRIED.map(Some));
        let trials = trials.filter(|values| values.is_none() || small).flat_map(|values| {
            let extents = EXTENTS_TRIED.into_iter().take_while(|extent| *extent == 1 || open);
            extents.map(move |extent| (values, extent))
        });
        let trials: Vec<(Option<i64>, usize)> = trials.collect();
        for (values, extent) in trials.iter().copied() {
            let typed = contained(|| {
                let tried = late.tried(extents, extent, values.unwrap_or(0))?;
                let mut typed = typed(graph.clone(), &tried, values.is_some())?;
                // Of images, tract would copy each weight to see what it can tell without.
                if !blocked::is_of_images(&typed) {
                    settle(&mut typed)?;
                }
                let outlets = typed.outputs.iter();
                outlets.map(|outlet| typed.outlet_fact(*outlet).cloned()).collect()
            });
            match typed {
                Ok(facts) => {
                    late.values.store(values.is_some(), Relaxed);
                    return Some((late, facts));
                }
                Err(trouble) => log::debug!(
                    "with open dimensions of {extent} and values of {values:?}: {}",
                    RunError::from(trouble)
                ),
            }
        }
        for (values, extent) in trials {
            let ran = contained(|| {
                let tried = late.tried(extents, extent, values.unwrap_or(0))?;
                operators::stepwise(graph, tried.into())
            });
            match ran {
                Ok(made) => {
                    late.steps.store(true, Relaxed);
                    let fact = |value: TValue| value.datum_type().fact(value.shape());
                    return Some((late, made.into_iter().map(fact).collect()));
                }
                Err(trouble) => log::debug!(
                    "node by node, with open dimensions of {extent} and values of {values:?}: {}",
                    RunError::from(trouble)
                ),
            }
        }
        None
    }

    /// Lets plans read weights from the file, where `places` has most of them; the first plan takes what is there.
    pub(super) fn leave(&mut self, places: &Places) -> TractResult<()> {
        if !self.steps.load(Relaxed) {
            self.left = Left::of(&mut self.graph, places)?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn is_left(&self) -> bool {
        self.left.is_some()
    }

    /// The graph with all weights for one more plan.
    fn filled(&self) -> Result<InferenceModel, RunError> {
        match &self.left {
            Some(left) => contained(|| left.fill(&self.graph))?.ok_or(RunError::Unread),
            None => Ok(self.graph.clone()),
        }
    }

    fn tried(
        &self,
        extents: &[Vec<Extent>],
        extent: usize,
        value: i64,
    ) -> TractResult<Vec<TValue>> {
        let inputs = extents.iter().enumerate().map(|(index, extents)| {
            let shape: Vec<usize> = extents
                .iter()
                .map(|one| match one {
                    Extent::Fixed(fixed) => *fixed,
                    Extent::Free(_) => extent,
                })
                .collect();
            let fact = self.graph.input_fact(index)?;
            let element = fact.datum_type().unwrap_or(DatumType::F32);
            let value = tensor0(value).cast_to_dt(element)?.into_owned();
            Ok(value.broadcast_to_shape(&shape)?.into_tvalue())
        });
        inputs.collect()
    }

    /// Runs once, with a plan for these inputs, made when it is not there: on a thread of the
    /// pool, whose stack is large, or on the caller's. Where that takes long, threads of the pool help, for the turns that are
    /// free.
    pub(super) fn run(
        &self,
        pool: Option<&Pool>,
        turns: Option<&dyn Turns>,
        inputs: TVec<TValue>,
        deadline: Deadline,
    ) -> Result<TVec<TValue>, RunError> {
        if self.steps.load(Relaxed) {
            return self.step(inputs, deadline);
        }
        let plan = match self.plan(pool, &inputs, self.values.load(Relaxed)) {
            Err(RunError::Unread) => return Err(RunError::Unread),
            Err(_) if !self.values.load(Relaxed) => {
                // The sizes were enough for the trial, and are not for these.
                let plan = self.plan(pool, &inputs, true);
                self.values.store(plan.is_ok(), Relaxed);
                plan
            }
            plan => plan,
        };
        let plan = match plan {
            Err(_) => {
                let outputs = self.step(inputs, deadline)?;
                self.steps.store(true, Relaxed);
                return Ok(outputs);
            }
            Ok(plan) => plan,
        };
        let values = self.values.load(Relaxed);
        let rest = inputs.into_iter().filter(|input| !(values && built_in(input))).collect();
        match (pool, turns) {
            (Some(pool), Some(turns)) if plan.is_shared() => {
                pool.with_gang(turns, || plan.run(rest, deadline))
            }
            (_, _) => plan.run(rest, deadline),
        }
    }

    /// Runs once without a plan.
    fn step(&self, inputs: TVec<TValue>, deadline: Deadline) -> Result<TVec<TValue>, RunError> {
        let lock = || self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().clone();
        let graph = match known {
            Some(graph) => graph,
            None => Arc::new(self.filled()?),
        };
        let ran = deadline.during(|| contained(|| operators::stepwise(&graph, inputs)));
        if ran.is_ok() {
            *lock() = Some(graph); // the next ones run so, too
        }
        ran.map_err(|trouble| match deadline.has_passed() {
            true => RunError::Late,
            false => RunError::from(trouble),
        })
    }

    fn plan(
        &self,
        pool: Option<&Pool>,
        inputs: &[TValue],
        values: bool,
    ) -> Result<Arc<Plan>, RunError> {
        let value =
            |input: &TValue| (values && built_in(input)).then(|| input.clone().into_arc_tensor());
        let key: Key = inputs.iter().map(|input| (input.shape().to_vec(), value(input))).collect();
        let found = self.lock().iter().find(|(made, _)| *made == key).map(|(_, plan)| plan.clone());
        if let Some(plan) = found {
            return Ok(plan);
        }
        let inputs: Vec<Arc<Tensor>> =
            inputs.iter().map(|input| input.clone().into_arc_tensor()).collect();
        let make = || {
            let inputs: Vec<TValue> = inputs.iter().map(|it| it.clone().into_tvalue()).collect();
            self.make(&inputs, values)
        };
        let plan = match pool {
            // tract's passes over a graph call each other deeply.
            Some(pool) => pool.on_large_stack(make)?,
            None => make()?,
        };
        let plan = Arc::new(plan);
        let mut made = self.lock();
        if made.len() == PLANS_MAX {
            made.pop_front();
        }
        made.push_back((key, plan.clone()));
        Ok(plan)
    }

    fn make(&self, inputs: &[TValue], values: bool) -> Result<Plan, RunError> {
        match self.with_kernels(inputs, values)? {
            Ok(plan) => Ok(plan),
            Err(trouble) => {
                slower(trouble);
                let graph = self.filled()?;
                Ok(contained(|| {
                    let mut typed = typed(graph, inputs, values)?;
                    settle(&mut typed)?;
                    Plan::of(typed)
                })?)
            }
        }
    }

    /// A plan with kernels of ours, or why these could not be made ready. Weights go while they are packed.
    fn with_kernels(
        &self,
        inputs: &[TValue],
        values: bool,
    ) -> Result<Result<Plan, Trouble>, RunError> {
        let graph = self.filled()?;
        let mut typed = contained(|| typed(graph, inputs, values))?;
        if blocked::is_of_images(&typed) {
            let programs = blocked::Programs::default();
            if let Err(trouble) = contained(|| blocked::rewrite(&mut typed, &programs)) {
                return Ok(Err(trouble));
            }
        }
        contained(|| settle(&mut typed))?;
        if let Err(trouble) = contained(|| products::take_over(&mut typed, &self.products, false)) {
            return Ok(Err(trouble));
        }
        let plan = contained(|| {
            blocked::take_over(&mut typed);
            Plan::of(typed)
        })?;
        allocator::give_back();
        Ok(Ok(plan))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Key, Arc<Plan>)>> {
        // Held for a look and a push only: a poisoned list is still a whole list.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Types a graph for these inputs, whose small ones may be built in.
fn typed(mut graph: InferenceModel, inputs: &[TValue], values: bool) -> TractResult<TypedModel> {
    let mut rest = Vec::new();
    for (outlet, input) in graph.input_outlets()?.to_vec().into_iter().zip(inputs) {
        if values && built_in(input) {
            let value = input.clone().into_arc_tensor();
            graph.node_mut(outlet.node).op = Box::new(Const::new(value.clone())?);
            graph.set_outlet_fact(outlet, InferenceFact::try_from(value)?)?;
        } else {
            let fact = InferenceFact::dt_shape(input.datum_type(), input.shape());
            graph.set_outlet_fact(outlet, fact)?;
            rest.push(outlet);
        }
    }
    graph.set_input_outlets(&rest)?;
    check::sized(&mut graph)?;
    graph.into_typed()
}

fn settle(typed: &mut TypedModel) -> TractResult<()> {
    typed.declutter()?;
    operators::correct(typed)?;
    operators::prepare(typed)
}

fn built_in(input: &TValue) -> bool {
    input.len() <= VALUES_MAX && input.datum_type() != DatumType::String
}

fn elements(extents: &[Extent], open: usize) -> usize {
    let extents = extents.iter().map(|extent| match extent {
        Extent::Fixed(fixed) => *fixed,
        Extent::Free(_) => open,
    });
    extents.fold(1_usize, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::super::tests::weighted::shaped;
    use super::super::{Model, Pool, Turns};
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// One turn that is free, and how often it was given back.
    #[derive(Default)]
    struct One {
        taken: AtomicUsize,
        given: AtomicUsize,
    }

    impl Turns for One {
        fn try_more(&self) -> bool {
            self.taken.fetch_add(1, SeqCst) == 0
        }

        fn give_back(&self) {
            self.given.fetch_add(1, SeqCst);
        }

        fn are_wanted(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_long_run_of_a_graph_that_is_typed_late_has_help_and_a_short_one_has_none() {
        let (model, pool) = (Model::from_bytes(shaped()).unwrap(), Pool::start(2).unwrap());
        let late = model.late.as_ref().unwrap();
        for (rows, helpers) in [(1, 0), (256, 1)] {
            let turns = One::default();
            let x = Tensor::from_shape(&[rows, 64], &vec![0.5_f32; rows * 64]).unwrap();
            let shape = tensor1(&[rows as i64, 64]);
            let inputs = tvec!(x.into_tvalue(), shape.into_tvalue());
            late.run(Some(&pool), Some(&turns), inputs, Deadline::NONE).unwrap();
            let given = turns.given.load(SeqCst);
            assert_eq!(given, helpers, "of {rows} rows");
            assert_eq!(turns.taken.load(SeqCst) > 0, helpers > 0, "of {rows} rows");
        }
    }
}
