//! Steps of a stretch that come to one: what exporters write as several operators one behind the other.

use super::graph::{Graph, Operator};
use crate::runtime::kernels::Activation;

impl Graph {
    /// Joins each step to the one before it, where both come to one and nobody else takes what is
    /// between them; what is left without use is no more than a name then.
    pub(super) fn join_steps(&mut self) {
        let uses = self.uses();
        for at in 0..self.nodes.len() {
            let [input] = *self.nodes[at].inputs.as_slice() else { continue };
            let Some(before) = input.checked_sub(self.inputs.len()) else { continue };
            let first = &self.nodes[before];
            let (1, [from]) = (uses[input], first.inputs.as_slice()) else { continue };
            let from = *from;
            if let Some(earlier) = self.before_spread(before, at) {
                self.nodes[before].output = self.value(from);
                let spread = std::mem::replace(&mut self.nodes[before].operator, earlier);
                self.nodes[at].operator = spread;
                continue;
            }
            let joined = joined(&self.nodes[before].operator, &self.nodes[at].operator);
            if let Some(joined) = joined {
                self.nodes[at].operator = joined;
                self.nodes[at].inputs = vec![from];
                self.nodes[before].inputs.clear();
            }
        }
    }

    /// What a step behind a spread comes to before it, where a convolution makes what is spread.
    fn before_spread(&self, before: usize, at: usize) -> Option<Operator> {
        let Operator::Spread(times) = self.nodes[before].operator else { return None };
        let channels = self.value(*self.nodes[before].inputs.first()?)[0];
        let taps = times[0] * times[1];
        let each = |values: &[f32], padding: f32| {
            let mut values = values.to_vec();
            values.resize(channels / taps, padding);
            values.repeat(taps)
        };
        match &self.nodes[at].operator {
            Operator::Scale(factors, terms) => {
                Some(Operator::Scale(each(factors, 1.0), each(terms, 0.0)))
            }
            Operator::Activation(activation) => Some(Operator::Activation(*activation)),
            Operator::Convolution(_)
            | Operator::Sum
            | Operator::Product
            | Operator::Gate
            | Operator::Pool(_, _)
            | Operator::Concat
            | Operator::Slice(_)
            | Operator::Enlarge(_)
            | Operator::Spread(_) => None,
        }
    }
}

/// What the second makes of what the first makes, as one operator.
fn joined(first: &Operator, second: &Operator) -> Option<Operator> {
    match (first, second) {
        (Operator::Scale(factors, terms), Operator::Scale(more, moved)) => {
            let both = factors.iter().zip(more).map(|(one, other)| one * other);
            let terms = terms.iter().zip(more.iter().zip(moved));
            let terms = terms.map(|(term, (factor, more))| term * factor + more);
            Some(Operator::Scale(both.collect(), terms.collect()))
        }
        (
            Operator::Activation(Activation::Clip(low, high)),
            Operator::Activation(Activation::Clip(least, most)),
        ) => Some(Operator::Activation(Activation::Clip(
            low.max(*least).min(*most),
            high.max(*least).min(*most),
        ))),
        (
            Operator::Activation(Activation::HardSwish(factor, term)),
            Operator::Scale(factors, terms),
        ) => {
            let (more, moved) = (even(factors)?, even(terms)?);
            let swish = Activation::HardSwish(factor * more, term * more + moved);
            Some(Operator::Activation(swish))
        }
        (_, _) => None,
    }
}

/// The one value that all of these are.
fn even(values: &[f32]) -> Option<f32> {
    let first = *values.first()?;
    values.iter().all(|value| *value == first).then_some(first)
}
