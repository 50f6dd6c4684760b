//! A recurrent layer on kernels: weights that are packed once where the graph has them, and each time where not.

use super::Kind;
use super::layer::{BIAS, FIRST_CELL, FIRST_HIDDEN, LENGTHS, Layer, PEEPHOLES, Sizes, Way};
use crate::runtime::Deadline;
use crate::runtime::kernels::{
    Cell, Family, Kind as Kernels, Recurrence, RecurrentLayer, Sequences,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tract_onnx::tract_core::internal::*;

/// Whether layers are computed by kernels.
pub(in crate::runtime) fn is_on() -> bool {
    Family::Recurrent.is_on() && Kernels::best().is_quick()
}

/// A layer whose weights, the inputs from the second on but the lengths and the first states, are packed.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    layer: Layer,
    /// One for each direction.
    recurrences: Arc<Vec<Recurrence>>,
    /// Which of the layer's inputs are still given.
    given: Vec<usize>,
    /// The shapes of W and R.
    weights: [TVec<usize>; 2],
    /// What all inputs of the layer are.
    facts: TVec<TypedFact>,
}

// tract compares operators to join what is the same: each of these is its own.
impl PartialEq for Prepared {
    fn eq(&self, other: &Prepared) -> bool {
        Arc::ptr_eq(&self.recurrences, &other.recurrences)
    }
}

impl Eq for Prepared {}

impl Hash for Prepared {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.recurrences).hash(state);
    }
}

/// Packs the weights of the layers in this graph that kernels are for, where they are constant.
pub(in crate::runtime) fn prepare(model: &mut TypedModel) -> TractResult<()> {
    if !is_on() {
        return Ok(());
    }
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(layer) = node.op_as::<Layer>().filter(|layer| layer.is_quick()) else { continue };
        let weights = layer.weight_inputs();
        let facts: TVec<TypedFact> = model.node_input_facts(id)?.into_iter().cloned().collect();
        let constants: Option<Vec<Option<TValue>>> = facts
            .iter()
            .enumerate()
            .map(|(place, fact)| match weights.contains(&place) {
                true => Some(Some(fact.konst.clone()?.into_tvalue())),
                false => Some(None),
            })
            .collect();
        let Some(constants) = constants else { continue };
        let shapes: Option<Vec<&[usize]>> =
            facts[..3].iter().map(|fact| fact.shape.as_concrete()).collect();
        let Some([x, w, r]) = shapes.as_deref() else { continue };
        let sizes = layer.sizes(x, w, r)?;
        let find = |place: usize| constants.get(place).and_then(Option::as_ref);
        let recurrences = (0..layer.directions())
            .map(|direction| layer.packed(&find, direction, sizes))
            .collect::<TractResult<Vec<_>>>()?;
        let given: Vec<usize> = (0..facts.len()).filter(|place| !weights.contains(place)).collect();
        let prepared = Prepared {
            layer: layer.clone(),
            recurrences: Arc::new(recurrences),
            given: given.clone(),
            weights: [w.iter().copied().collect(), r.iter().copied().collect()],
            facts: facts.iter().map(TypedFact::without_value).collect(),
        };
        let mut patch = TypedModelPatch::default();
        let inputs = given
            .iter()
            .map(|place| patch.tap_model(model, node.inputs[*place]))
            .collect::<TractResult<TVec<_>>>()?;
        let outputs = patch.wire_node(node.name.clone(), prepared, &inputs)?;
        for (slot, output) in outputs.into_iter().enumerate() {
            patch.shunt_outside(model, OutletId::new(id, slot), output)?;
        }
        patch.apply(model)?;
    }
    Ok(())
}

impl Layer {
    /// Whether kernels are for it.
    pub(super) fn is_quick(&self) -> bool {
        let usual = self.kind.usual().iter().cycle();
        !self.quantised && self.functions.iter().eq(usual.take(self.functions.len()))
    }

    /// Which of the inputs that are there are weights.
    fn weight_inputs(&self) -> Vec<usize> {
        [1, 2, BIAS, PEEPHOLES].iter().filter_map(|place| self.inputs[*place]).collect()
    }

