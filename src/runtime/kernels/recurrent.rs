//! Recurrent layers over whole sequences: what enters is multiplied for many steps at once, the state step by step.

use super::cells::{Compute, GRU_GATES, GRU_LINEAR, GRU_STATE, Job, LSTM, PRODUCT, RNN, ROWS_MAX};
use super::kind::Kind;

/// Gates of the most that a cell has.
const GATES_MAX: usize = 4;

/// Floats of what has entered that are kept at once: a megabyte, which a second-level cache holds, so
/// that the recurrence reads them from there.
const ENTERING_FLOATS_MAX: usize = 256 << 10;

/// Which layer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) enum Cell {
    Rnn,
    Lstm,
    Gru { linear_before_reset: bool },
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Rnn => 1,
            Cell::Lstm => 4,
            Cell::Gru { .. } => 3,
        }
    }
}

/// One direction of a layer, as ONNX describes it.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Layer<'l> {
    pub(in crate::runtime) cell: Cell,
    /// What goes into a gate's function is kept between this and its negative.
    pub(in crate::runtime) clip: f32,
    /// The forget gate is what the input gate leaves.
    pub(in crate::runtime) input_forget: bool,
    pub(in crate::runtime) input: usize,
    pub(in crate::runtime) hidden: usize,
    /// `[gates * hidden, input]`.
    pub(in crate::runtime) weights: &'l [f32],
    /// `[gates * hidden, hidden]`.
    pub(in crate::runtime) state_weights: &'l [f32],
    /// `[2 * gates * hidden]`.
    pub(in crate::runtime) bias: Option<&'l [f32]>,
    /// `[3 * hidden]`, of a long short-term memory alone.
    pub(in crate::runtime) peepholes: Option<&'l [f32]>,
}

/// A direction of a layer, with weights packed for this processor.
#[derive(Debug)]
pub(in crate::runtime) struct Recurrence {
    kind: Kind,
    cell: Cell,
    clip: f32,
    input_forget: bool,
    input: usize,
    hidden: usize,
    /// Vectors of what enters for a row, in whole groups of [`GATES_MAX`].
    vectors: usize,
    /// Group by group of vectors; in each, for every value that enters the group's weights.
    entering: Vec<f32>,
    /// A vector's part for each of `vectors`.
    bias: Vec<f32>,
    /// Block by block of the state; in each, for every value of the state the weights of the gates.
    state: Vec<f32>,
    /// The same for what is reset before it is multiplied.
    reset: Vec<f32>,
    /// What is added to the state's own part of a new state before it is reset.
    state_bias: Vec<f32>,
    /// For the input, the output and the forget gate.
    peepholes: Vec<f32>,
}

/// Sequences that a layer runs over.
pub(in crate::runtime) struct Sequences<'s> {
    pub(in crate::runtime) x: &'s [f32],
    /// Steps of each sequence.
    pub(in crate::runtime) lengths: &'s [usize],
    /// Where a step of a sequence is in `x`, in rows, by the order in which steps are computed.
    pub(in crate::runtime) row: &'s dyn Fn(usize, usize) -> usize,
}

