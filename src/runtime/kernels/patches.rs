//! Convolutions of three by three in patches: transformed ones take fewer products, each place of all patches for itself.

use super::activation::Activation;
use super::aligned::Aligned;
use super::convolution::{Convolution, GROUP, Job as Product};
use super::crew::{Crew, Output};
use super::families::Family;
use super::kind::Kind;
use super::map::Map;
use super::window::Window;
use super::winograd::{
    GROUP_MAX, Gather, LANES_MAX, PLACES_MAX, Scatter, TAPS, places, transformed,
};
use std::cell::RefCell;
use std::ops::Range;

/// Floats of patches that were transformed, and of their sums, of a stretch that goes through all channels
/// before the next one does: 320 KiB, which a second-level cache holds beside weights and the input.
const STRETCH_FLOATS_MAX: usize = 80 << 10;

/// Parts for each thread: so many that those who are done earlier find something to do.
const PARTS_EACH: usize = 2;

/// Patches from which on reading the weights of a place costs little beside multiplying by them.
const PATCHES_MIN: usize = 24;

/// The same of large patches, whose weights are twice those of small ones: those of fewer take a fortieth less time,
/// which is not worth the room.
const LARGE_PATCHES_MIN: usize = 32;

/// Channels on either side from which on the transforms cost little beside the products.
const CHANNELS_MIN: usize = 24;

/// Floats of weights of large patches at most, which are four times those of the taps: 16 MiB. Those of
/// small ones are not twice as many.
const WEIGHTS_FLOATS_MAX: usize = 4 << 20;

/// Floats between those of a place and those of the next, or all of them would begin in the same set of
/// a cache.
const APART: usize = 16;

thread_local! {
    /// Room for a stretch, from one convolution to the next.
    static ROOM: RefCell<Aligned> = RefCell::default();
}

/// How an output is cut into what one patch of the input makes.
#[derive(Debug)]
pub(super) struct Patches {
    /// Rows and columns of what one patch makes: two, or four, which take fewer products and more
    /// weights.
    side: usize,
    down: usize,
    right: usize,
    /// Patches of a stretch.
    stretch: usize,
}

impl Patches {
    /// None where tiles of pixels are quicker.
    pub(super) fn of(kind: Kind, window: &Window, input: &Map, output: &Map) -> Option<Patches> {
        let is_it = window.size == [TAPS; 2]
            && (window.stride, window.dilation) == ([1, 1], [1, 1])
            && CHANNELS_MIN <= input.channels.min(output.channels)
            && input.lanes == kind.lanes();
        let extents = |side: usize| (output.height.div_ceil(side), output.width.div_ceil(side));
        let pays = |side: &usize| {
            let (down, right) = extents(*side);
            let weights = places(*side) * input.channels * output.channels;
            match side {
                2 => PATCHES_MIN <= down * right,
                _ => LARGE_PATCHES_MIN <= down * right && weights <= WEIGHTS_FLOATS_MAX,
            }
        };
        let side = [4, 2].into_iter().find(pays).filter(|_| is_it && Family::Patches.is_on())?;
        let (down, right) = extents(side);
        let patches = down * right;
        let inputs = input.blocks() * input.lanes;
        let most = STRETCH_FLOATS_MAX / (places(side) * (inputs + GROUP * input.lanes));
        let stretch = patches.div_ceil(patches.div_ceil(most.max(kind.pixels())));
        Some(Patches { side, down, right, stretch })
    }

    pub(super) fn count(&self) -> usize {
        self.down * self.right
    }

    /// How often weights of one tap are there.
    pub(super) fn places(&self) -> usize {
        places(self.side)
    }

    /// The weights transformed: group by group of output blocks, place by place, and in each as a
    /// convolution of one tap has them, so that a stretch reads them from the first to the last.
    pub(super) fn packed(&self, kind: Kind, input: &Map, output: &Map, weights: &[f32]) -> Aligned {
        let lanes = kind.lanes();
        let (padded, inputs) = (output.blocks() * lanes, input.blocks() * lanes);
        let (group, of_channel) = (GROUP * lanes, input.channels * TAPS * TAPS);
        let mut packed = Aligned::zeros(places(self.side) * padded * inputs);
        for (number, weights) in weights.chunks(group * of_channel).enumerate() {
            let start = number * group;
            let wide = group.min(padded - start); // the last group may be of one block
            for given in 0..input.channels {
                let mut taps = [[0.0; GROUP_MAX]; TAPS * TAPS];
                for (lane, weights) in weights.chunks_exact(of_channel).enumerate() {
                    let weights = &weights[given * TAPS * TAPS..][..TAPS * TAPS];
                    for (tap, weight) in taps.iter_mut().zip(weights) {
                        tap[lane] = f64::from(*weight);
                    }
                }
                let made = transformed(&taps, self.side);
                for (place, made) in made.iter().take(places(self.side)).enumerate() {
                    let at = (start * places(self.side) + place * wide) * inputs + given * wide;
                    packed[at..at + wide].copy_from_slice(&made[..wide]);
                }
            }
        }
        packed
    }

