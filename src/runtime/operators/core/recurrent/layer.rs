//! A recurrent layer over whole sequences: its directions, the lengths of its sequences, its outputs.

use super::cell::{Cell, Parts};
use super::product::Weights;
use super::{Function, Kind, float, functions, integer, is_on, optional_inputs, optional_outputs};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;

/// The places of the inputs that may be left out, after X, W and R.
pub(super) const INPUTS: usize = 12;
pub(super) const BIAS: usize = 3;
pub(super) const LENGTHS: usize = 4;
pub(super) const FIRST_HIDDEN: usize = 5;
pub(super) const FIRST_CELL: usize = 6;
pub(super) const PEEPHOLES: usize = 7;
const W_SCALE: usize = 8;
const R_SCALE: usize = 10;

/// The layer as its node describes it.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super::super) struct Layer {
    pub(super) kind: Kind,
    pub(super) ways: Vec<Way>,
    pub(super) functions: Vec<Function>,
    pub(super) clip: Option<f32>,
    pub(super) input_forget: bool,
    pub(super) batch_first: bool,
    /// Weights of 8 bits, and what they are multiplied with rounded to 8 bits each time.
    pub(super) quantised: bool,
    /// Where each input is among those that are there.
    pub(super) inputs: [Option<usize>; INPUTS],
    /// Where Y, Y_h and Y_c are among the outputs that are wanted.
    pub(super) outputs: [Option<usize>; 3],
}

/// From which end a sequence is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Forwards,
    Backwards,
}

impl Eq for Layer {}

impl Layer {
    pub(super) fn read(node: &NodeProto, kind: Kind, quantised: bool) -> TractResult<Layer> {
        let direction = node.attribute.iter().find(|one| one.name == "direction");
        let ways = match direction
            .map_or("forward".into(), |one| String::from_utf8_lossy(&one.s))
            .as_ref()
        {
            "forward" => vec![Way::Forwards],
            "reverse" => vec![Way::Backwards],
            "bidirectional" => vec![Way::Forwards, Way::Backwards],
            other => bail!(
                "its direction is `{other:.40}`: forward, reverse or bidirectional is possible"
            ),
        };
        let functions = functions(node, kind.usual(), ways.len())?;
        let mut inputs = [None; INPUTS];
        inputs.iter_mut().zip(optional_inputs(node)).for_each(|(place, input)| *place = input);
        let mut outputs = [None; 3];
        outputs.iter_mut().zip(optional_outputs(node)).for_each(|(place, output)| *place = output);
        let needed = if quantised { &[0, 1, 2, 8, 9, 10, 11][..] } else { &[0, 1, 2] };
        ensure!(
            needed.iter().all(|place| inputs[*place].is_some()),
            "an input that it needs is left out"
        );
        Ok(Layer {
            kind,
            ways,
            functions,
            clip: Some(float(node, "clip", 0.0)).filter(|clip| *clip > 0.0),
            input_forget: integer(node, "input_forget", 0) != 0,
            batch_first: integer(node, "layout", 0) != 0,
            quantised,
            inputs,
            outputs,
        })
    }

    /// Whether tract computes it, and right.
    pub(super) fn is_plain(&self) -> bool {
        let usual =
            self.functions.iter().eq(self.kind.usual().iter().cycle().take(self.functions.len()));
        let outputs = self.outputs.iter().any(Option::is_some);
        usual
            && outputs
            && self.ways != [Way::Backwards]
            && self.inputs[LENGTHS].is_none()
            && self.clip.is_none()
            && !self.input_forget
            && !self.batch_first
            && !self.quantised
    }

    /// Whether what a row comes to depends on those beside it: all are rounded by one range.
    pub(in super::super::super) fn mixes_rows(&self) -> bool {
        self.quantised
    }

    pub(super) fn directions(&self) -> usize {
        self.ways.len()
    }

    /// The axes of X that count sequences and steps.
    pub(super) fn batch_and_steps(&self) -> [usize; 2] {
        if self.batch_first { [0, 1] } else { [1, 0] }
    }

    /// The axis of R that counts the values of the state.
    pub(super) fn hidden_axis(&self) -> usize {
        if self.quantised { 1 } else { 2 }
    }

