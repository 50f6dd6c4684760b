//! Which buffer each value of a program lies in: a few of them serve all, one after the other.

/// Gives each value a buffer that is free from the step that makes it to the last that takes it: the
/// buffer of each, and how large each buffer is.
///
/// `steps` are what each takes and makes, by the values' places in `sizes`. The first `inputs` values are
/// there before the first step, and `outputs` stay to the end.
pub(super) fn place(
    steps: &[(&[usize], usize)],
    sizes: &[usize],
    inputs: usize,
    outputs: &[usize],
) -> (Vec<usize>, Vec<usize>) {
    let mut last = vec![0; sizes.len()];
    for (at, (taken, _)) in steps.iter().enumerate() {
        taken.iter().for_each(|value| last[*value] = at);
    }
    outputs.iter().for_each(|value| last[*value] = usize::MAX);
    let mut buffers: Vec<usize> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut take = |size: usize, free: &mut Vec<usize>| {
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
    let mut places = vec![0; sizes.len()];
    for (place, size) in places.iter_mut().zip(sizes).take(inputs) {
        *place = take(*size, &mut free);
    }
    for (at, (taken, made)) in steps.iter().enumerate() {
        places[*made] = take(sizes[*made], &mut free);
        let mut done = taken.to_vec();
        done.sort_unstable();
        done.dedup();
        free.extend(done.iter().filter(|value| last[**value] == at).map(|value| places[*value]));
    }
    (places, buffers)
}
