//! Convolutions over all channels: a tile of pixels by two blocks of channels stays in registers.

use super::activation::Activation;
use super::aligned::Aligned;
use super::crew::{Crew, Output};
use super::kind::Kind;
use super::lanes::Lanes;
use super::loops;
use super::map::Map;
use super::patches::Patches;
use super::window::Window;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Pixels of a tile at most, on any processor.
pub(super) const PIXELS_MAX: usize = 14;

/// Blocks of output channels that one pass over the input computes.
pub(super) const GROUP: usize = 2;

/// Floats of input that a stretch of tiles reads at most before the next channels are computed from
/// the same input: a quarter of a megabyte, which a second-level cache holds beside weights.
const STRETCH_FLOATS_MAX: usize = 64 << 10;

/// Parts for each thread: so many that those who are done earlier find something to do.
const PARTS_EACH: usize = 8;

/// A convolution of one group, with weights packed for this processor.
#[derive(Debug)]
pub(in crate::runtime) struct Convolution {
    pub(super) kind: Kind,
    pub(super) input: Map,
    pub(super) output: Map,
    pub(super) residual: Option<Map>,
    pub(super) window: Window,
    /// Group by group of output blocks; in each, for every block of the input, row, column and lane
    /// of it the weights of the group's channels.
    pub(super) weights: Aligned,
    pub(super) bias: Aligned,
    pub(super) before: Activation,
    pub(super) after: Activation,
    tiles: Vec<Tile>,
    /// Tiles of a stretch; each stretch goes through all groups before the next begins.
    stretch: usize,
    /// Where it is computed in patches, and weights are packed for those.
    pub(super) patches: Option<Patches>,
}

/// Pixels that are computed together.
#[derive(Debug, Clone, Copy)]
struct Tile {
    /// The input's first float under the window, from the block's beginning.
    input: u32,
    row: u32,
    column: u32,
    pixels: u8,
}

/// What one tile is computed from and into.
pub(super) struct Job {
    pub(super) input: *const f32,
    pub(super) weights: *const f32,
    pub(super) bias: *const f32,
    pub(super) output: *mut f32,
    /// Null where nothing is added.
    pub(super) residual: *const f32,
    pub(super) blocks: usize,
    pub(super) block: usize,
    pub(super) rows: usize,
    pub(super) row: usize,
    pub(super) columns: usize,
    pub(super) column: usize,
    /// Floats from one pixel's value to the next pixel's.
    pub(super) stride: usize,
    pub(super) output_block: usize,
    pub(super) residual_block: usize,
    pub(super) before: Activation,
    pub(super) after: Activation,
    /// Channels in the last block of the output, and of the input.
    pub(super) last: usize,
    pub(super) last_input: usize,
    pub(super) end: End,
}

/// Computes one tile.
pub(super) type Compute = unsafe fn(&Job);

/// Ends a tile of so many pixels and blocks.
pub(super) type End = unsafe fn(&Job, usize, usize);

/// What a convolution is made of.
pub(in crate::runtime) struct Parts<'p> {
    /// In blocks of a vector's lanes, or of one.
    pub(in crate::runtime) input: Map,
    pub(in crate::runtime) output: Map,
    /// What is added to it.
    pub(in crate::runtime) residual: Option<Map>,
    pub(in crate::runtime) window: Window,
    /// Output channel by output channel, each by input channel, row and column.
    pub(in crate::runtime) weights: &'p [f32],
    /// One for each output channel.
    pub(in crate::runtime) bias: &'p [f32],
    /// Before and after the residual is added.
    pub(in crate::runtime) before: Activation,
    pub(in crate::runtime) after: Activation,
}

impl Convolution {
    /// Whether these maps fit each other, the window, and so many weights and biases.
    pub(in crate::runtime) fn fits(
        kind: Kind,
        [input, output]: [Map; 2],
        residual: Option<Map>,
        window: &Window,
        [weights, biases]: [usize; 2],
    ) -> bool {
        let lanes = kind.lanes();
        [1, lanes].contains(&input.lanes)
            && output.lanes == lanes
            && residual.is_none_or(|residual| {
                (residual.channels, residual.height, residual.width, residual.lanes)
                    == (output.channels, output.height, output.width, lanes)
            })
            && window.fits(&input, &output)
            && weights == input.channels * output.channels * window.taps()
            && biases == output.channels
            && input.floats().max(output.floats()) <= u32::MAX as usize
    }

