//! Finds where in a file the raw bytes of stored tensors are, without reading them.

use super::fields::{COUNTED, Field, Fields};
use super::schema::{self, Holds, Message};
use crate::disk::Picking;
use std::ops::Range;

/// Messages inside messages, as in a file that was tidied.
const DEPTH_MAX: usize = 96;

/// Where the raw bytes of each stored tensor are, in the order of the file; what cannot be read as
/// the schema says is passed over.
pub(in super::super) fn raw_data(file: &Picking) -> Vec<Range<u64>> {
    let mut walk = Walk { fields: Fields::of(file), found: Vec::new() };
    walk.message(0..file.bytes(), Message::Model, 0);
    walk.found
}

struct Walk<'f> {
    fields: Fields<'f>,
    found: Vec<Range<u64>>,
}

impl Walk<'_> {
    fn message(&mut self, within: Range<u64>, kind: Message, depth: usize) -> Option<()> {
        let mut at = within.start;
        while depth <= DEPTH_MAX && at < within.end {
            let Field { tag, content, end, .. } = self.fields.field(at, within.end)?;
            let is_counted = tag & 7 == COUNTED;
            if is_counted && (kind, tag >> 3) == (Message::Tensor, 9) {
                self.found.push(content..end);
            } else if is_counted && let Some(Holds::Inside(inner)) = schema::field(kind, tag >> 3) {
                self.message(content..end, inner, depth + 1);
            }
            at = end;
        }
        Some(())
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