    /// Computes the output of a convolution, whose frame stays as it is, with the crew.
    ///
    /// # Safety
    /// Input, residual and output are as long as their maps, and weights are those that
    /// [`packed`](Self::packed) makes, or as many.
    pub(super) unsafe fn run(
        &self,
        of: &Convolution,
        (weights, input, residual): (&[f32], &[f32], Option<&[f32]>),
        output: &mut [f32],
        crew: &dyn Crew,
    ) {
        let patches = self.count();
        let groups = of.output.blocks().div_ceil(GROUP);
        // Each stretch reads all weights, and each split of it transforms its patches again.
        let (stretches, splits) = match crew.size() {
            1 => (patches.div_ceil(self.stretch), 1),
            size => {
                let parts = PARTS_EACH * size;
                let stretch = patches.div_ceil(parts).max(2 * of.kind.pixels());
                let stretches = patches.div_ceil(self.stretch.min(stretch));
                (stretches, parts.div_ceil(stretches).clamp(1, groups))
            }
        };
        Output::new(output).in_parts(crew, stretches * splits, |part, output| {
            let (at, split) = (part / splits, part % splits);
            let some = patches * at / stretches..patches * (at + 1) / stretches;
            let groups = groups * split / splits..groups * (split + 1) / splits;
            // SAFETY: the caller's promise; no other part has these groups of these patches.
            unsafe { self.part(of, some, groups, (weights, input, residual), output) }
        });
    }

    /// Some groups of channels for some patches.
    ///
    /// # Safety
    /// As [`run`](Self::run), and nobody else writes these groups of these patches meanwhile.
    unsafe fn part(
        &self,
        of: &Convolution,
        patches: Range<usize>,
        groups: Range<usize>,
        (weights, input, residual): (&[f32], &[f32], Option<&[f32]>),
        output: &Output<'_>,
    ) {
        let (lanes, places) = (of.kind.lanes(), places(self.side));
        let (blocks, many) = (of.input.blocks(), patches.len());
        let inputs = blocks * lanes;
        let place = many * inputs + APART;
        let sums_place = many * GROUP * lanes + APART;
        let zeros = [0.0_f32; GROUP * LANES_MAX];
        ROOM.with_borrow_mut(|room| {
            let floats = places * (place + sums_place);
            if room.len() < floats {
                *room = Aligned::zeros(floats);
            }
            let (made, sums) = room.split_at_mut(places * place);
            let (made, sums) = (made.as_mut_ptr(), sums.as_mut_ptr());
            // SAFETY: the room has a vector for each place, block and patch, twice: of the input's blocks,
            // and of a group's. A tile goes over some of the patches of one place, as over pixels of a
            // row; weights of a place and a group are as `packed` has them, as many as the caller promises;
            // biases are a group's zeros. What is left is the caller's promise.
            unsafe {
                self.gather(of, patches.clone(), input, (made, place));
                for group in groups {
                    let wide = GROUP.min(of.output.blocks() - group * GROUP);
                    let channel = group * GROUP * lanes;
                    let weights = weights.as_ptr().add(channel * places * inputs);
                    let computes = of.kind.convolutions(wide, 1, false);
                    let mut product = Product {
                        input: made,
                        weights,
                        bias: zeros.as_ptr(),
                        output: sums,
                        residual: std::ptr::null(),
                        blocks,
                        block: many * lanes,
                        rows: 1,
                        row: 0,
                        columns: 1,
                        column: 0,
                        stride: lanes,
                        output_block: many * lanes,
                        residual_block: 0,
                        before: Activation::NONE,
                        after: Activation::NONE,
                        last: lanes,
                        last_input: of.input.channels - (blocks - 1) * lanes,
                        end: of.kind.convolution_end(),
                    };
                    for at in 0..places {
                        product.weights = weights.add(at * wide * lanes * inputs);
                        let (mut first, mut chunks) = (0, many.div_ceil(of.kind.pixels()));
                        while first < many {
                            let pixels = (many - first).div_ceil(chunks);
                            product.input = made.add(at * place + first * lanes);
                            product.output = sums.add(at * sums_place + first * lanes);
                            computes[pixels](&product);
                            first += pixels;
                            chunks -= 1;
                        }
                    }
                    for block in 0..wide {
                        let sums = sums.add(block * many * lanes).cast_const();
                        let block = group * GROUP + block;
                        self.scatter(
                            of,
                            patches.clone(),
                            block,
                            (sums, sums_place),
                            residual,
                            output,
                        );
                    }
                }
            }
        });
    }

