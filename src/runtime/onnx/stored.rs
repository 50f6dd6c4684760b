//! Finds where in a file the raw bytes of stored tensors are, without reading them.

use super::schema::{self, Holds, Message};
use super::varint;
use crate::disk::Picking;
use std::ops::Range;

/// Messages inside messages, as in a file that was tidied.
const DEPTH_MAX: usize = 96;

/// Bytes that are read at once: most parts of a graph are some hundred bytes long.
const WINDOW_BYTES: usize = 64 << 10;

/// Where the raw bytes of each stored tensor are, in the order of the file; what cannot be read as
/// the schema says is passed over.
pub(in super::super) fn raw_data(file: &Picking) -> Vec<Range<u64>> {
    let mut walk = Walk { file, window: Vec::new(), start: 0, found: Vec::new() };
    walk.message(0..file.bytes(), Message::Model, 0);
    walk.found
}

struct Walk<'f> {
    file: &'f Picking,
    window: Vec<u8>,
    /// Where in the file the window begins.
    start: u64,
    found: Vec<Range<u64>>,
}

impl Walk<'_> {
    fn message(&mut self, within: Range<u64>, kind: Message, depth: usize) -> Option<()> {
        let mut at = within.start;
        while depth <= DEPTH_MAX && at < within.end {
            let tag = self.varint(&mut at, within.end)?;
            let wire = tag & 7;
            let end = match wire {
                0 => {
                    let mut end = at;
                    self.varint(&mut end, within.end)?;
                    end
                }
                1 => at + 8,
                2 => {
                    let size = self.varint(&mut at, within.end)?;
                    at.checked_add(size)?
                }
                5 => at + 4,
                _ => return None,
            };
            if end > within.end {
                return None;
            }
            if wire == 2 && (kind, tag >> 3) == (Message::Tensor, 9) {
                self.found.push(at..end);
            } else if wire == 2
                && let Some(Holds::Inside(inner)) = schema::field(kind, tag >> 3)
            {
                self.message(at..end, inner, depth + 1);
            }
            at = end;
        }
        Some(())
    }

    /// The integer at `at`, which then is behind it.
    fn varint(&mut self, at: &mut u64, end: u64) -> Option<u64> {
        let wanted = (varint::BYTES_MAX as u64).min(end.checked_sub(*at)?);
        let has = self.start..self.start + self.window.len() as u64;
        if *at < has.start || has.end < *at + wanted {
            self.window.resize(WINDOW_BYTES.min((self.file.bytes() - *at) as usize), 0);
            self.start = *at;
            self.file.read_exact_at(&mut self.window, *at).ok()?;
        }
        let from = (*at - self.start) as usize;
        let (value, length) = varint::read(&self.window[from..from + wanted as usize])?;
        *at += length as u64;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Stretch;

    #[test]
    fn the_bytes_of_stored_tensors_are_found_and_cut_files_are_no_harm() {
        let tensor = [9 << 3 | 2, 3, b'a', b'b', b'c'];
        let graph: Vec<u8> = [5 << 3 | 2, 5].into_iter().chain(tensor).collect();
        let model: Vec<u8> = [7 << 3 | 2, 7].into_iter().chain(graph).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        let found = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            raw_data(&Stretch::whole(file.path().to_owned()).pick().unwrap())
        };
        assert_eq!(found(&model), vec![Range { start: 6, end: 9 }]);
        for length in 0..model.len() {
            assert!(found(&model[..length]).is_empty(), "{length} bytes");
        }
    }
}