    /// Packs the weights; none when the parts do not fit together.
    pub(in crate::runtime) fn new(kind: Kind, parts: &Parts<'_>) -> Option<Convolution> {
        let Parts { input, output, residual, window, weights, bias, before, after } = *parts;
        let (lanes, taps) = (kind.lanes(), window.taps());
        let counts = [weights.len(), bias.len()];
        if !Convolution::fits(kind, [input, output], residual, &window, counts) {
            return None;
        }
        let padded = output.blocks() * lanes;
        let patches = Patches::of(kind, &window, &input, &output);
        let packed = match &patches {
            Some(patches) => patches.packed(kind, &input, &output, weights),
            None => packed(kind, &input, &output, weights),
        };
        let mut biases = Aligned::zeros(padded);
        biases[..bias.len()].copy_from_slice(bias);
        let is_flat = taps == 1
            && window.stride == [1, 1]
            && !input.is_framed()
            && residual.is_none_or(|residual| !residual.is_framed() && !output.is_framed());
        let tiles = tiles(kind, &window, &input, &output, is_flat);
        let per_pixel = input.blocks() * input.lanes * window.stride[0] * window.stride[1];
        let stretch = STRETCH_FLOATS_MAX / (per_pixel * kind.pixels()).max(1);
        let stretch = stretch.clamp(4, tiles.len().max(4));
        Some(Convolution {
            kind,
            input,
            output,
            residual,
            window,
            weights: packed,
            bias: biases,
            before,
            after,
            tiles,
            stretch,
            patches,
        })
    }

    /// Whether something is added to what it computes.
    pub(in crate::runtime) fn has_residual(&self) -> bool {
        self.residual.is_some()
    }

    /// Floats that are kept beside the buffers.
    pub(in crate::runtime) fn floats(&self) -> usize {
        self.weights.len() + self.bias.len()
    }

    /// Computes the output, whose frame stays as it is, with the crew.
    ///
    /// # Panics
    /// When a buffer is shorter than its map, or the residual is missing or unwanted.
    pub(in crate::runtime) fn run(
        &self,
        input: &[f32],
        residual: Option<&[f32]>,
        output: &mut [f32],
        crew: &dyn Crew,
    ) {
        self.run_with(&self.weights, input, residual, output, crew);
    }

    /// The same of an input whose channels are multiplied by the gate's first, one for each lane of
    /// its blocks: weights are fewer than pixels, and multiplied in their place.
    ///
    /// # Panics
    /// As [`run`](Self::run), or when the gate is shorter than the blocks.
    pub(in crate::runtime) fn run_gated(
        &self,
        input: &[f32],
        gate: &[f32],
        residual: Option<&[f32]>,
        output: &mut [f32],
        crew: &dyn Crew,
    ) {
        let (lanes, taps) = (self.input.lanes, self.window.taps());
        let inputs = self.input.blocks() * lanes;
        assert!(inputs <= gate.len(), "a gate of too few channels");
        let mut gated = Aligned::of(&self.weights);
        // Those of patches are as those of one tap, as often as a patch has places.
        let (taps, places) = self.patches.as_ref().map_or((taps, 1), |it| (1, it.places()));
        for group in gated.chunks_mut(GROUP * self.kind.lanes() * inputs * taps * places) {
            let wide = group.len() / (inputs * taps * places);
            let gate = gate.chunks(lanes).take(self.input.blocks()).cycle();
            let blocks = group.chunks_exact_mut(taps * lanes * wide).zip(gate);
            for (tap, gate) in blocks.flat_map(|(block, gate)| {
                block.chunks_exact_mut(lanes * wide).map(move |tap| (tap, gate))
            }) {
                for (weights, factor) in tap.chunks_exact_mut(wide).zip(gate) {
                    weights.iter_mut().for_each(|weight| *weight *= factor);
                }
            }
        }
        self.run_with(&gated, input, residual, output, crew);
    }

    fn run_with(
        &self,
        weights: &Aligned,
        input: &[f32],
        residual: Option<&[f32]>,
        output: &mut [f32],
        crew: &dyn Crew,
    ) {
        assert!(self.input.floats() <= input.len() && self.output.floats() <= output.len());
        match (&self.residual, residual) {
            (None, None) => {}
            (Some(map), Some(residual)) => assert!(map.floats() <= residual.len()),
            (None, Some(_)) | (Some(_), None) => panic!("a residual that the other side lacks"),
        }
        if let Some(patches) = &self.patches {
            // SAFETY: buffers are as long as their maps, and weights as many as those of `new`.
            return unsafe { patches.run(self, (weights, input, residual), output, crew) };
        }
        let groups = self.output.blocks().div_ceil(GROUP);
        let tiles = self.tiles.len();
        let stretch = match crew.size() {
            1 => self.stretch,
            size => (tiles * groups).div_ceil(PARTS_EACH * size).clamp(4, self.stretch),
        };
        let stretches = tiles.div_ceil(stretch);
        Output::new(output).in_parts(crew, groups * stretches, |part, output| {
            let from = part / groups * stretch;
            let tiles = from..tiles.min(from + stretch);
            // SAFETY: buffers are as long as their maps, weights are as many as those of `new`, and no
            // other part has these tiles of this group.
            unsafe { self.part(part % groups, tiles, (weights, input, residual), output) }
        });
    }

