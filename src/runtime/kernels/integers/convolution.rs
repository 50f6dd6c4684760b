//! Convolutions over all channels of codes: a tile of pixels by a few blocks of channels is counted in registers.

use super::super::aligned::Aligned;
use super::super::crew::{Crew, Output};
use super::super::map::Map;
use super::super::window::Window;
use super::kind::{Kind, are_narrow};
use super::lanes::{Code, Counts, LANES, QUAD, SLACK, Sum, WEIGHTS, pair, plus_four};
use std::ops::Range;

/// Pixels of a tile at most, on any processor.
pub(super) const PIXELS_MAX: usize = 14;

/// Blocks of channels of a tile at most, on any processor.
pub(super) const BLOCKS_MAX: usize = 2;

/// Bytes of input that a stretch of tiles reads at most before the next channels are computed from
/// the same input: a quarter of a megabyte, which a second-level cache holds beside weights.
const STRETCH_BYTES_MAX: usize = 256 << 10;

/// Parts for each thread: so many that those who are done earlier find something to do.
const PARTS_EACH: usize = 8;

/// A convolution of one group, with weights packed for this processor.
#[derive(Debug)]
pub(in crate::runtime) struct Convolution {
    kind: Kind,
    input: Map,
    output: Map,
    residual: Option<Residual>,
    window: Window,
    /// Group by group of output blocks; in each, for every block of the input, row, column and quad
    /// of channels the weights of the group's channels, four side by side.
    weights: Aligned<i8>,
    are_narrow: bool,
    /// What a channel counts from.
    begun: Vec<i32>,
    /// What one count is in steps of the output.
    steps: Vec<f32>,
    code: Code,
    tiles: Vec<Tile>,
    /// Tiles of a stretch; each stretch goes through all groups before the next begins.
    stretch: usize,
}

/// Pixels that are computed together.
#[derive(Debug, Clone, Copy)]
struct Tile {
    /// The input's first code under the window, from the block's beginning.
    input: u32,
    row: u32,
    column: u32,
    pixels: u8,
}

/// What one tile is computed from and into.
pub(super) struct Job {
    input: *const u8,
    weights: *const i8,
    begun: *const i32,
    steps: *const f32,
    output: *mut u8,
    residual: *const u8,
    blocks: usize,
    block: usize,
    rows: usize,
    row: usize,
    columns: usize,
    column: usize,
    /// Quads of a block, and of the last one.
    quads: usize,
    last_quads: usize,
    /// Codes from one pixel's to the next pixel's.
    stride: usize,
    output_block: usize,
    residual_block: usize,
    code: Code,
    added: Option<Residual>,
}

/// Computes one tile.
pub(super) type Compute = unsafe fn(&Job);

/// What is added to the codes of a convolution, and how.
#[derive(Debug, Clone, Copy)]
pub(in crate::runtime) struct Residual {
    pub(in crate::runtime) map: Map,
    pub(in crate::runtime) sum: Sum,
    /// Whether it is the first of both that are added.
    pub(in crate::runtime) is_first: bool,
}

/// What a convolution is made of.
pub(in crate::runtime) struct Parts<'p> {
    /// In blocks of [`LANES`], or of four where there are no more channels; with its zero point.
    pub(in crate::runtime) input: (Map, u8),
    pub(in crate::runtime) output: Map,
    pub(in crate::runtime) residual: Option<Residual>,
    pub(in crate::runtime) window: Window,
    /// Output channel by output channel, each by input channel, row and column.
    pub(in crate::runtime) weights: &'p [i8],
    /// One for each output channel: what it counts from, and what one count is in steps.
    pub(in crate::runtime) bias: &'p [i32],
    pub(in crate::runtime) steps: &'p [f32],
    pub(in crate::runtime) code: Code,
}

/// Where the counts of each channel begin: its bias, without what the zero point adds to each product,
/// in whole blocks.
pub(super) fn begun(zero: i32, weights: &[i8], bias: &[i32]) -> Vec<i32> {
    let each = weights.len() / bias.len().max(1);
    let sums = weights.chunks_exact(each.max(1)).zip(bias).map(|(weights, bias)| {
        let sum = weights.iter().fold(0, |sum: i32, weight| sum.wrapping_add(i32::from(*weight)));
        bias.wrapping_sub(sum.wrapping_mul(zero))
    });
    let mut begun: Vec<i32> = sums.collect();
    begun.resize(bias.len().next_multiple_of(LANES), 0);
    begun
}

/// Blocks of so many whose quads are all there, of the quads of a block and of the last one.
#[inline(always)]
fn full_blocks(blocks: usize, (quads, last_quads): (usize, usize)) -> usize {
    if quads == QUAD { blocks - usize::from(last_quads < QUAD) } else { 0 }
}

