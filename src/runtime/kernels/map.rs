//! Where a channel's pixels lie: channels in blocks as wide as a vector, each block framed by zeros.

/// The layout of one image's channels in a buffer.
///
/// `lanes` channels lie side by side for each pixel, then pixel by pixel along a row, row by row, and
/// block by block. Lanes behind the last channel hold finite values that mean nothing. The frame
/// is there for those who look over an image's edge; it is [cleared](Map::clear_frame) before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Map {
    pub(in crate::runtime) channels: usize,
    pub(in crate::runtime) height: usize,
    pub(in crate::runtime) width: usize,
    /// Channels side by side.
    pub(in crate::runtime) lanes: usize,
    pub(in crate::runtime) frame: Frame,
}

/// Pixels around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::runtime) struct Frame {
    pub(in crate::runtime) top: usize,
    pub(in crate::runtime) left: usize,
    pub(in crate::runtime) bottom: usize,
    pub(in crate::runtime) right: usize,
}

impl Frame {
    /// As wide as each of both at every side.
    pub(in crate::runtime) fn with(self, other: Frame) -> Frame {
        Frame {
            top: self.top.max(other.top),
            left: self.left.max(other.left),
            bottom: self.bottom.max(other.bottom),
            right: self.right.max(other.right),
        }
    }
}

impl Map {
    /// Blocks of channels.
    pub(in crate::runtime) fn blocks(&self) -> usize {
        self.channels.div_ceil(self.lanes)
    }

    /// Floats from one row to the next.
    pub(super) fn row(&self) -> usize {
        (self.frame.left + self.width + self.frame.right) * self.lanes
    }

    /// Floats from one block to the next.
    pub(super) fn block(&self) -> usize {
        (self.frame.top + self.height + self.frame.bottom) * self.row()
    }

    /// Floats of the whole.
    pub(in crate::runtime) fn floats(&self) -> usize {
        self.blocks() * self.block()
    }

    /// Values of the image, without frame and without lanes that mean nothing.
    pub(in crate::runtime) fn values(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The first float of a pixel in the first block.
    pub(super) fn at(&self, row: usize, column: usize) -> usize {
        (self.frame.top + row) * self.row() + (self.frame.left + column) * self.lanes
    }

    /// The first value of the first pixel in a block.
    pub(in crate::runtime) fn pixel(&self, block: usize) -> usize {
        block * self.block() + self.at(0, 0)
    }

    pub(super) fn is_framed(&self) -> bool {
        self.frame != Frame::default()
    }

    /// Writes zeros into the frame.
    pub(in crate::runtime) fn clear_frame(&self, buffer: &mut [f32]) {
        if !self.is_framed() {
            return;
        }
        let (row, pixels) = (self.row(), self.width * self.lanes);
        for block in buffer.chunks_exact_mut(self.block()) {
            let (first, last) = (self.at(0, 0), self.at(self.height - 1, 0) + pixels);
            block[..first].fill(0.0);
            block[last..].fill(0.0);
            // From the end of one row to the beginning of the next, all is frame.
            for end in (first + pixels..last).step_by(row) {
                block[end..end + row - pixels].fill(0.0);
            }
        }
    }

    /// Brings an image in, channel by channel as tensors have it.
    pub(in crate::runtime) fn bring_in(&self, image: &[f32], buffer: &mut [f32]) {
        self.clear_frame(buffer);
        let pixels = self.height * self.width;
        let blocks = buffer.chunks_exact_mut(self.block());
        for (block, channels) in blocks.zip(image.chunks(self.lanes * pixels)) {
            let there = channels.len() / pixels;
            for row in 0..self.height {
                let at = self.at(row, 0);
                let line = &mut block[at..at + self.width * self.lanes];
                if self.lanes == 1 {
                    line.copy_from_slice(&channels[row * self.width..][..self.width]);
                    continue;
                }
                for (column, pixel) in line.chunks_exact_mut(self.lanes).enumerate() {
                    for (lane, value) in pixel.iter_mut().enumerate() {
                        let from = lane * pixels + row * self.width + column;
                        *value = if lane < there { channels[from] } else { 0.0 };
                    }
                }
            }
        }
    }

    /// Takes an image out, channel by channel.
    pub(in crate::runtime) fn take_out(&self, buffer: &[f32], image: &mut [f32]) {
        let pixels = self.height * self.width;
        let blocks = buffer.chunks_exact(self.block());
        for (block, channels) in blocks.zip(image.chunks_mut(self.lanes * pixels)) {
            for row in 0..self.height {
                let line = &block[self.at(row, 0)..][..self.width * self.lanes];
                for (lane, channel) in channels.chunks_exact_mut(pixels).enumerate() {
                    let to = &mut channel[row * self.width..][..self.width];
                    for (value, pixel) in to.iter_mut().zip(line.chunks_exact(self.lanes)) {
                        *value = pixel[lane];
                    }
                }
            }
        }
    }

    /// The part of a buffer from this channel on, which begins a block.
    pub(in crate::runtime) fn part_from<'v>(&self, channel: usize, values: &'v [f32]) -> &'v [f32] {
        &values[channel / self.lanes * self.block()..]
    }

    /// Takes all channels of another map in, from this channel on, and clears the lanes behind them in
    /// the last block: what comes before was taken in before.
    pub(in crate::runtime) fn take_in(
        &self,
        channel: usize,
        from: &Map,
        values: &[f32],
        buffer: &mut [f32],
    ) {
        if !channel.is_multiple_of(self.lanes) {
            return self.take_between(channel, from, values, buffer);
        }
        let first = channel / self.lanes;
        let blocks = buffer.chunks_exact_mut(self.block()).skip(first);
        for (to, values) in blocks.zip(values.chunks_exact(from.block())) {
            for row in 0..self.height.min(from.height) {
                let floats = self.width.min(from.width) * self.lanes;
                let source = &values[from.at(row, 0)..][..floats];
                to[self.at(row, 0)..][..floats].copy_from_slice(source);
            }
        }
    }

    /// The same, from a channel that is inside of a block: each pixel's lanes go to two blocks.
    fn take_between(&self, channel: usize, from: &Map, values: &[f32], buffer: &mut [f32]) {
        let lane = channel % self.lanes;
        let head = self.lanes - lane; // lanes that the first of both has room for
        let blocks = values.chunks_exact(from.block()).enumerate();
        for (number, values) in blocks {
            let there = self.lanes.min(from.channels - number * self.lanes);
            let start = (channel / self.lanes + number) * self.block();
            let (first, second) = buffer[start..].split_at_mut(self.block());
            for row in 0..self.height.min(from.height) {
                let floats = self.width.min(from.width) * self.lanes;
                let source = values[from.at(row, 0)..][..floats].chunks_exact(self.lanes);
                let at = self.at(row, 0);
                for (pixel, to) in
                    source.clone().zip(first[at..][..floats].chunks_exact_mut(self.lanes))
                {
                    to[lane..].copy_from_slice(&pixel[..head]);
                }
                if head < there {
                    let to = second[at..][..floats].chunks_exact_mut(self.lanes);
                    for (pixel, to) in source.zip(to) {
                        to[..lane].copy_from_slice(&pixel[head..]);
                        to[lane..].fill(0.0);
                    }
                }
            }
        }
    }
}