    fn input<'i>(&self, inputs: &'i [TValue], place: usize) -> Option<&'i TValue> {
        self.inputs[place].map(|at| &inputs[at])
    }

    fn floats<'i>(&self, inputs: &'i [TValue], place: usize) -> TractResult<Option<&'i [f32]>> {
        self.input(inputs, place)
            .map(|input| input.try_as_plain_ram()?.as_slice::<f32>())
            .transpose()
    }

    /// The lengths of the sequences, each checked.
    pub(super) fn lengths_of(
        &self,
        lengths: Option<&TValue>,
        batch: usize,
        steps: usize,
    ) -> TractResult<Vec<usize>> {
        let Some(lengths) = lengths else { return Ok(vec![steps; batch]) };
        let lengths = lengths.cast_to::<i64>()?;
        let lengths = lengths.try_as_plain_ram()?;
        let lengths = lengths.as_slice::<i64>()?;
        ensure!(lengths.len() == batch, "{} lengths of {batch} sequences", lengths.len());
        let checked = lengths.iter().map(|length| match usize::try_from(*length) {
            Ok(length) if length <= steps => Ok(length),
            Ok(_) | Err(_) => bail!("a sequence of {length} steps, where there are 0 to {steps}"),
        });
        checked.collect()
    }

    /// Weights of one direction: W, or R whose gates are in `rows`.
    fn weights(
        &self,
        inputs: &[TValue],
        place: usize,
        direction: usize,
        rows: std::ops::Range<usize>,
    ) -> TractResult<Weights> {
        let tensor = self.input(inputs, place).context("it has no weights")?;
        let size = tensor.len() / self.directions();
        let here = direction * size..(direction + 1) * size;
        if !self.quantised {
            let all = &tensor.try_as_plain_ram()?.as_slice::<f32>()?[here];
            return Ok(Weights::turned(all, rows, tensor.shape()[2]));
        }
        let columns = tensor.shape()[2];
        let scale = if place == 1 { W_SCALE } else { R_SCALE };
        let each = |tensor: &Tensor| -> TractResult<Vec<i16>> {
            Ok(tensor.cast_to::<i16>()?.try_as_plain_ram()?.as_slice::<i16>()?.to_vec())
        };
        let part = |all: usize| {
            let size = all / self.directions();
            direction * size..(direction + 1) * size
        };
        let zero_points = each(self.input(inputs, scale + 1).context("it has no zero point")?)?;
        let scales = self.floats(inputs, scale)?.context("it has no scale")?;
        ensure!(
            zero_points.len() >= self.directions() && scales.len() >= self.directions(),
            "it has no scale or zero point for each direction"
        );
        let zero_points = &zero_points[part(zero_points.len())];
        let steps = each(tensor)?[here].to_vec();
        Weights::steps(steps.into_iter(), zero_points, &scales[part(scales.len())], columns)
    }

    /// The weights of the state: where the reset gate comes first, those of its last block apart.
    fn state_weights(
        &self,
        inputs: &[TValue],
        direction: usize,
        hidden: usize,
    ) -> TractResult<(Weights, Option<Weights>)> {
        let wide = self.kind.gates() * hidden;
        let rows = |rows| self.weights(inputs, 2, direction, rows);
        Ok(match self.kind {
            Kind::Gru { linear_before_reset: false } => {
                (rows(0..2 * hidden)?, Some(rows(2 * hidden..wide)?))
            }
            Kind::Gru { linear_before_reset: true } | Kind::Lstm | Kind::Rnn => {
                (rows(0..wide)?, None)
            }
        })
    }

    /// The state that a direction begins with.
    pub(super) fn first_of(
        &self,
        states: Option<&TValue>,
        direction: usize,
        sizes: Sizes,
    ) -> TractResult<Vec<f32>> {
        let Sizes { batch, hidden, .. } = sizes;
        let Some(all) = states else { return Ok(vec![0.0; batch * hidden]) };
        let all = all.try_as_plain_ram()?.as_slice::<f32>()?;
        let mut state = Vec::with_capacity(batch * hidden);
        for row in 0..batch {
            let at = self.state_place(direction, row, batch) * hidden;
            state.extend_from_slice(all.get(at..at + hidden).context("it has a state too short")?);
        }
        Ok(state)
    }

    /// Where the state of a sequence is among those of all sequences and directions.
    pub(super) fn state_place(&self, direction: usize, row: usize, batch: usize) -> usize {
        match self.batch_first {
            true => row * self.directions() + direction,
            false => direction * batch + row,
        }
    }

    /// Runs one direction over all sequences, and gives its last hidden and cell states.
    fn run(
        &self,
        inputs: &[TValue],
        direction: usize,
        sizes: Sizes,
        y: &mut [f32],
    ) -> TractResult<[Vec<f32>; 2]> {
        let Sizes { batch, steps, input, hidden } = sizes;
        let lengths = self.lengths_of(self.input(inputs, LENGTHS), batch, steps)?;
        let wide = self.kind.gates() * hidden;
        let part = |place: usize, size: usize| -> TractResult<Option<Vec<f32>>> {
            let Some(all) = self.floats(inputs, place)? else { return Ok(None) };
            let here = all.get(direction * size..(direction + 1) * size);
            Ok(Some(here.context("it has a bias or peepholes of another length")?.to_vec()))
        };
        let first = self.kind.usual().len() * direction;
        let cell = Cell {
            kind: self.kind,
            functions: &self.functions[first..first + self.kind.usual().len()],
            clip: self.clip,
            input_forget: self.input_forget,
            hidden,
            bias: part(BIAS, 2 * wide)?,
            peepholes: part(PEEPHOLES, 3 * hidden)?,
        };
        let x = self.floats(inputs, 0)?.context("it has no input")?;
        let mut entering = vec![0.0; batch * steps * wide];
        // Time comes first but for layers whose batch does; what nobody reads need not be computed,
        // and must not stretch the range in which the rest is rounded.
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let rows = if self.batch_first { batch * steps } else { batch * longest };
        let weights = self.weights(inputs, 1, direction, 0..wide)?;
        weights.add(&mut entering[..rows * wide], &x[..rows * input], input);
        let (weights, after_reset) = self.state_weights(inputs, direction, hidden)?;
        let narrow = if after_reset.is_some() { 2 * hidden } else { wide };
        let mut h = self.first_of(self.input(inputs, FIRST_HIDDEN), direction, sizes)?;
        let mut c = self.first_of(self.input(inputs, FIRST_CELL), direction, sizes)?;
        let mut state = vec![0.0; batch * narrow];
        let mut left = vec![0.0; batch * hidden];
        let mut reset = vec![0.0; batch * hidden];
        // Step by step for all sequences that are so long, each from its own end.
        let long =
            |step: usize| lengths.iter().enumerate().filter(move |(_, length)| step < **length);
        for step in 0..longest {
            let at = |length: usize| match self.ways[direction] {
                Way::Forwards => step,
                Way::Backwards => length - 1 - step,
            };
            let row_of = |row: usize, at: usize| match self.batch_first {
                true => row * steps + at,
                false => at * batch + row,
            };
            state.fill(0.0);
            weights.add(&mut state, &h, hidden);
            let parts = |row: usize, length: usize| {
                let x = row_of(row, at(length)) * wide;
                (
                    &entering[x..x + wide],
                    row * narrow..(row + 1) * narrow,
                    row * hidden..(row + 1) * hidden,
                )
            };
            if let Some(weights) = &after_reset {
                for (row, length) in long(step) {
                    let (x, state_here, here) = parts(row, *length);
                    let parts = Parts { x, state: &state[state_here], reset: &[] };
                    cell.reset(parts, &h[here.clone()], &mut left[here]);
                }
                reset.fill(0.0);
                weights.add(&mut reset, &left, hidden);
            }
            for (row, length) in long(step) {
                let (x, state_here, here) = parts(row, *length);
                let parts = Parts { x, state: &state[state_here], reset: &reset[here.clone()] };
                cell.step(parts, &mut h[here.clone()], &mut c[here.clone()]);
                let directions = self.directions();
                let to = match self.batch_first {
                    true => row_of(row, at(*length)) * directions + direction,
                    false => (at(*length) * directions + direction) * batch + row,
                };
                y[to * hidden..(to + 1) * hidden].copy_from_slice(&h[here]);
            }
        }
        // onnxruntime has no state for a sequence without steps, whatever it began with.
        for (row, _) in lengths.iter().enumerate().filter(|(_, length)| **length == 0) {
            h[row * hidden..(row + 1) * hidden].fill(0.0);
            c[row * hidden..(row + 1) * hidden].fill(0.0);
        }
        Ok([h, c])
    }

    /// What these shapes of X, W and R come to, checked.
    pub(super) fn sizes(&self, x: &[usize], w: &[usize], r: &[usize]) -> TractResult<Sizes> {
        let [batch, steps] = self.batch_and_steps();
        ensure!([x.len(), w.len(), r.len()] == [3; 3], "its inputs do not have three axes each");
        let [inner, wide] = if self.quantised { [1, 2] } else { [2, 1] };
        let sizes =
            Sizes { batch: x[batch], steps: x[steps], input: x[2], hidden: r[self.hidden_axis()] };
        let gates = self.kind.gates() * sizes.hidden;
        ensure!(
            w[0] == self.directions()
                && r[0] == self.directions()
                && w[inner] == sizes.input
                && r[inner] == sizes.hidden
                && w[wide] == gates
                && r[wide] == gates
                && sizes.input > 0
                && sizes.hidden > 0,
            "its weights have the shapes {w:?} and {r:?} for an input of {x:?}"
        );
        Ok(sizes)
    }
}

