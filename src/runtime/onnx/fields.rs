//! The fields of a protobuf file, one after the other, read in a window: what is in them is left where it is.

use super::varint;
use crate::disk::Picking;
use std::ops::Range;

/// Bytes that are read at once: most parts of a graph are some hundred bytes long.
const WINDOW_BYTES: usize = 64 << 10;

/// How a field is marked that tells how many bytes it has.
pub(super) const COUNTED: u64 = 2;

/// A field: its tag, and where it begins, its content begins, and it ends.
pub(super) struct Field {
    pub(super) tag: u64,
    pub(super) start: u64,
    pub(super) content: u64,
    pub(super) end: u64,
}

/// A file, and what of it was read last.
pub(super) struct Fields<'f> {
    file: &'f Picking,
    window: Vec<u8>,
    /// Where in the file the window begins.
    start: u64,
}

impl Fields<'_> {
    pub(super) fn of(file: &Picking) -> Fields<'_> {
        Fields { file, window: Vec::new(), start: 0 }
    }

    /// The field at `start`, which must end at `end` at the latest.
    pub(super) fn field(&mut self, start: u64, end: u64) -> Option<Field> {
        let mut content = start;
        let tag = self.varint(&mut content, end)?;
        let field_end = match tag & 7 {
            0 => {
                let mut at = content;
                self.varint(&mut at, end)?;
                at
            }
            1 => content + 8,
            COUNTED => {
                let size = self.varint(&mut content, end)?;
                content.checked_add(size)?
            }
            5 => content + 4,
            _ => return None,
        };
        (field_end <= end).then_some(Field { tag, start, content, end: field_end })
    }

    /// These bytes of the file, where all of them were read already.
    pub(super) fn seen(&self, range: &Range<u64>) -> Option<&[u8]> {
        let has = self.start..self.start + self.window.len() as u64;
        let is_here = has.start <= range.start && range.end <= has.end;
        let from = range.start.checked_sub(self.start)? as usize;
        is_here.then(|| &self.window[from..][..(range.end - range.start) as usize])
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