    /// Transforms some patches of all blocks.
    ///
    /// # Safety
    /// The input is as long as its map, and there is room for a vector of each block and patch at each
    /// place.
    unsafe fn gather(
        &self,
        of: &Convolution,
        patches: Range<usize>,
        input: &[f32],
        (made, place): (*mut f32, usize),
    ) {
        let (map, lanes, many) = (&of.input, of.kind.lanes(), patches.len());
        let (gather, reach) = (of.kind.gather(self.side), self.side + TAPS - 1);
        let height = map.frame.top + map.height + map.frame.bottom;
        let width = map.frame.left + map.width + map.frame.right;
        let (top, left) =
            (map.frame.top - of.window.padding[0], map.frame.left - of.window.padding[1]);
        for (number, patch) in patches.enumerate() {
            let row = top + patch / self.right * self.side;
            let column = left + patch % self.right * self.side;
            let rows = reach.min(height - row);
            let columns = reach.min(width - column);
            for block in 0..map.blocks() {
                // SAFETY: `rows` and `columns` end where the block of the input does, frame and all,
                // and `aside` has room for a whole patch. The rest is the caller's promise.
                unsafe {
                    let from =
                        input.as_ptr().add(block * map.block() + row * map.row() + column * lanes);
                    let made = made.add((block * many + number) * lanes);
                    if (rows, columns) == (reach, reach) {
                        gather(&Gather { input: from, row: map.row(), made, place });
                        continue;
                    }
                    let mut aside = [0.0_f32; PLACES_MAX * LANES_MAX];
                    for row in 0..rows {
                        let to = aside.as_mut_ptr().add(row * reach * lanes);
                        let from = from.add(row * map.row());
                        std::ptr::copy_nonoverlapping(from, to, columns * lanes);
                    }
                    gather(&Gather { input: aside.as_ptr(), row: reach * lanes, made, place });
                }
            }
        }
    }

    /// Stores what the sums of some patches come to, for one block.
    ///
    /// # Safety
    /// Residual and output are as long as their maps, there are sums of the block for each patch at each
    /// place, and nobody else writes the block's pixels of these patches meanwhile.
    unsafe fn scatter(
        &self,
        of: &Convolution,
        patches: Range<usize>,
        block: usize,
        (sums, place): (*const f32, usize),
        residual: Option<&[f32]>,
        output: &Output<'_>,
    ) {
        let (map, lanes) = (&of.output, of.kind.lanes());
        let scatter = of.kind.scatter(self.side);
        for (number, patch) in patches.enumerate() {
            let (row, column) = (patch / self.right * self.side, patch % self.right * self.side);
            let rows = self.side.min(map.height - row);
            let columns = self.side.min(map.width - column);
            // SAFETY: `rows` and `columns` end where the image does, of which the residual has the same
            // extents (`Convolution::new`); there is a bias for each channel of whole blocks.
            unsafe {
                scatter(&Scatter {
                    sums: sums.add(number * lanes),
                    place,
                    bias: of.bias.as_ptr().add(block * lanes),
                    output: output.at(
                        block * map.block() + map.at(row, column),
                        (rows - 1) * map.row() + columns * lanes,
                    ),
                    output_row: map.row(),
                    residual: match (residual, &of.residual) {
                        (Some(residual), Some(map)) => {
                            residual.as_ptr().add(block * map.block() + map.at(row, column))
                        }
                        (_, _) => std::ptr::null(),
                    },
                    residual_row: of.residual.map_or(0, |map| map.row()),
                    rows,
                    columns,
                    before: of.before,
                    after: of.after,
                    there: lanes.min(map.channels - block * lanes),
                });
            }
        }
    }
}