impl Recurrence {
    /// Packs the weights; none when the parts do not fit together.
    pub(in crate::runtime) fn new(kind: Kind, layer: &Layer<'_>) -> Option<Recurrence> {
        let Layer { cell, clip, input_forget, input, hidden, .. } = *layer;
        let (gates, lanes) = (cell.gates(), kind.lanes());
        let wide = gates.checked_mul(hidden)?;
        let fits = input > 0
            && hidden > 0
            && Some(layer.weights.len()) == wide.checked_mul(input)
            && Some(layer.state_weights.len()) == wide.checked_mul(hidden)
            && layer.bias.is_none_or(|bias| bias.len() == 2 * wide)
            && layer.peepholes.is_none_or(|peepholes| peepholes.len() == 3 * hidden);
        if !fits {
            return None;
        }
        let blocks = hidden.div_ceil(lanes);
        let vectors = (blocks * gates).next_multiple_of(GATES_MAX);
        let mut entering = vec![0.0; vectors * lanes * input];
        let mut bias = vec![0.0; vectors * lanes];
        let mut state_bias = vec![0.0; blocks * lanes];
        // Of a state that is multiplied after it was reset, the last gate has weights apart.
        let (before, after) = match cell {
            Cell::Gru { linear_before_reset: false } => (2, 1),
            Cell::Gru { linear_before_reset: true } | Cell::Rnn | Cell::Lstm => (gates, 0),
        };
        let mut state = vec![0.0; blocks * before * lanes * hidden];
        let mut reset = vec![0.0; blocks * after * lanes * hidden];
        for place in 0..wide {
            let (gate, at) = (place / hidden, place % hidden);
            let (block, lane) = (at / lanes, at % lanes);
            let vector = block * gates + gate;
            let (group, member) = (vector / GATES_MAX, vector % GATES_MAX);
            for (term, weight) in layer.weights[place * input..][..input].iter().enumerate() {
                entering[((group * input + term) * GATES_MAX + member) * lanes + lane] = *weight;
            }
            let (packed, gates, gate_of) = match gate < before {
                true => (&mut state, before, gate),
                false => (&mut reset, after, gate - before),
            };
            let weights = &layer.state_weights[place * hidden..][..hidden];
            for (term, weight) in weights.iter().enumerate() {
                packed[((block * hidden + term) * gates + gate_of) * lanes + lane] = *weight;
            }
            let Some(biases) = layer.bias else { continue };
            let (own, of_state) = (biases[place], biases[wide + place]);
            let is_reset = cell == Cell::Gru { linear_before_reset: true } && gate == 2;
            bias[vector * lanes + lane] = if is_reset { own } else { own + of_state };
            if is_reset {
                state_bias[at] = of_state;
            }
        }
        let peepholes = layer.peepholes.map_or_else(Vec::new, |from| {
            let mut peepholes = vec![0.0; 3 * blocks * lanes];
            for (to, from) in peepholes.chunks_exact_mut(blocks * lanes).zip(from.chunks(hidden)) {
                to[..hidden].copy_from_slice(from);
            }
            peepholes
        });
        Some(Recurrence {
            kind,
            cell,
            clip,
            input_forget,
            input,
            hidden,
            vectors,
            entering,
            bias,
            state,
            reset,
            state_bias,
            peepholes,
        })
    }

    /// Floats that are kept.
    pub(in crate::runtime) fn floats(&self) -> usize {
        [&self.entering, &self.bias, &self.state, &self.reset, &self.state_bias, &self.peepholes]
            .map(Vec::len)
            .iter()
            .sum()
    }

    /// Runs over the sequences from the states `h` and `c` (`[sequence, hidden]` each) and leaves there
    /// the last ones; `made` is given the hidden state of each step and sequence. A sequence without
    /// steps keeps its states. False, and nothing of use, when `goes_on` was false meanwhile.
    ///
    /// # Panics
    /// When a state is not of that size, or a row is not in `x`.
    pub(in crate::runtime) fn run(
        &self,
        sequences: &Sequences<'_>,
        h: &mut [f32],
        c: &mut [f32],
        goes_on: &dyn Fn() -> bool,
        made: &mut dyn FnMut(usize, usize, &[f32]),
    ) -> bool {
        let Sequences { x, lengths, row } = *sequences;
        let batch = lengths.len();
        assert!(h.len() == batch * self.hidden && c.len() == h.len());
        let wide = self.state_bias.len();
        let mut states = States {
            wide,
            h: padded(h, self.hidden, wide),
            next: vec![0.0; batch * wide],
            c: padded(c, self.hidden, wide),
            left: vec![0.0; batch * wide],
            update: vec![0.0; batch * wide],
        };
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let each = self.vectors * self.kind.lanes();
        let at_once = (ENTERING_FLOATS_MAX / (each * batch).max(1)).clamp(1, longest.max(1));
        let mut entering = vec![0.0; at_once * batch * each];
        let (mut rows, mut from) = (Vec::new(), Vec::new());
        for first in (0..longest).step_by(at_once) {
            if !goes_on() {
                return false;
            }
            let last = longest.min(first + at_once);
            from.clear();
            for step in first..last {
                // What nobody reads need be no row of its own.
                from.extend((0..batch).map(|one| match step < lengths[one] {
                    true => row(step, one),
                    false => 0,
                }));
            }
            assert!(from.iter().all(|row| (row + 1) * self.input <= x.len()), "a row beyond x");
            self.enter(x, &from, &mut entering);
            for step in first..last {
                rows.clear();
                rows.extend((0..batch).filter(|one| step < lengths[*one]));
                let part = &entering[(step - first) * batch * each..][..batch * each];
                self.step(&rows, part, &mut states);
                std::mem::swap(&mut states.h, &mut states.next);
                for one in &rows {
                    let now = &states.h[one * wide..][..self.hidden];
                    made(step, *one, now);
                    if lengths[*one] == step + 1 {
                        let here = one * self.hidden..(one + 1) * self.hidden;
                        h[here.clone()].copy_from_slice(now);
                        c[here].copy_from_slice(&states.c[one * wide..][..self.hidden]);
                    }
                }
            }
        }
        true
    }

