//! Products of rows with the weights of a recurrent layer, in floats or in integers of 8 bits.

use tract_onnx::tract_core::internal::{TractResult, ensure};

/// Weights as they are multiplied with: a row of them for each value that goes in.
#[derive(Debug)]
pub(super) enum Weights {
    Floats(Vec<f32>),
    /// Integers less their zero point, and the scale of each column.
    Steps {
        steps: Vec<i16>,
        scales: Vec<f32>,
    },
}

impl Weights {
    /// From `[outputs, inputs]`, as ONNX's own layers have them; of its rows those in `rows`.
    pub(super) fn turned(all: &[f32], rows: std::ops::Range<usize>, inputs: usize) -> Weights {
        let columns = rows.len();
        let mut turned = vec![0.0; inputs * columns];
        for (column, row) in rows.enumerate() {
            let values = &all[row * inputs..(row + 1) * inputs];
            for (input, value) in values.iter().enumerate() {
                turned[input * columns + column] = *value;
            }
        }
        Weights::Floats(turned)
    }

    /// From `[inputs, outputs]` of 8 bits with one scale and zero point, or with one for each column.
    pub(super) fn steps(
        all: impl Iterator<Item = i16>,
        zero_points: &[i16],
        scales: &[f32],
        columns: usize,
    ) -> TractResult<Weights> {
        let fit = |length: usize| length == 1 || length == columns;
        ensure!(
            fit(zero_points.len()) && fit(scales.len()),
            "it has {} zero points and {} scales for {columns} columns",
            zero_points.len(),
            scales.len()
        );
        let zero = |column: usize| zero_points[column % zero_points.len()];
        let steps = all.enumerate().map(|(place, value)| value - zero(place % columns)).collect();
        let scales = (0..columns).map(|column| scales[column % scales.len()]).collect();
        Ok(Weights::Steps { steps, scales })
    }

    /// Adds to `out` what the rows of `left` make with these weights.
    pub(super) fn add(&self, out: &mut [f32], left: &[f32], inputs: usize) {
        if inputs == 0 || out.is_empty() {
            return;
        }
        let rows = left.len() / inputs;
        let columns = out.len() / rows.max(1);
        match self {
            Weights::Floats(weights) => {
                for (out, left) in out.chunks_exact_mut(columns).zip(left.chunks_exact(inputs)) {
                    floats(out, left, weights);
                }
            }
            Weights::Steps { steps, scales } => {
                let (quantised, scale) = quantised(left);
                let mut sums = vec![0_i32; columns];
                let lefts = quantised.chunks_exact(inputs);
                for (out, left) in out.chunks_exact_mut(columns).zip(lefts) {
                    sums.fill(0);
                    for (value, weights) in left.iter().zip(steps.chunks_exact(columns)) {
                        for (sum, weight) in sums.iter_mut().zip(weights) {
                            *sum = sum.wrapping_add(i32::from(*value) * i32::from(*weight));
                        }
                    }
                    for ((out, sum), column) in out.iter_mut().zip(&sums).zip(scales) {
                        *out += *sum as f32 * (scale * column);
                    }
                }
            }
        }
    }
}

/// One row: four values at a time, so that a sum is read and written once for four products.
fn floats(out: &mut [f32], left: &[f32], weights: &[f32]) {
    let columns = out.len();
    let mut fours = left.chunks_exact(4);
    let mut rest = weights;
    for values in fours.by_ref() {
        let (four, after) = rest.split_at(4 * columns);
        rest = after;
        let (one, more) = four.split_at(columns);
        let (two, more) = more.split_at(columns);
        let (three, last) = more.split_at(columns);
        let rows = one.iter().zip(two).zip(three.iter().zip(last));
        for (out, ((one, two), (three, last))) in out.iter_mut().zip(rows) {
            *out += (values[0] * one + values[1] * two) + (values[2] * three + values[3] * last);
        }
    }
    for (value, weights) in fours.remainder().iter().zip(rest.chunks_exact(columns)) {
        for (out, weight) in out.iter_mut().zip(weights) {
            *out += value * weight;
        }
    }
}

/// The values in steps of 8 bits less their zero point, and the step: what `DynamicQuantizeLinear`
/// makes of them.
fn quantised(values: &[f32]) -> (Vec<i16>, f32) {
    let least = values.iter().copied().fold(0.0_f32, f32::min);
    let most = values.iter().copied().fold(0.0_f32, f32::max);
    let scale = if most > least { (most - least) / 255.0 } else { 1.0 };
    let zero = (-least / scale).clamp(0.0, 255.0).round_ties_even();
    let step = |value: &f32| {
        let step = ((value / scale).round_ties_even() + zero).clamp(0.0, 255.0);
        (step - zero) as i16
    };
    (values.iter().map(step).collect(), scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_multiplied_and_added_whatever_their_number() {
        for inputs in 1..=9_usize {
            let left: Vec<f32> = (0..2 * inputs).map(|at| at as f32).collect();
            let all: Vec<f32> = (0..3 * inputs).map(|at| (at % 5) as f32).collect();
            let mut out = vec![1.0; 6];
            Weights::turned(&all, 0..3, inputs).add(&mut out, &left, inputs);
            for (place, found) in out.iter().enumerate() {
                let (row, column) = (place / 3, place % 3);
                let sum: f32 =
                    (0..inputs).map(|at| left[row * inputs + at] * all[column * inputs + at]).sum();
                assert_eq!(*found, 1.0 + sum);
            }
        }
    }

    #[test]
    fn steps_give_the_product_within_a_step() {
        let weights = Weights::steps([10, -20, 30, 40].into_iter(), &[2], &[0.5, 0.25], 2).unwrap();
        let mut out = vec![0.0; 2];
        weights.add(&mut out, &[1.0, -1.0], 2);
        for (found, exact) in out.iter().zip([8.0 * 0.5 - 28.0 * 0.5, -22.0 * 0.25 - 38.0 * 0.25]) {
            assert!((found - exact).abs() < 0.1, "{found} {exact}");
        }
    }
}