/// The sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) steps: usize,
    /// Values of a step that go in.
    pub(super) input: usize,
    /// Values of the state.
    pub(super) hidden: usize,
}

impl Op for Layer {
    fn name(&self) -> StaticName {
        "Recurrent".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Layer {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let sizes = self.sizes(inputs[0].shape(), inputs[1].shape(), inputs[2].shape())?;
        if is_on() && self.is_quick() {
            return self.run_packing(&inputs, sizes);
        }
        self.run_plain(&inputs, sizes)
    }
}

impl Layer {
    /// Runs all directions one value at a time.
    pub(super) fn run_plain(&self, inputs: &[TValue], sizes: Sizes) -> TractResult<TVec<TValue>> {
        let Sizes { batch, steps, hidden, .. } = sizes;
        let directions = self.directions();
        let mut y = vec![0.0_f32; steps * directions * batch * hidden];
        let mut last =
            [vec![0.0_f32; directions * batch * hidden], vec![0.0; directions * batch * hidden]];
        for direction in 0..directions {
            let states = self.run(inputs, direction, sizes, &mut y)?;
            for (last, state) in last.iter_mut().zip(states) {
                for (row, values) in state.chunks_exact(hidden).enumerate() {
                    let to = self.state_place(direction, row, batch) * hidden;
                    last[to..to + hidden].copy_from_slice(values);
                }
            }
        }
        self.answers(sizes, y, last)
    }