    /// What these rows of `x` come to, with the bias.
    fn enter(&self, x: &[f32], rows: &[usize], entering: &mut [f32]) {
        let lanes = self.kind.lanes();
        let each = self.vectors * lanes;
        let weights_block = self.input * GATES_MAX * lanes;
        assert!(rows.len() * each <= entering.len());
        let groups = self.vectors / GATES_MAX;
        let mut group = 0;
        while group < groups {
            let at_once = if rows.len() == 1 && group + 1 < groups { 2 } else { 1 };
            let at = group * GATES_MAX * lanes;
            let job = Job {
                rows: rows.as_ptr(),
                input: x.as_ptr(),
                input_row: self.input,
                terms: self.input,
                weights: self.entering[group * weights_block..].as_ptr(),
                weights_block,
                part_block: GATES_MAX * lanes,
                part: self.bias[at..].as_ptr(),
                part_row: 0,
                output: std::ptr::null_mut(),
                output_row: each,
                ..self.nothing()
            };
            for (first, tile) in self.tiles(PRODUCT, rows.len(), at_once) {
                // SAFETY: the tile's rows are of `rows`, which are inside of `x` (`run` looked), and of
                // `entering`, which is as long; weights and bias are of whole groups (`new`).
                unsafe {
                    tile(&Job {
                        rows: rows.as_ptr().add(first),
                        output: entering.as_mut_ptr().add(first * each + at),
                        ..job
                    });
                }
            }
            group += at_once;
        }
    }

    /// One step of these sequences, from `states.h` to `states.next`.
    fn step(&self, rows: &[usize], part: &[f32], states: &mut States) {
        match self.cell {
            Cell::Rnn => self.blocks::<1>(RNN, rows, part, states),
            Cell::Lstm => self.blocks::<4>(LSTM, rows, part, states),
            Cell::Gru { linear_before_reset: true } => {
                self.blocks::<3>(GRU_LINEAR, rows, part, states);
            }
            Cell::Gru { linear_before_reset: false } => {
                self.blocks::<2>(GRU_GATES, rows, part, states);
                self.blocks::<1>(GRU_STATE, rows, part, states);
            }
        }
    }

    fn blocks<const G: usize>(&self, end: u8, rows: &[usize], part: &[f32], states: &mut States) {
        let (lanes, wide) = (self.kind.lanes(), states.wide);
        let blocks = wide / lanes;
        let gates = self.cell.gates();
        let weights = if end == GRU_STATE { &self.reset } else { &self.state };
        let weights_block = self.hidden * G * lanes;
        let first_gate = if end == GRU_STATE { 2 } else { 0 };
        let mut block = 0;
        while block < blocks {
            let at_once = if rows.len() == 1 && block + 1 < blocks { 2 } else { 1 };
            let at = block * lanes;
            let (h, next, left) =
                (states.h.as_ptr(), states.next.as_mut_ptr(), states.left.as_mut_ptr());
            // SAFETY: a whole vector of each sequence's state is at `at`, which is below `wide`, and
            // `part` has `vectors` of them for each (`run` and `enter`), the block's gates among them;
            // the weights are whole blocks (`new`), as are peepholes where there are some. `rows`
            // are sequences. What is written, the next state or what is left of it, is no input.
            unsafe {
                let job = Job {
                    rows: rows.as_ptr(),
                    input: if end == GRU_STATE { left.cast_const() } else { h },
                    input_row: wide,
                    terms: self.hidden,
                    weights: weights.as_ptr().add(block * weights_block),
                    weights_block,
                    part: part.as_ptr().add((block * gates + first_gate) * lanes),
                    part_row: self.vectors * lanes,
                    part_block: gates * lanes,
                    output: if end == GRU_GATES { left.add(at) } else { next.add(at) },
                    output_row: wide,
                    h: h.add(at),
                    c: states.c.as_mut_ptr().add(at),
                    update: states.update.as_mut_ptr().add(at),
                    state_bias: self.state_bias.as_ptr().add(at),
                    peepholes: match self.peepholes.is_empty() {
                        true => std::ptr::null(),
                        false => self.peepholes.as_ptr().add(at),
                    },
                    ..self.nothing()
                };
                for (first, tile) in self.tiles(end, rows.len(), at_once) {
                    tile(&Job { rows: rows.as_ptr().add(first), ..job });
                }
            }
            block += at_once;
        }
    }