/// The steps of all lanes of whole blocks.
pub(super) fn padded(steps: &[f32]) -> Vec<f32> {
    let mut steps = steps.to_vec();
    steps.resize(steps.len().next_multiple_of(LANES), 0.0);
    steps
}

impl Convolution {
    /// Whether there is a kernel between these images, with so many weights, biases and steps.
    pub(in crate::runtime) fn fits(
        [input, output]: [&Map; 2],
        residual: Option<&Map>,
        window: &Window,
        [weights, biases, steps]: [usize; 3],
    ) -> bool {
        let alike = |map: &Map| {
            (map.channels, map.height, map.width, map.lanes)
                == (output.channels, output.height, output.width, LANES)
        };
        (input.lanes == LANES || input.lanes == QUAD && input.channels <= QUAD)
            && output.lanes == LANES
            && residual.is_none_or(alike)
            && window.fits(input, output)
            && weights == input.channels * output.channels * window.taps()
            && (biases, steps) == (output.channels, output.channels)
            && input.floats().max(output.floats()) <= u32::MAX as usize
    }

    /// Packs the weights; none when the parts do not fit together.
    pub(in crate::runtime) fn new(kind: Kind, parts: &Parts<'_>) -> Option<Convolution> {
        let Parts { input: (input, zero), output, residual, window, weights, bias, steps, code } =
            *parts;
        let added = residual.as_ref().map(|residual| &residual.map);
        let counts = [weights.len(), bias.len(), steps.len()];
        if !Convolution::fits([&input, &output], added, &window, counts) {
            return None;
        }
        let taps = window.taps();
        let (full, last) = quads(&input);
        let inside = ((input.blocks() - 1) * full + last) * taps; // quads of one output channel
        let padded_channels = output.blocks() * LANES;
        let mut packed = Aligned::zeros(padded_channels * inside * QUAD);
        let group = kind.blocks() * LANES;
        for (made, weights) in weights.chunks_exact(input.channels * taps).enumerate() {
            let start = made / group * group;
            let wide = group.min(padded_channels - start); // the last group may be of fewer blocks
            let base = (start * inside + made - start) * QUAD;
            for (given, weights) in weights.chunks_exact(taps).enumerate() {
                let (block, lane) = (given / input.lanes, given % input.lanes);
                let quads = if block + 1 == input.blocks() { last } else { full };
                for (tap, weight) in weights.iter().enumerate() {
                    let quad = block * taps * full + tap * quads + lane / QUAD;
                    packed[base + quad * wide * QUAD + lane % QUAD] = *weight;
                }
            }
        }
        if kind.are_paired() {
            let paired = full_blocks(input.blocks(), (full, last)) * taps * QUAD * WEIGHTS;
            packed.chunks_exact_mut(inside * WEIGHTS).for_each(|block| pair(&mut block[..paired]));
        }
        let is_flat = taps == 1
            && window.stride == [1, 1]
            && !input.is_framed()
            && residual.is_none_or(|it| !it.map.is_framed() && !output.is_framed());
        let tiles = tiles(kind, &window, &input, &output, is_flat);
        let per_pixel = input.blocks() * input.lanes * window.stride[0] * window.stride[1];
        let stretch = STRETCH_BYTES_MAX / (per_pixel * kind.pixels()).max(1);
        let stretch = stretch.clamp(4, tiles.len().max(4));
        Some(Convolution {
            kind,
            input,
            output,
            residual,
            window,
            weights: packed,
            are_narrow: are_narrow(weights),
            begun: begun(i32::from(zero) - kind.moved(), weights, bias),
            steps: padded(steps),
            code,
            tiles,
            stretch,
        })
    }

    /// Bytes that are kept beside the buffers.
    pub(in crate::runtime) fn bytes(&self) -> usize {
        self.weights.len() + size_of_val(&*self.begun) + size_of_val(&*self.steps)
    }

    /// What it is called in a profile.
    pub(in crate::runtime) fn form(&self) -> String {
        let [rows, columns] = self.window.size;
        format!("convolution {rows}x{columns} in integers")
    }

    /// Multiplications without those of lanes that mean nothing.
    pub(in crate::runtime) fn products(&self) -> usize {
        self.window.taps() * self.input.channels * self.output.values()
    }

