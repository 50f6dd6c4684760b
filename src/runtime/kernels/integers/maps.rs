//! What else is done to whole maps of codes: sums of two, the largest under a window, the mean of each channel.

use super::super::crew::{Crew, Output};
use super::super::map::Map;
use super::super::window::Window;
use super::kind::Kind;
use super::lanes::{Code, Counts, LANES, Sum};

/// What one row of a sum is computed from and into.
pub(super) struct Job {
    one: *const u8,
    other: *const u8,
    output: *mut u8,
    width: usize,
    sum: Sum,
}

/// Computes the sum of two maps; frames stay as they are.
///
/// # Panics
/// When the maps are not alike, or a buffer is shorter than its map.
pub(in crate::runtime) fn sum(
    kind: Kind,
    [(one, codes), (other, others)]: [(&Map, &[u8]); 2],
    sum: Sum,
    (to, output): (&Map, &mut [u8]),
    crew: &dyn Crew,
) {
    for (map, codes) in [(one, codes), (other, others), (to, &*output)] {
        let extents = (map.channels, map.height, map.width, map.lanes);
        assert!(extents == (to.channels, to.height, to.width, LANES));
        assert!(map.floats() <= codes.len());
    }
    let compute = kind.sum();
    Output::new(output).in_parts(crew, to.blocks(), |block, output| {
        for row in 0..to.height {
            // SAFETY: buffers are as long as was found above; a part writes the rows of its own block.
            unsafe {
                compute(&Job {
                    one: codes.as_ptr().add(block * one.block() + one.at(row, 0)),
                    other: others.as_ptr().add(block * other.block() + other.at(row, 0)),
                    output: output.at(block * to.block() + to.at(row, 0), to.width * LANES),
                    width: to.width,
                    sum,
                });
            }
        }
    });
}

/// # Safety
/// The processor has these vectors, and what the job points to is there: `width` vectors of maps.
#[inline(always)]
pub(super) unsafe fn row<V: Counts>(job: &Job) {
    for at in (0..job.width).map(|pixel| pixel * LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let (one, other) = (V::codes(job.one.add(at)), V::codes(job.other.add(at)));
            V::store(V::summed(one, other, job.sum), job.output.add(at));
        }
    }
}

/// Takes the largest code under a window, of those inside of the image; frames stay as they are.
///
/// # Panics
/// When a buffer is shorter than its map.
pub(in crate::runtime) fn largest(
    (from, input): (&Map, &[u8]),
    window: Window,
    (to, output): (&Map, &mut [u8]),
) {
    let blocks = output.chunks_exact_mut(to.block()).zip(input.chunks_exact(from.block()));
    for (output, input) in blocks {
        for row in 0..to.height {
            let rows = inside(&window, 0, row, from.height);
            for column in 0..to.width {
                let columns = inside(&window, 1, column, from.width);
                let mut most = [0_u8; LANES];
                for row in rows.clone().step_by(window.dilation[0]) {
                    let line = &input[from.at(row, 0)..][..from.width * LANES];
                    let (pixels, _) = line.as_chunks::<LANES>();
                    for pixel in columns.clone().step_by(window.dilation[1]) {
                        for (most, code) in most.iter_mut().zip(&pixels[pixel]) {
                            *most = (*most).max(*code);
                        }
                    }
                }
                output[to.at(row, column)..][..LANES].copy_from_slice(&most);
            }
        }
    }
}

/// The places of an image under the window of one place of the output, along an axis; with holes,
/// those from the first on in steps.
fn inside(window: &Window, axis: usize, place: usize, extent: usize) -> std::ops::Range<usize> {
    let (padding, dilation) = (window.padding[axis], window.dilation[axis]);
    let start = place * window.stride[axis];
    let before = padding.saturating_sub(start).div_ceil(dilation);
    let behind = start + (window.size[axis] - 1) * dilation + 1;
    let first = start + before * dilation;
    first.saturating_sub(padding)..behind.saturating_sub(padding).min(extent)
}

/// Takes the mean of each channel, whose count is so many steps from its zero point.
///
/// # Panics
/// When a buffer is shorter than its map.
pub(in crate::runtime) fn mean(
    (from, input): (&Map, &[u8]),
    (zero, step, code): (u8, f32, Code),
    (to, output): (&Map, &mut [u8]),
) {
    let none = (from.height * from.width) as i32 * i32::from(zero);
    let blocks = output.chunks_exact_mut(to.block()).zip(input.chunks_exact(from.block()));
    for (output, input) in blocks {
        let mut counts = [0_i32; LANES];
        for row in 0..from.height {
            let line = &input[from.at(row, 0)..][..from.width * LANES];
            for pixel in line.as_chunks::<LANES>().0 {
                for (count, code) in counts.iter_mut().zip(pixel) {
                    *count += i32::from(*code);
                }
            }
        }
        for (count, to) in counts.iter().zip(&mut output[to.at(0, 0)..][..LANES]) {
            *to = code.code(count.wrapping_sub(none) as f32 * step) as u8;
        }
    }
}