    /// One group of channels for some tiles.
    ///
    /// # Safety
    /// Input, residual and output are as long as their maps, weights as many as [`new`](Self::new)
    /// packs, and nobody else uses these tiles of the group meanwhile.
    unsafe fn part(
        &self,
        group: usize,
        tiles: Range<usize>,
        (weights, input, residual): (&[f32], &[f32], Option<&[f32]>),
        output: &Output<'_>,
    ) {
        let lanes = self.kind.lanes();
        let blocks = GROUP.min(self.output.blocks() - group * GROUP);
        let channel = group * GROUP * lanes;
        let per_channel = self.input.blocks() * self.input.lanes * self.window.taps();
        let first = channel / lanes * self.output.block();
        let left = self.output.channels - channel - (blocks - 1) * lanes;
        let computes = self.kind.convolutions(blocks, self.window.stride[1], self.input.lanes == 1);
        let mut aside = MaybeUninit::<[f32; PIXELS_MAX * GROUP * 16]>::uninit();
        let aside = aside.as_mut_ptr().cast::<f32>();
        // All but where a tile is: that alone changes from one to the next.
        // SAFETY: the group's weights and biases are whole blocks, packed so by `new`.
        let mut job = unsafe {
            Job {
                input: input.as_ptr(),
                weights: weights.as_ptr().add(channel * per_channel),
                bias: self.bias.as_ptr().add(channel),
                output: std::ptr::null_mut(),
                residual: std::ptr::null(),
                blocks: self.input.blocks(),
                block: self.input.block(),
                rows: self.window.size[0],
                row: self.window.dilation[0] * self.input.row(),
                columns: self.window.size[1],
                column: self.window.dilation[1] * self.input.lanes,
                stride: self.window.stride[1] * self.input.lanes,
                output_block: self.output.block(),
                residual_block: self.residual.map_or(0, |map| map.block()),
                before: self.before,
                after: self.after,
                last: left.min(lanes),
                last_input: self.input.channels - (self.input.blocks() - 1) * self.input.lanes,
                end: self.kind.convolution_end(),
            }
        };
        for tile in &self.tiles[tiles] {
            let (row, column) = (tile.row as usize, tile.column as usize);
            let pixels = usize::from(tile.pixels);
            // A tile of a flat image goes over the ends of rows, where a framed output has more.
            let is_aside = self.output.is_framed() && self.output.width < column + pixels;
            let at = self.output.at(row, 0) + column * lanes;
            // SAFETY: what a tile reads and writes is inside of the buffers, which are as long as the caller
            // promises: `tiles` makes tiles of pixels of the output alone, and under the
            // window of each pixel is the input with its frame (`Window::fits`). `aside` has room for
            // any tile, which writes what is copied from there. Nobody else has this group's blocks of these
            // pixels, by the caller's promise.
            unsafe {
                job.input = input.as_ptr().add(tile.input as usize);
                (job.output, job.output_block) = match is_aside {
                    true => (aside, PIXELS_MAX * lanes),
                    false => {
                        let floats = (blocks - 1) * self.output.block() + pixels * lanes;
                        (output.at(first + at, floats), self.output.block())
                    }
                };
                if let (Some(residual), Some(map)) = (residual, &self.residual) {
                    let at = channel / lanes * map.block() + map.at(row, 0) + column * lanes;
                    job.residual = residual.as_ptr().add(at);
                }
                computes[pixels](&job);
                if is_aside {
                    let (mut row, mut column, mut pixel) = (row, column, 0);
                    while pixel < pixels {
                        let floats = (self.output.width - column).min(pixels - pixel) * lanes;
                        for block in 0..blocks {
                            let to =
                                first + block * self.output.block() + self.output.at(row, column);
                            let from = aside.add(block * PIXELS_MAX * lanes + pixel * lanes);
                            std::ptr::copy_nonoverlapping(from, output.at(to, floats), floats);
                        }
                        pixel += floats / lanes;
                        (row, column) = (row + 1, 0);
                    }
                }
            }
        }
    }
}

