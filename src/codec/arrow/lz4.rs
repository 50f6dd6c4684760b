//! LZ4 frames into memory that is there already, in safe code and without a copy on the way.

use super::xxh32::xxh32;

/// How a frame begins (LZ4 Frame Format, "General Structure of LZ4 Frame format").
const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

/// The flags of a frame's descriptor.
const VERSION_BITS: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const INDEPENDENT: u8 = 0b0010_0000;
const BLOCK_CHECKSUMS: u8 = 0b0001_0000;
const CONTENT_SIZE: u8 = 0b0000_1000;
const CONTENT_CHECKSUM: u8 = 0b0000_0100;
const RESERVED: u8 = 0b0000_0010;
const DICTIONARY: u8 = 0b0000_0001;

/// The bit of a block's size that says: what follows is not compressed.
const STORED: u32 = 1 << 31;

/// The length field of a token that is full: further bytes add to it.
const FULL: usize = 15;

/// The shortest match, which its length field counts from.
const MATCH_MIN: usize = 4;

/// Short pieces are moved by this much at once, with what follows them, which is overwritten next.
const PIECE: usize = 16;

/// What is wrong with a frame.
pub(super) type Unsound = &'static str;

/// Decompresses one whole frame, which must fill `out` exactly.
///
/// Arrow's own way makes a copy of each block before and after, and moves a repeated value byte by
/// byte: six times slower for an image of even patches.
pub(super) fn decompress(frame: &[u8], out: &mut [u8]) -> Result<(), Unsound> {
    let mut input = Input(frame);
    let Descriptor { flags, block_bytes_max } = descriptor(&mut input, out.len())?;
    let has = |flag| flags & flag != 0;
    let mut end = 0;
    loop {
        let size = input.number()?;
        if size == 0 {
            break;
        }
        let data = input.take((size & !STORED) as usize)?;
        if has(BLOCK_CHECKSUMS) && input.number()? != xxh32(data) {
            return Err("a block's checksum is wrong");
        }
        let start = end;
        // A block that is independent of the others refers to nothing before it.
        let floor = if has(INDEPENDENT) { start } else { 0 };
        let until = out.len().min(start + block_bytes_max);
        end = match size & STORED {
            0 => block(data, &mut out[floor..until], start - floor)? + floor,
            _ => {
                let room = out[start..until].get_mut(..data.len()).ok_or(TOO_LONG)?;
                room.copy_from_slice(data);
                start + data.len()
            }
        };
    }
    if has(CONTENT_CHECKSUM) && input.number()? != xxh32(&out[..end]) {
        return Err("its checksum is wrong");
    }
    match (end == out.len(), input.0.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err("it is shorter than it should be"),
        (true, false) => Err("something follows its end"),
    }
}

const CUT: Unsound = "it is cut short";
const TOO_LONG: Unsound = "it is longer than it should be";
const OUTSIDE: Unsound = "it repeats what is not there";

struct Descriptor {
    flags: u8,
    block_bytes_max: usize,
}

fn descriptor(input: &mut Input<'_>, length: usize) -> Result<Descriptor, Unsound> {
    if input.take(MAGIC.len())? != MAGIC {
        return Err("it does not begin as a frame does");
    }
    let begin = input.0;
    let [flags, sizes] = *input.array()?;
    if flags & VERSION_BITS != VERSION || flags & (RESERVED | DICTIONARY) != 0 {
        return Err("its flags are not known");
    }
    if flags & CONTENT_SIZE != 0 && u64::from_le_bytes(*input.array()?) != length as u64 {
        return Err("it tells another length than its buffer");
    }
    let read = begin.len() - input.0.len();
    let [checksum] = *input.array()?;
    if checksum != (xxh32(&begin[..read]) >> 8) as u8 {
        return Err("its descriptor's checksum is wrong");
    }
    match sizes >> 4 {
        size @ 4..=7 if sizes & 0xf == 0 => {
            Ok(Descriptor { flags, block_bytes_max: 1 << (8 + 2 * u32::from(size)) })
        }
        _ => Err("its block size is not known"),
    }
}

/// Decompresses a block to `out[at..]`; where it ends. What is before `at` may be referred to.
fn block(data: &[u8], out: &mut [u8], mut at: usize) -> Result<usize, Unsound> {
    let mut input = Input(data);
    loop {
        let [token] = *input.array()?;
        let literals = input.length(usize::from(token >> 4))?;
        if literals <= PIECE && PIECE <= input.0.len() && at + PIECE <= out.len() {
            out[at..at + PIECE].copy_from_slice(&input.0[..PIECE]);
            input.0 = &input.0[literals..];
        } else {
            let taken = input.take(literals)?;
            let room = out.get_mut(at..).and_then(|room| room.get_mut(..literals));
            room.ok_or(TOO_LONG)?.copy_from_slice(taken);
        }
        at += literals;
        // The last sequence has no match.
        if input.0.is_empty() {
            return Ok(at);
        }
        let offset = usize::from(u16::from_le_bytes(*input.array()?));
        let length = input.length(usize::from(token & 0xf))? + MATCH_MIN;
        if offset == 0 || at < offset {
            return Err(OUTSIDE);
        }
        if out.len() - at < length {
            return Err(TOO_LONG);
        }
        repeat(out, at, offset, length);
        at += length;
    }
}

/// Copies `length` bytes to `at` from `offset` before it; where they overlap, over and over.
fn repeat(out: &mut [u8], at: usize, offset: usize, length: usize) {
    let start = at - offset;
    if length <= PIECE && PIECE <= offset && at + PIECE <= out.len() {
        out.copy_within(start..start + PIECE, at);
        return;
    }
    // What is there is a multiple of the repeated piece, and doubles with each turn.
    let (mut done, mut there) = (0, offset);
    while done < length {
        let count = there.min(length - done);
        out.copy_within(start..start + count, at + done);
        done += count;
        there += count;
    }
}

/// What is left to read.
struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn take(&mut self, bytes: usize) -> Result<&'i [u8], Unsound> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const BYTES: usize>(&mut self) -> Result<&'i [u8; BYTES], Unsound> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, Unsound> {
        Ok(u32::from_le_bytes(*self.array()?))
    }

    /// A length from its four bits in the token, and the bytes that add to it.
    fn length(&mut self, bits: usize) -> Result<usize, Unsound> {
        let mut length = bits;
        if bits == FULL {
            loop {
                let [more] = *self.array()?;
                length += usize::from(more);
                if more != u8::MAX {
                    break;
                }
            }
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