    /// Computes the output, whose frame stays as it is, with the crew.
    ///
    /// # Panics
    /// When a buffer is shorter than its map and [`SLACK`], or the residual is missing or unwanted.
    pub(in crate::runtime) fn run(
        &self,
        input: &[u8],
        residual: Option<&[u8]>,
        output: &mut [u8],
        crew: &dyn Crew,
    ) {
        assert!(self.input.floats() + SLACK <= input.len() && self.output.floats() <= output.len());
        match (&self.residual, residual) {
            (None, None) => {}
            (Some(there), Some(residual)) => assert!(there.map.floats() <= residual.len()),
            (None, Some(_)) | (Some(_), None) => panic!("a residual that the other side lacks"),
        }
        let groups = self.output.blocks().div_ceil(self.kind.blocks());
        let tiles = self.tiles.len();
        let stretch = match crew.size() {
            1 => self.stretch,
            size => (tiles * groups).div_ceil(PARTS_EACH * size).clamp(4, self.stretch),
        };
        let stretches = tiles.div_ceil(stretch);
        Output::new(output).in_parts(crew, groups * stretches, |part, output| {
            let from = part / groups * stretch;
            let tiles = from..tiles.min(from + stretch);
            self.part(part % groups, tiles, input, residual, output);
        });
    }

    /// One group of channels for some tiles, which no other part writes.
    fn part(
        &self,
        group: usize,
        tiles: Range<usize>,
        input: &[u8],
        residual: Option<&[u8]>,
        output: &Output<'_, u8>,
    ) {
        let first = group * self.kind.blocks();
        let blocks = self.kind.blocks().min(self.output.blocks() - first);
        let channel = first * LANES;
        let (quads, last_quads) = quads(&self.input);
        let inside = ((self.input.blocks() - 1) * quads + last_quads) * self.window.taps();
        let computes = self.kind.convolutions(blocks, self.are_narrow);
        let mut aside = [0_u8; PIXELS_MAX * BLOCKS_MAX * LANES];
        let aside_block = PIXELS_MAX * LANES;
        // All but where a tile is: that alone changes from one to the next.
        // SAFETY: the group's weights, beginnings and steps are whole blocks, packed so by `new`.
        let mut job = unsafe {
            Job {
                input: input.as_ptr(),
                weights: self.weights.as_ptr().add(channel * inside * QUAD),
                begun: self.begun.as_ptr().add(channel),
                steps: self.steps.as_ptr().add(channel),
                output: std::ptr::null_mut(),
                residual: std::ptr::null(),
                blocks: self.input.blocks(),
                block: self.input.block(),
                rows: self.window.size[0],
                row: self.window.dilation[0] * self.input.row(),
                columns: self.window.size[1],
                column: self.window.dilation[1] * self.input.lanes,
                quads,
                last_quads,
                stride: self.window.stride[1] * self.input.lanes,
                output_block: self.output.block(),
                residual_block: self.residual.map_or(0, |residual| residual.map.block()),
                code: self.code,
                added: self.residual,
            }
        };
        for tile in &self.tiles[tiles] {
            let (row, column) = (tile.row as usize, tile.column as usize);
            let pixels = usize::from(tile.pixels);
            // A tile of a flat image goes over the ends of rows, where a framed output has more.
            let is_aside = self.output.is_framed() && self.output.width < column + pixels;
            let at = first * self.output.block() + self.output.at(row, 0) + column * LANES;
            // SAFETY: what a tile reads and writes is inside of the buffers, which `run` found as long
            // as their maps: `tiles` makes tiles of pixels of the output alone, and under the
            // window of each pixel is the input with its frame (`Window::fits`). `aside` has room for
            // any tile. No other part has this group's blocks of these pixels.
            unsafe {
                job.input = input.as_ptr().add(tile.input as usize);
                (job.output, job.output_block) = match is_aside {
                    true => (aside.as_mut_ptr(), aside_block),
                    false => {
                        let codes = (blocks - 1) * self.output.block() + pixels * LANES;
                        (output.at(at, codes), self.output.block())
                    }
                };
                if let (Some(residual), Some(Residual { map, .. })) = (residual, &self.residual) {
                    let at = first * map.block() + map.at(row, 0) + column * LANES;
                    job.residual = residual.as_ptr().add(at);
                }
                computes[pixels](&job);
                if is_aside {
                    for pixel in 0..pixels {
                        let width = self.output.width;
                        let (row, column) = ((column + pixel) / width, (column + pixel) % width);
                        for block in 0..blocks {
                            let to =
                                (first + block) * self.output.block() + self.output.at(row, column);
                            let from = aside.as_ptr().add(block * aside_block + pixel * LANES);
                            std::ptr::copy_nonoverlapping(from, output.at(to, LANES), LANES);
                        }
                    }
                }
            }
        }
    }
}