    /// The weights of one direction, packed.
    fn packed<'i>(
        &self,
        find: &dyn Fn(usize) -> Option<&'i TValue>,
        direction: usize,
        sizes: Sizes,
    ) -> TractResult<Recurrence> {
        let part = |place: usize| -> TractResult<Option<&'i [f32]>> {
            let Some(at) = self.inputs[place] else { return Ok(None) };
            let tensor = find(at).context("it has no weights")?;
            let all = tensor.try_as_plain_ram()?.as_slice::<f32>()?;
            ensure!(
                all.len().is_multiple_of(self.directions()),
                "it has weights for other than {} directions",
                self.directions()
            );
            let size = all.len() / self.directions();
            Ok(Some(&all[direction * size..(direction + 1) * size]))
        };
        let layer = RecurrentLayer {
            cell: match self.kind {
                Kind::Gru { linear_before_reset } => Cell::Gru { linear_before_reset },
                Kind::Lstm => Cell::Lstm,
                Kind::Rnn => Cell::Rnn,
            },
            clip: self.clip.unwrap_or(f32::INFINITY),
            input_forget: self.input_forget && self.kind == Kind::Lstm,
            input: sizes.input,
            hidden: sizes.hidden,
            weights: part(1)?.context("it has no weights")?,
            state_weights: part(2)?.context("it has no weights")?,
            bias: part(BIAS)?,
            peepholes: part(PEEPHOLES)?.filter(|_| self.kind == Kind::Lstm),
        };
        Recurrence::new(Kernels::best(), &layer)
            .context("it has weights, a bias or peepholes of another length")
    }

    /// Runs with weights that are only known now.
    pub(super) fn run_packing(&self, inputs: &[TValue], sizes: Sizes) -> TractResult<TVec<TValue>> {
        let find = |place: usize| inputs.get(place);
        let recurrences = (0..self.directions())
            .map(|direction| self.packed(&find, direction, sizes))
            .collect::<TractResult<Vec<_>>>()?;
        let inputs: Vec<Option<&TValue>> = inputs.iter().map(Some).collect();
        self.run_quick(&recurrences, &inputs, sizes)
    }

    /// Runs all directions, one after the other.
    fn run_quick(
        &self,
        recurrences: &[Recurrence],
        inputs: &[Option<&TValue>],
        sizes: Sizes,
    ) -> TractResult<TVec<TValue>> {
        let Sizes { batch, steps, hidden, .. } = sizes;
        let input = |place: usize| self.inputs[place].and_then(|at| inputs[at]);
        let lengths = self.lengths_of(input(LENGTHS), batch, steps)?;
        let x = input(0).context("it has no input")?;
        let x = x.try_as_plain_ram()?.as_slice::<f32>()?;
        let directions = self.directions();
        let mut y = vec![0.0_f32; steps * directions * batch * hidden];
        let mut last = [0; 2].map(|_| vec![0.0_f32; directions * batch * hidden]);
        let deadline = Deadline::here();
        for (direction, recurrence) in recurrences.iter().enumerate() {
            let first = |place: usize| self.first_of(input(place), direction, sizes);
            let (mut h, mut c) = (first(FIRST_HIDDEN)?, first(FIRST_CELL)?);
            let at = |step: usize, one: usize| match self.ways[direction] {
                Way::Forwards => step,
                Way::Backwards => lengths[one] - 1 - step,
            };
            let row = |step: usize, one: usize| match self.batch_first {
                true => one * steps + at(step, one),
                false => at(step, one) * batch + one,
            };
            let sequences = Sequences { x, lengths: &lengths, row: &row };
            let mut made = |step: usize, one: usize, now: &[f32]| {
                let to = match self.batch_first {
                    true => row(step, one) * directions + direction,
                    false => (at(step, one) * directions + direction) * batch + one,
                };
                y[to * hidden..(to + 1) * hidden].copy_from_slice(now);
            };
            let goes_on = || !deadline.has_passed();
            if !recurrence.run(&sequences, &mut h, &mut c, &goes_on, &mut made) {
                bail!("the deadline has passed");
            }
            for (one, _) in lengths.iter().enumerate().filter(|(_, length)| **length == 0) {
                h[one * hidden..(one + 1) * hidden].fill(0.0);
                c[one * hidden..(one + 1) * hidden].fill(0.0);
            }
            for (last, state) in last.iter_mut().zip([h, c]) {
                for (one, values) in state.chunks_exact(hidden).enumerate() {
                    let to = self.state_place(direction, one, batch) * hidden;
                    last[to..to + hidden].copy_from_slice(values);
                }
            }
        }
        self.answers(sizes, y, last)
    }
}

impl Op for Prepared {
    fn name(&self) -> StaticName {
        "Recurrence".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        let floats: usize = self.recurrences.iter().map(Recurrence::floats).sum();
        Ok(vec![format!("{} bytes of weights", floats * size_of::<f32>())])
    }

    op_as_typed_op!();
}

impl EvalOp for Prepared {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let mut all = vec![None; self.facts.len()];
        for (place, input) in self.given.iter().zip(&inputs) {
            all[*place] = Some(input);
        }
        let [w, r] = &self.weights;
        let sizes = self.layer.sizes(inputs[0].shape(), w, r)?;
        self.layer.run_quick(&self.recurrences, &all, sizes)
    }
}

impl TypedOp for Prepared {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut all: TVec<&TypedFact> = self.facts.iter().collect();
        for (place, input) in self.given.iter().zip(inputs) {
            all[*place] = input;
        }
        self.layer.output_facts(&all)
    }

    fn cost(&self, inputs: &[&TypedFact]) -> TractResult<TVec<(Cost, TDim)>> {
        let [w, r] = &self.weights;
        let x = inputs[0].shape.as_concrete().context("the shape of a sequence")?;
        let Sizes { batch, steps, .. } = self.layer.sizes(x, w, r)?;
        let float = f32::datum_type();
        let weights: usize = [w, r].iter().map(|shape| shape.iter().product::<usize>()).sum();
        let kept: usize = self.recurrences.iter().map(Recurrence::floats).sum();
        // Each step of each sequence multiplies what enters and the state with all their weights.
        let products = weights * batch * steps;
        Ok(tvec!((Cost::FMA(float), products.to_dim()), (Cost::Params(float), kept.to_dim())))
    }

    as_op!();
}
