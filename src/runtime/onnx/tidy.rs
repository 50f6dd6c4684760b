//! Blanks the fields of a file that have another wire type than the schema says, and text that is none.

use super::schema::{self, Holds, Message};
use super::varint;

/// Messages inside messages. The decoder ends at 100; an `If` inside an `If` takes three.
const DEPTH_MAX: usize = 96;

/// Messages in one file. A message of two bytes becomes a structure of some hundred, so this is a
/// bound on memory: 2 million take 1 GB at most. A graph of 200,000 nodes has some 1 million.
const MESSAGES_MAX: usize = 2_000_000;

/// Texts and byte strings in one file: 24 bytes each beside their content, so 0.8 GB at most. A
/// tree ensemble has one for each of its tree nodes.
const TEXTS_MAX: usize = 32 << 20;

/// Makes `file` one that the decoder takes, where Google's would take it.
///
/// # Errors
/// A sentence with the place, when the bytes are no protobuf message or more than the limits.
pub(super) fn tidy(file: &mut [u8]) -> Result<(), String> {
    let mut walk = Walk { bytes: file, messages: 0, texts: 0 };
    let end = walk.bytes.len();
    walk.message(Message::Model, 0, end, 0)
}

struct Walk<'b> {
    bytes: &'b mut [u8],
    messages: usize,
    texts: usize,
}

/// One field as it stands in the bytes.
#[derive(Debug, Clone, Copy)]
struct Field {
    number: u64,
    wire: Wire,
    /// Where its tag begins, its content begins, and the next field begins.
    start: usize,
    content: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Varint,
    Eight,
    Counted,
    Group,
    Four,
}

impl Walk<'_> {
    fn message(
        &mut self,
        kind: Message,
        from: usize,
        to: usize,
        depth: usize,
    ) -> Result<(), String> {
        self.messages += 1;
        if self.messages > MESSAGES_MAX {
            return Err(format!("it holds more than the {MESSAGES_MAX} parts that are allowed"));
        }
        if depth > DEPTH_MAX {
            return Err(format!("its parts are nested deeper than {DEPTH_MAX}, at byte {from}"));
        }
        let mut at = from;
        while at < to {
            let field = self.field(at, to, depth)?;
            at = field.end;
            let Some(holds) = schema::field(kind, field.number) else { continue };
            match (holds, field.wire) {
                (Holds::Inside(inner), Wire::Counted) => {
                    self.message(inner, field.content, field.end, depth + 1)?;
                }
                (Holds::Text, Wire::Counted) => {
                    self.count_text()?;
                    readable(&mut self.bytes[field.content..field.end]);
                }
                (Holds::Bytes, Wire::Counted) => self.count_text()?,
                (Holds::Integer | Holds::Integers, Wire::Varint)
                | (Holds::Float | Holds::Floats, Wire::Four)
                | (Holds::Doubles, Wire::Eight) => {}
                (Holds::Integers, Wire::Counted) if self.packed_varints(field) => {}
                (Holds::Floats, Wire::Counted) if (field.end - field.content).is_multiple_of(4) => {
                }
                (Holds::Doubles, Wire::Counted)
                    if (field.end - field.content).is_multiple_of(8) => {}
                (
                    Holds::Integer
                    | Holds::Integers
                    | Holds::Float
                    | Holds::Floats
                    | Holds::Doubles
                    | Holds::Bytes
                    | Holds::Text
                    | Holds::Inside(_),
                    _,
                ) => blank(&mut self.bytes[field.start..field.end], schema::vacant(kind)),
            }
        }
        Ok(())
    }

    fn count_text(&mut self) -> Result<(), String> {
        self.texts += 1;
        match self.texts > TEXTS_MAX {
            true => Err(format!("it holds more than the {TEXTS_MAX} texts that are allowed")),
            false => Ok(()),
        }
    }

    fn packed_varints(&self, field: Field) -> bool {
        // The last byte ends an integer, and no ten bytes in a row go on.
        let content = &self.bytes[field.content..field.end];
        let mut going_on = 0;
        for byte in content {
            going_on = if byte & 0x80 == 0 { 0 } else { going_on + 1 };
            if going_on == varint::BYTES_MAX {
                return false;
            }
        }
        going_on == 0
    }

    /// The field at `at`, which must end at `to` at the latest.
    fn field(&self, at: usize, to: usize, depth: usize) -> Result<Field, String> {
        let cut = || format!("it ends, or goes astray, at byte {at}");
        let (tag, length) = varint::read(&self.bytes[at..to]).ok_or_else(cut)?;
        let content = at + length;
        let number = tag >> 3;
        if number == 0 {
            return Err(cut());
        }
        let (wire, content, end) = match tag & 7 {
            0 => {
                let (_, length) = varint::read(&self.bytes[content..to]).ok_or_else(cut)?;
                (Wire::Varint, content, content + length)
            }
            1 => (Wire::Eight, content, content + 8),
            2 => {
                let (size, length) = varint::read(&self.bytes[content..to]).ok_or_else(cut)?;
                let content = content + length;
                let size = usize::try_from(size).map_err(|_| cut())?;
                (Wire::Counted, content, content.checked_add(size).ok_or_else(cut)?)
            }
            3 => (Wire::Group, content, self.group_end(content, to, number, depth + 1)?),
            5 => (Wire::Four, content, content + 4),
            _ => return Err(cut()),
        };
        match end <= to {
            true => Ok(Field { number, wire, start: at, content, end }),
            false => Err(cut()),
        }
    }

    /// Where the group of this number, whose content begins at `at`, is over.
    fn group_end(&self, at: usize, to: usize, number: u64, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX {
            return Err(format!("its parts are nested deeper than {DEPTH_MAX}, at byte {at}"));
        }
        let mut at = at;
        while at < to {
            if let Some((tag, length)) = varint::read(&self.bytes[at..to])
                && tag == number << 3 | 4
            {
                return Ok(at + length);
            }
            at = self.field(at, to, depth)?.end;
        }
        Err(format!("it ends inside of a group, at byte {at}"))
    }
}

