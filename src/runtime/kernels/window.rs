//! The window that a convolution or a pool moves over an image: its size, its steps, its holes.

use super::map::{Frame, Map};

/// All by rows, then by columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Window {
    pub(in crate::runtime) size: [usize; 2],
    pub(in crate::runtime) stride: [usize; 2],
    pub(in crate::runtime) dilation: [usize; 2],
    /// Pixels above and to the left of the image where the first window begins.
    pub(in crate::runtime) padding: [usize; 2],
}

impl Window {
    /// Pixels that it looks at.
    pub(in crate::runtime) fn taps(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The pixels beyond an image of such a size that windows for such an output look at.
    pub(in crate::runtime) fn frame(&self, input: [usize; 2], output: [usize; 2]) -> Frame {
        let after = |axis: usize| {
            let reach = (output[axis] - 1) * self.stride[axis]
                + (self.size[axis] - 1) * self.dilation[axis]
                + 1;
            reach.saturating_sub(self.padding[axis] + input[axis])
        };
        Frame { top: self.padding[0], left: self.padding[1], bottom: after(0), right: after(1) }
    }

    /// Whether it moves, and looks at something.
    pub(in crate::runtime) fn is_sound(&self) -> bool {
        self.size.iter().chain(&self.stride).chain(&self.dilation).all(|it| *it > 0)
    }

    /// Whether it stays inside of the input with its frame, for each pixel of the output.
    pub(super) fn fits(&self, input: &Map, output: &Map) -> bool {
        let maps = [input, output];
        let is_empty = |map: &&Map| map.channels * map.height * map.width == 0;
        if !self.is_sound() || maps.iter().any(is_empty) {
            return false;
        }
        let needed = self.frame([input.height, input.width], [output.height, output.width]);
        input.frame == input.frame.with(needed)
    }

    /// The input's first float under the window of an output's pixel, in the first block.
    pub(super) fn first(&self, input: &Map, row: usize, column: usize) -> usize {
        (input.frame.top + row * self.stride[0] - self.padding[0]) * input.row()
            + (input.frame.left + column * self.stride[1] - self.padding[1]) * input.lanes
    }
}