    /// A job with what all have.
    fn nothing(&self) -> Job {
        Job {
            rows: std::ptr::null(),
            input: std::ptr::null(),
            input_row: 0,
            terms: 0,
            weights: std::ptr::null(),
            weights_block: 0,
            part: std::ptr::null(),
            part_row: 0,
            part_block: 0,
            output: std::ptr::null_mut(),
            output_row: 0,
            h: std::ptr::null(),
            c: std::ptr::null_mut(),
            update: std::ptr::null_mut(),
            state_bias: std::ptr::null(),
            peepholes: std::ptr::null(),
            peepholes_gate: self.state_bias.len(),
            clip: self.clip,
            input_forget: self.input_forget,
        }
    }

    /// The tiles that so many rows are computed in: the first row of each.
    fn tiles(
        &self,
        end: u8,
        rows: usize,
        blocks: usize,
    ) -> impl Iterator<Item = (usize, Compute)> + use<> {
        let (tiles, most) = self.kind.recurrent(end);
        let mut first = 0;
        std::iter::from_fn(move || {
            let (place, size) = match (rows - first).min(most) {
                0 => return None,
                1 if blocks == 2 => (4, 1),
                1 => (0, 1),
                2 | 3 => (1, 2),
                4 | 5 => (2, 4),
                _ => (3, ROWS_MAX),
            };
            first += size;
            Some((first - size, tiles[place]))
        })
    }
}

/// The states of all sequences, in whole vectors.
struct States {
    wide: usize,
    h: Vec<f32>,
    next: Vec<f32>,
    c: Vec<f32>,
    /// What the reset gate left of `h`.
    left: Vec<f32>,
    update: Vec<f32>,
}

fn padded(states: &[f32], hidden: usize, wide: usize) -> Vec<f32> {
    let mut padded = vec![0.0; states.len() / hidden * wide];
    for (to, from) in padded.chunks_exact_mut(wide).zip(states.chunks_exact(hidden)) {
        to[..hidden].copy_from_slice(from);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of floats that are the same each time, so many that lie between -1 and 1.
    fn floats(count: usize, seed: &mut u32) -> Vec<f32> {
        let next = || {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (*seed >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn all_vectors_of_this_processor_come_to_the_same_states() {
        let mut seed = 1;
        let cells = [
            Cell::Rnn,
            Cell::Lstm,
            Cell::Gru { linear_before_reset: false },
            Cell::Gru { linear_before_reset: true },
        ];
        let sizes: &[usize] = if cfg!(miri) { &[1, 9] } else { &[1, 9, 16, 35] };
        for (cell, hidden) in cells.iter().flat_map(|cell| sizes.iter().map(|it| (*cell, *it))) {
            let (input, batch, steps) = (5, if cfg!(miri) { 3 } else { 13 }, 4);
            let wide = cell.gates() * hidden;
            let weights = floats(wide * input, &mut seed);
            let state_weights = floats(wide * hidden, &mut seed);
            let (bias, peepholes) = (floats(2 * wide, &mut seed), floats(3 * hidden, &mut seed));
            let layer = Layer {
                cell,
                clip: 3.0,
                input_forget: false,
                input,
                hidden,
                weights: &weights,
                state_weights: &state_weights,
                bias: Some(&bias),
                peepholes: Some(&peepholes),
            };
            let x = floats(steps * batch * input, &mut seed);
            let lengths: Vec<usize> = (0..batch).map(|one| one % (steps + 1)).collect();
            let first = floats(batch * hidden, &mut seed);
            let states = Kind::all().into_iter().map(|kind| {
                let (mut h, mut c) = (first.clone(), first.clone());
                let row = |step: usize, one: usize| step * batch + one;
                let sequences = Sequences { x: &x, lengths: &lengths, row: &row };
                let recurrence = Recurrence::new(kind, &layer).unwrap();
                assert!(recurrence.run(&sequences, &mut h, &mut c, &|| true, &mut |_, _, _| {}));
                (kind, [h, c].concat())
            });
            let states: Vec<_> = states.collect();
            for (kind, found) in &states {
                for (found, expected) in found.iter().zip(&states[0].1) {
                    assert!((found - expected).abs() < 1e-5, "{kind:?} {cell:?} {hidden}");
                }
            }
        }
    }
}
