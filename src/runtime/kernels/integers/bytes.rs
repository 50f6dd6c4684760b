//! Codes in the places that a map has for floats: in blocks of channels, inside of a frame of zero points.

use super::super::map::Map;
use super::lanes::QUAD;

/// Writes the zero point into the frame.
pub(in crate::runtime) fn clear_frame(map: &Map, zero: u8, buffer: &mut [u8]) {
    if !map.is_framed() {
        return;
    }
    let (row, pixels) = (map.row(), map.width * map.lanes);
    for block in buffer.chunks_exact_mut(map.block()) {
        let (first, last) = (map.at(0, 0), map.at(map.height - 1, 0) + pixels);
        block[..first].fill(zero);
        block[last..].fill(zero);
        // From the end of one row to the beginning of the next, all is frame.
        for end in (first + pixels..last).step_by(row) {
            block[end..end + row - pixels].fill(zero);
        }
    }
}

/// Brings an image in, channel by channel as tensors have it; `moved` has the bits that are turned,
/// which makes codes of integers with a sign. Writes the frame, too.
pub(in crate::runtime) fn bring_in(
    map: &Map,
    zero: u8,
    image: &[u8],
    moved: u8,
    buffer: &mut [u8],
) {
    clear_frame(map, zero, buffer);
    let pixels = map.height * map.width;
    let blocks = buffer.chunks_exact_mut(map.block());
    for (block, channels) in blocks.zip(image.chunks(map.lanes * pixels)) {
        let there = channels.len() / pixels;
        for row in 0..map.height {
            let line = &mut block[map.at(row, 0)..][..map.width * map.lanes];
            let channel = |lane: usize| &channels[lane * pixels + row * map.width..][..map.width];
            if map.lanes == QUAD {
                // An image of few channels, as a net begins with.
                let [a, b, c, d] = std::array::from_fn(|lane| channel(lane.min(there - 1)));
                let columns = a.iter().zip(b).zip(c).zip(d);
                for (pixel, (((a, b), c), d)) in
                    line.as_chunks_mut::<QUAD>().0.iter_mut().zip(columns)
                {
                    *pixel = [a ^ moved, b ^ moved, c ^ moved, d ^ moved];
                }
                continue;
            }
            for lane in 0..there {
                for (pixel, code) in line.chunks_exact_mut(map.lanes).zip(channel(lane)) {
                    pixel[lane] = code ^ moved;
                }
            }
            // Behind the last channel lies what means nothing.
        }
    }
}

/// Takes an image out, channel by channel.
pub(in crate::runtime) fn take_out(map: &Map, buffer: &[u8], moved: u8, image: &mut [u8]) {
    let pixels = map.height * map.width;
    let blocks = buffer.chunks_exact(map.block());
    for (block, channels) in blocks.zip(image.chunks_mut(map.lanes * pixels)) {
        for row in 0..map.height {
            let line = &block[map.at(row, 0)..][..map.width * map.lanes];
            for (lane, channel) in channels.chunks_exact_mut(pixels).enumerate() {
                let to = &mut channel[row * map.width..][..map.width];
                for (code, pixel) in to.iter_mut().zip(line.chunks_exact(map.lanes)) {
                    *code = pixel[lane] ^ moved;
                }
            }
        }
    }
}