/// Puts a field that every decoder skips, of number `vacant`, over the whole of `place`.
fn blank(place: &mut [u8], vacant: u64) {
    let Some((tag, rest)) = place.split_first_mut() else { return };
    if rest.len() <= varint::BYTES_MAX {
        *tag = (vacant << 3) as u8;
        varint::fill(rest, 0);
    } else {
        *tag = (vacant << 3 | 2) as u8;
        let (length, content) = rest.split_at_mut(varint::BYTES_MAX);
        varint::fill(length, content.len() as u64);
    }
}

/// Puts a question mark over each byte that is no UTF-8; the length stays.
fn readable(text: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(text) {
        let from = error.valid_up_to();
        let to = error.error_len().map_or(text.len(), |length| from + length);
        text[from..to].fill(b'?');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::prelude::Framework;

    fn counted(number: u8, content: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2, content.len() as u8];
        field.extend(content);
        field
    }

    fn decode(bytes: &[u8]) -> tract_onnx::pb::ModelProto {
        let mut file = bytes.to_vec();
        tidy(&mut file).unwrap();
        tract_onnx::onnx().proto_model_for_read(&mut file.as_slice()).unwrap()
    }

    #[test]
    fn fields_of_another_type_are_skipped_and_the_others_read() {
        let mistyped: [(&str, Vec<u8>); 5] = [
            ("a varint where a text belongs", vec![2 << 3, 7]),
            ("a long varint where a text belongs", vec![2 << 3, 0x87, 0x80, 0x80, 1]),
            ("a text where a number belongs", counted(5, b"twelve letters")),
            ("eight bytes where a graph belongs", vec![7 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8]),
            ("a group where a text belongs", vec![3 << 3 | 3, 1 << 3, 5, 3 << 3 | 4]),
        ];
        for (case, field) in mistyped {
            let mut file = counted(4, b"domain");
            file.extend(&field);
            file.extend(counted(7, &counted(2, b"graph")));
            let model = decode(&file);
            assert_eq!(model.domain, "domain", "{case}");
            assert_eq!(model.graph.unwrap().name, "graph", "{case}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_become_question_marks() {
        let model = decode(&counted(2, b"caf\xe9 \xc3\xa9"));
        assert_eq!(model.producer_name, "caf? é");
    }

    #[test]
    fn a_tidy_file_stays_as_it_is() {
        let mut file = counted(7, &counted(1, &counted(4, b"Relu")));
        let before = file.clone();
        tidy(&mut file).unwrap();
        assert_eq!(file, before);
    }

    #[test]
    fn a_file_that_ends_early_is_refused_by_its_place() {
        let mut file = counted(7, &counted(1, &counted(4, b"Relu")));
        file.truncate(6);
        assert_eq!(tidy(&mut file).unwrap_err(), "it ends, or goes astray, at byte 0");
    }

    #[test]
    fn endless_nesting_is_refused() {
        let mut file = counted(4, b"x");
        for _ in 0..60 {
            // graph, node, attribute, graph, …: a model of `If`s inside `If`s
            let mut outer = Vec::new();
            for number in [6, 5, 1] {
                outer = vec![number << 3 | 2];
                let mut length = [0; 10];
                varint::fill(&mut length, file.len() as u64);
                outer.extend(length);
                outer.extend(&file);
                file.clone_from(&outer);
            }
            file = outer;
        }
        let mut model = vec![7 << 3 | 2];
        let mut length = [0; 10];
        varint::fill(&mut length, file.len() as u64);
        model.extend(length);
        model.extend(&file);
        assert!(tidy(&mut model).unwrap_err().contains("nested deeper than 96"));
    }
}
