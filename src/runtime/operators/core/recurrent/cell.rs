//! One step of a recurrent layer for one sequence: what comes in and the state before make the next.

use super::{Function, Kind};

/// What one direction of a layer does at each step, its weights aside.
pub(super) struct Cell<'l> {
    pub(super) kind: Kind,
    pub(super) functions: &'l [Function],
    /// What goes into a function is kept between this and its negative.
    pub(super) clip: Option<f32>,
    /// The forget gate is what the input gate leaves.
    pub(super) input_forget: bool,
    pub(super) hidden: usize,
    /// For each gate what is added to the input's part, then the same for the state's.
    pub(super) bias: Option<Vec<f32>>,
    pub(super) peepholes: Option<Vec<f32>>,
}

/// What the gates of one sequence are made of at one step.
#[derive(Clone, Copy)]
pub(super) struct Parts<'s> {
    /// The input's part, a block for each gate.
    pub(super) x: &'s [f32],
    /// The state's part, with a block for each gate whose weights the state meets as it is.
    pub(super) state: &'s [f32],
    /// The part of the state that was reset before it met its weights.
    pub(super) reset: &'s [f32],
}

impl Cell<'_> {
    fn biases(&self, gate: usize, at: usize) -> [f32; 2] {
        let place = gate * self.hidden + at;
        let half = self.kind.gates() * self.hidden;
        self.bias.as_ref().map_or([0.0; 2], |bias| [bias[place], bias[half + place]])
    }

    fn bounded(&self, value: f32) -> f32 {
        self.clip.map_or(value, |clip| value.clamp(-clip, clip))
    }

    /// The value of a gate, with `more` beside its two parts.
    fn gate(&self, parts: Parts<'_>, gate: usize, at: usize, function: usize, more: f32) -> f32 {
        let place = gate * self.hidden + at;
        let [own, others] = self.biases(gate, at);
        let sum = parts.x[place] + parts.state[place] + (own + others) + more;
        self.functions[function].of(self.bounded(sum))
    }

    /// What the reset gate leaves of the state `h`.
    pub(super) fn reset(&self, parts: Parts<'_>, h: &[f32], left: &mut [f32]) {
        for (at, (h, left)) in h.iter().zip(left).enumerate() {
            *left = self.gate(parts, 1, at, 0, 0.0) * h;
        }
    }

    /// The next state, in the place of the one before.
    pub(super) fn step(&self, parts: Parts<'_>, h: &mut [f32], c: &mut [f32]) {
        match self.kind {
            Kind::Rnn => {
                for (at, h) in h.iter_mut().enumerate() {
                    *h = self.gate(parts, 0, at, 0, 0.0);
                }
            }
            Kind::Gru { linear_before_reset } => {
                for (at, h) in h.iter_mut().enumerate() {
                    let place = 2 * self.hidden + at;
                    let [own, others] = self.biases(2, at);
                    let state = match linear_before_reset {
                        true => self.gate(parts, 1, at, 0, 0.0) * (parts.state[place] + others),
                        false => parts.reset[at] + others,
                    };
                    let new = self.functions[1].of(self.bounded(parts.x[place] + own + state));
                    let kept = self.gate(parts, 0, at, 0, 0.0);
                    *h = (1.0 - kept) * new + kept * *h;
                }
            }
            Kind::Lstm => {
                for (at, (h, c)) in h.iter_mut().zip(c).enumerate() {
                    let peephole = |gate: usize, c: f32| {
                        let peepholes = self.peepholes.as_ref();
                        peepholes.map_or(0.0, |weights| weights[gate * self.hidden + at] * c)
                    };
                    let input = self.gate(parts, 0, at, 0, peephole(0, *c));
                    let forget = match self.input_forget {
                        true => 1.0 - input,
                        false => self.gate(parts, 2, at, 0, peephole(2, *c)),
                    };
                    let new = self.gate(parts, 3, at, 1, 0.0);
                    *c = forget * *c + input * new;
                    let output = self.gate(parts, 1, at, 0, peephole(1, *c));
                    *h = output * self.functions[2].of(*c);
                }
            }
        }
    }
}
