//! Packs the weights of a plan on all threads of the pool, where tract's own pass packs one after the other.

use crate::allocator;
use rayon::prelude::*;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{InletId, OutletId, TypedModelPatch, TypedOp};
use tract_onnx::tract_core::ops::change_axes::{AxisOp, IntoShape};
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::matmul::pack::OptMatMulPack;
use tract_onnx::tract_core::optim::{Optimizer, OptimizerSession, TypedPass};

/// Whether the caller is on a thread of the pool.
pub(super) fn has_threads() -> bool {
    rayon::current_thread_index().is_some()
}

/// Makes one after the other on all threads there are, and gives back what each frees: weights go as they are packed.
/// None when one cannot be made.
pub(super) fn each<P: Send, M: Send>(
    planned: Vec<P>,
    make: impl Fn(P) -> Option<M> + Sync,
) -> Option<Vec<M>> {
    let make = |planned| {
        let made = make(planned);
        allocator::give_back();
        made
    };
    match has_threads() {
        true => planned.into_par_iter().map(make).collect(),
        false => planned.into_iter().map(make).collect(),
    }
}

/// Optimises `model` as tract does, which must be decluttered, on the threads of the pool that this
/// is called on.
pub(super) fn optimise(model: &mut TypedModel) -> TractResult<()> {
    let mut optimizer = Optimizer::codegen();
    // Before the pass that computes what is constant, which finds nothing to pack then.
    optimizer.passes.insert(0, Box::new(PackTogether));
    model.optimize_with_session(&mut optimizer.session())
}

/// Computes what tract's pass over constants would, for the one operator that takes long.
#[derive(Debug, Clone)]
struct PackTogether;

impl TypedPass for PackTogether {
    fn reset(&mut self) -> TractResult<()> {
        Ok(())
    }

    fn next(
        &mut self,
        _session: &mut OptimizerSession<'_>,
        _model: &TypedModel,
    ) -> TractResult<Option<TypedModelPatch>> {
        Ok(None)
    }

    fn run_direct(&mut self, model: &mut TypedModel) -> TractResult<bool> {
        let packed: Vec<(usize, Const, TypedFact)> = model
            .nodes
            .par_iter()
            .filter_map(|node| packed(model, node).transpose())
            .collect::<TractResult<_>>()?;
        for (id, constant, fact) in &packed {
            for (slot, outlet) in model.nodes[*id].inputs.clone().into_iter().enumerate() {
                let successors = &mut model.nodes[outlet.node].outputs[outlet.slot].successors;
                successors.retain(|inlet| *inlet != InletId::new(*id, slot));
            }
            let node = model.node_mut(*id);
            node.inputs.clear();
            node.op = Box::new(constant.clone());
            node.outputs[0].fact = fact.clone();
        }
        Ok(!packed.is_empty())
    }
}

/// The weight that this node packs, packed; none when it packs no weight.
fn packed(model: &TypedModel, node: &TypedNode) -> TractResult<Option<(usize, Const, TypedFact)>> {
    if !node.op_is::<OptMatMulPack>() {
        return Ok(None);
    }
    let Some(weight) = weight(model, node)? else { return Ok(None) };
    let Some(outputs) = node.op.eval_out_of_plan(tvec!(weight))? else { return Ok(None) };
    let [output] = outputs.as_slice() else { return Ok(None) };
    let exotic = model.outlet_fact(OutletId::new(node.id, 0))?.exotic_fact.clone();
    let constant = Const::new_with_opt_exotic_fact(output.clone().into_arc_tensor(), exotic)?;
    let fact = constant.output_facts(&[])?.remove(0);
    Ok(Some((node.id, constant, fact)))
}

/// What goes into a node of one input, when it is written down and used by nobody else, or is such a
/// weight in another shape.
fn weight(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TValue>> {
    let [input] = node.inputs.as_slice() else { return Ok(None) };
    let before = model.node(input.node);
    let outlet = &before.outputs[input.slot];
    if outlet.successors.len() != 1 {
        return Ok(None);
    }
    if let Some(constant) = &outlet.fact.konst {
        return Ok(Some(constant.clone().into_tvalue()));
    }
    // Those before it are other nodes, and a graph has no cycles: this ends.
    if !(before.op_is::<IntoShape>() || before.op_is::<AxisOp>()) {
        return Ok(None);
    }
    let Some(weight) = weight(model, before)? else { return Ok(None) };
    let shaped = before.op.eval_out_of_plan(tvec!(weight))?;
    Ok(shaped.and_then(|mut outputs| outputs.pop()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Model, Pool};
    use std::path::Path;

    #[test]
    fn weights_packed_together_give_what_weights_packed_one_by_one_give() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
        for fixture in ["vision_fixed.onnx", "fraud.onnx"] {
            let model = Model::load(&models.join(fixture)).unwrap();
            let typed = model.plans.typed();
            let symbols = typed.symbols.all_symbols();
            let one = symbols.into_iter().map(|symbol| (symbol, 1.into())).collect();
            let typed = typed.set_symbols(&one).unwrap().into_decluttered().unwrap();
            let theirs = typed.clone().into_optimized().unwrap();
            let (mut ours, pool) = (typed, Pool::start(3).unwrap());
            pool.on_large_stack(|| optimise(&mut ours).unwrap());
            let fact = theirs.input_fact(0).unwrap();
            let shape = fact.shape.as_concrete().unwrap();
            let values = (0..shape.iter().product()).map(|it| (it % 29) as f32 / 7.0 - 2.0);
            let input = tract_ndarray::ArrayD::from_shape_vec(shape, values.collect()).unwrap();
            let answers = [ours, theirs].map(|model| {
                assert_eq!(model.nodes.iter().filter(|node| is_unpacked(&model, node)).count(), 0);
                let input = tvec!(input.clone().into_tensor().into_tvalue());
                TypedSimplePlan::new(model).unwrap().spawn().unwrap().run(input).unwrap()
            });
            assert_eq!(answers[0], answers[1], "{fixture}");
        }
    }

    fn is_unpacked(model: &TypedModel, node: &TypedNode) -> bool {
        packed(model, node).unwrap().is_some()
    }
}