    /// Those of the outputs that are wanted.
    pub(super) fn answers(
        &self,
        sizes: Sizes,
        y: Vec<f32>,
        [h, c]: [Vec<f32>; 2],
    ) -> TractResult<TVec<TValue>> {
        let shapes = self.shapes(sizes.batch, sizes.steps, sizes.hidden);
        let mut outputs = TVec::new();
        for (slot, (shape, values)) in self.outputs.iter().zip(shapes.iter().zip([y, h, c])) {
            if slot.is_some() {
                outputs.push(Tensor::from_shape(shape, &values)?.into_tvalue());
            }
        }
        Ok(outputs)
    }

    /// The shapes of Y, Y_h and Y_c.
    fn shapes<D: Clone + From<usize>>(&self, batch: D, steps: D, hidden: D) -> [TVec<D>; 3] {
        let directions = D::from(self.directions());
        let (y, state): (TVec<D>, TVec<D>) = match self.batch_first {
            true => (
                tvec!(batch.clone(), steps, directions.clone(), hidden.clone()),
                tvec!(batch, directions, hidden),
            ),
            false => (
                tvec!(steps, directions.clone(), batch.clone(), hidden.clone()),
                tvec!(directions, batch, hidden),
            ),
        };
        [y, state.clone(), state]
    }
}

impl TypedOp for Layer {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [batch, steps] = self.batch_and_steps();
        let (x, r) = (&inputs[0].shape, &inputs[2].shape);
        let hidden = r[self.hidden_axis()].clone();
        let shapes = self.shapes(x[batch].clone(), x[steps].clone(), hidden);
        let wanted = self.outputs.iter().zip(shapes).filter(|(slot, _)| slot.is_some());
        Ok(wanted.map(|(_, shape)| f32::fact(&*shape)).collect())
    }

    as_op!();
}