/// The weights as tiles take them.
fn packed(kind: Kind, input: &Map, output: &Map, weights: &[f32]) -> Aligned {
    let lanes = kind.lanes();
    let (padded, inputs) = (output.blocks() * lanes, input.blocks() * input.lanes);
    let taps = weights.len() / (input.channels * output.channels);
    let mut packed = Aligned::zeros(padded * inputs * taps);
    let group = GROUP * lanes;
    for (made, weights) in weights.chunks_exact(input.channels * taps).enumerate() {
        let start = made / group * group;
        let wide = group.min(padded - start); // the last group may be of one block
        let base = start * inputs * taps + made - start;
        for (given, weights) in weights.chunks_exact(taps).enumerate() {
            let (block, lane) = (given / input.lanes, given % input.lanes);
            for (tap, weight) in weights.iter().enumerate() {
                packed[base + ((block * taps + tap) * input.lanes + lane) * wide] = *weight;
            }
        }
    }
    packed
}

/// The output's pixels, in tiles: row by row, or as one long row of a flat image.
fn tiles(kind: Kind, window: &Window, input: &Map, output: &Map, is_flat: bool) -> Vec<Tile> {
    let (rows, width) = match is_flat {
        true => (1, output.height * output.width),
        false => (output.height, output.width),
    };
    let mut tiles = Vec::new();
    for row in 0..rows {
        let mut column = 0;
        while column < width {
            let left = width - column;
            let pixels = left.div_ceil(left.div_ceil(kind.pixels())); // all about as wide
            let input = match is_flat {
                true => column * input.lanes,
                false => window.first(input, row, column),
            };
            tiles.push(Tile {
                input: input as u32,
                row: (row + column / output.width) as u32,
                column: (column % output.width) as u32,
                pixels: pixels as u8,
            });
            column += pixels;
        }
    }
    tiles
}

/// One tile: `PIXELS` pixels of `BLOCKS` blocks of channels, whose input pixels are `STRIDE` apart, or
/// as far as the job says where that is 0; with one channel a block if `IS_PLANAR`.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there: under each pixel's
/// window in every block, `BLOCKS` vectors of weights for each of those values, as many biases, and
/// `PIXELS` vectors at the output and the residual in each block.
#[inline(always)]
pub(super) unsafe fn compute<
    V: Lanes,
    const PIXELS: usize,
    const BLOCKS: usize,
    const STRIDE: usize,
    const IS_PLANAR: bool,
>(
    job: &Job,
) {
    let lanes = if IS_PLANAR { 1 } else { V::LANES };
    let stride = if STRIDE == 0 { job.stride } else { STRIDE * lanes };
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut sums = [[V::splat(0.0); BLOCKS]; PIXELS];
        for block in 0..BLOCKS {
            let bias = V::load(job.bias.add(block * V::LANES));
            for sums in &mut sums {
                sums[block] = bias;
            }
        }
        loops::pixels::<V, PIXELS, BLOCKS, STRIDE, IS_PLANAR>(job, stride, &mut sums);
        let is_plain = job.before == Activation::NONE;
        if let (true, Activation::Clip(low, high)) = (is_plain, job.after) {
            let (low, high) = (V::splat(low), V::splat(high));
            for (pixel, sums) in sums.iter().enumerate() {
                for (block, sum) in sums.iter().enumerate() {
                    let at = pixel * V::LANES;
                    let mut value = *sum;
                    if !job.residual.is_null() {
                        value =
                            value.plus(V::load(job.residual.add(block * job.residual_block + at)));
                    }
                    value = value.at_least(low).at_most(high);
                    if block + 1 == BLOCKS && job.last < V::LANES {
                        value = value.first(job.last);
                    }
                    value.store(job.output.add(block * job.output_block + at));
                }
            }
            return;
        }
        // Code for each function behind each tile would be long: values go by memory.
        for (pixel, sums) in sums.iter().enumerate() {
            for (block, sum) in sums.iter().enumerate() {
                sum.store(job.output.add(block * job.output_block + pixel * V::LANES));
            }
        }
        (job.end)(job, PIXELS, BLOCKS);
    }
}

/// What becomes of the sums of a tile of so many pixels and blocks, which are where the output will be.
///
/// # Safety
/// As [`compute`].
#[inline(always)]
pub(super) unsafe fn end<V: Lanes>(job: &Job, pixels: usize, blocks: usize) {
    let is_plain = job.before == Activation::NONE;
    // SAFETY: the caller's promise.
    unsafe {
        for block in 0..blocks {
            for pixel in 0..pixels {
                let at = job.output.add(block * job.output_block + pixel * V::LANES);
                let mut value = V::load(at);
                if !is_plain {
                    value = job.before.of(value);
                }
                if !job.residual.is_null() {
                    let residual = block * job.residual_block + pixel * V::LANES;
                    value = value.plus(V::load(job.residual.add(residual)));
                }
                value = job.after.of(value);
                if block + 1 == blocks && job.last < V::LANES {
                    value = value.first(job.last);
                }
                value.store(at);
            }
        }
    }
}
