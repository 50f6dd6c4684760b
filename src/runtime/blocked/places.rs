//! Which buffer each value of a program lies in: a few of them serve all, one after the other.

use super::program::{Value, Work};

/// Gives each value a buffer that is free from the step that makes it to the last that takes it, and
/// gives how many elements each buffer has.
///
/// `steps` are what each takes and makes, by the values' places. The first `inputs` values are there
/// before the first step, and `outputs` stay to the end.
pub(super) fn place<W: Work>(
    steps: &[(&[usize], usize)],
    values: &mut [Value<W>],
    inputs: usize,
    outputs: &[usize],
) -> Vec<usize> {
    let mut last = vec![0; values.len()];
    for (at, (taken, _)) in steps.iter().enumerate() {
        taken.iter().for_each(|value| last[*value] = at);
    }
    outputs.iter().for_each(|value| last[*value] = usize::MAX);
    let mut buffers: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut take = |value: &Value<W>, free: &mut Vec<usize>| {
        let size = value.map.floats() + W::SLACK;
        // The one that is large enough with least to spare, or else the largest, which grows.
        let fits = |buffer: &usize| size <= buffers[*buffer];
        let best = free.iter().copied().filter(fits).min_by_key(|buffer| buffers[*buffer]);
        let best = best.or_else(|| free.iter().copied().max_by_key(|buffer| buffers[*buffer]));
        let buffer = best.unwrap_or_else(|| {
            buffers.push(0);
            buffers.len() - 1
        });
        free.retain(|one| *one != buffer);
        buffers[buffer] = buffers[buffer].max(size);
        buffer
    };
    for value in values.iter_mut().take(inputs) {
        value.buffer = take(value, &mut free);
    }
    for (at, (taken, made)) in steps.iter().enumerate() {
        values[*made].buffer = take(&values[*made], &mut free);
        let mut done = taken.to_vec();
        done.sort_unstable();
        done.dedup();
        let spent = done.iter().filter(|value| last[**value] == at);
        free.extend(spent.map(|value| values[*value].buffer));
    }
    buffers
}