/// Quads of channels in a block of the input, and in the last one.
fn quads(input: &Map) -> (usize, usize) {
    let last = input.channels - (input.blocks() - 1) * input.lanes;
    (input.lanes / QUAD, last.div_ceil(QUAD))
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
                row: row as u32,
                column: column as u32,
                pixels: pixels as u8,
            });
            column += pixels;
        }
    }
    tiles
}

/// One tile: `PIXELS` pixels of `BLOCKS` blocks of channels.
///
/// # Safety
/// The processor has these vectors, and all that the job points to is there: under each pixel's
/// window in every block, as many weights for each of those quads, and `PIXELS` vectors at the
/// output and the residual in each block.
#[inline(always)]
pub(super) unsafe fn compute<V: Counts, const PIXELS: usize, const BLOCKS: usize>(job: &Job) {
    // SAFETY: the caller's promise, of which the loops keep to the extents.
    unsafe {
        let mut sums = [[V::load(job.begun); BLOCKS]; PIXELS];
        for block in 1..BLOCKS {
            let begun = V::load(job.begun.add(block * LANES));
            for sums in &mut sums {
                sums[block] = begun;
            }
        }
        let stride = job.stride;
        let mut weights = job.weights;
        let full = match V::TAKES_PARTS {
            true => full_blocks(job.blocks, (job.quads, job.last_quads)),
            false => 0,
        };
        if 0 < full {
            V::begin(&mut sums);
            if (job.rows, job.columns) == (1, 1) {
                // Under a window of one place a loop over blocks alone, which is not left for each of them.
                let mut input = job.input;
                for _ in 0..full {
                    V::plus_sixteen(&mut sums, (input, stride), weights);
                    weights = weights.add(QUAD * BLOCKS * WEIGHTS);
                    input = input.wrapping_add(job.block);
                }
            } else {
                for block in 0..full {
                    for row in 0..job.rows {
                        let mut input = job.input.add(block * job.block + row * job.row);
                        for _ in 0..job.columns {
                            V::plus_sixteen(&mut sums, (input, stride), weights);
                            weights = weights.add(QUAD * BLOCKS * WEIGHTS);
                            input = input.wrapping_add(job.column);
                        }
                    }
                }
            }
            V::end(&mut sums);
        }
        for block in full..job.blocks {
            let quads = if block + 1 == job.blocks { job.last_quads } else { job.quads };
            for row in 0..job.rows {
                let mut input = job.input.add(block * job.block + row * job.row);
                for _ in 0..job.columns {
                    for quad in 0..quads {
                        plus_four(&mut sums, (input.add(quad * QUAD), stride), weights);
                        weights = weights.add(BLOCKS * WEIGHTS);
                    }
                    input = input.wrapping_add(job.column);
                }
            }
        }
        if V::STORES_TILES && job.added.is_none() {
            V::store_tile(&sums, (job.steps, job.code), (job.output, job.output_block));
            return;
        }
        // Put away once: the loop that rounds is too long to be written out for each vector, and would
        // keep them in memory all the time.
        let mut kept = [[[0_i32; LANES]; BLOCKS]; PIXELS];
        for (kept, sums) in kept.iter_mut().zip(sums) {
            for (kept, sum) in kept.iter_mut().zip(sums) {
                sum.keep(kept.as_mut_ptr());
            }
        }
        #[expect(clippy::needless_range_loop, reason = "it stands in four places beside this one")]
        for block in 0..BLOCKS {
            let steps = job.steps.add(block * LANES);
            let output = job.output.add(block * job.output_block);
            let residual =
                job.added.map(|added| (job.residual.add(block * job.residual_block), added));
            let count = |pixel: usize| kept[pixel][block].as_ptr();
            let mut pixel = 0;
            while pixel + QUAD <= PIXELS {
                let four = [
                    V::load(count(pixel)),
                    V::load(count(pixel + 1)),
                    V::load(count(pixel + 2)),
                    V::load(count(pixel + 3)),
                ];
                let to = output.add(pixel * LANES);
                match residual {
                    None => V::store_four(four, steps, job.code, to),
                    Some((codes, Residual { sum, is_first, .. })) => {
                        let others = (codes.add(pixel * LANES), sum, is_first);
                        V::store_four_summed(four, (steps, job.code), others, to);
                    }
                }
                pixel += QUAD;
            }
            for pixel in pixel..PIXELS {
                let mut codes = V::load(count(pixel)).coded(steps, job.code);
                if let Some((others, Residual { sum, is_first, .. })) = residual {
                    let others = V::codes(others.add(pixel * LANES));
                    codes = match is_first {
                        true => V::summed(others, codes, sum),
                        false => V::summed(codes, others, sum),
                    };
                }
                V::store(codes, output.add(pixel * LANES));
            }
        }
    }
}
