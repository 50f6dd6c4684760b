//! A model's file without its long tensors, so that these are read once each, into the place where they stay.

use super::fields::{COUNTED, Fields};
use super::seat::Seat;
use crate::disk::Picking;
use std::ops::Range;

/// Bytes of a tensor from which on it is left where it is.
const LONG_BYTES_MIN: u64 = 4 << 10;

/// How much of a file may be left when its tensors are not there: this, or such a part of it.
const LIGHT_BYTES_MAX: u64 = 256 << 10;
const PART: u64 = 8;

/// Fields of ONNX's messages, and how a field of so many bytes is marked.
const GRAPH: u64 = 7 << 3 | COUNTED;
const INITIALIZER: u64 = 5 << 3 | COUNTED;
const NODE: u64 = 1 << 3 | COUNTED;
const OPERATOR: u64 = 4 << 3 | COUNTED;
const ATTRIBUTE: u64 = 5 << 3 | COUNTED;
const TENSOR: u64 = 5 << 3 | COUNTED;
const RAW_DATA: u64 = 9 << 3 | COUNTED;

/// The file with empty raw bytes in the place of long ones.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Light {
    pub(super) bytes: Vec<u8>,
    /// Which of the graph's tensors are empty, and where in the file their bytes are.
    pub(super) long: Vec<(Seat, Range<u64>)>,
    /// How many tensors the graph stores.
    pub(super) tensors: usize,
    /// How many nodes it has.
    pub(super) nodes: usize,
}

/// Reads a file but for the raw bytes of its graph's long tensors; none when it is not as simple as what
/// exporters write, and has to be read as a whole.
pub(super) fn read(file: &Picking) -> Option<Light> {
    let mut walk = Walk { file, fields: Fields::of(file), long: Vec::new(), tensors: 0, nodes: 0 };
    let bytes = walk.model()?;
    let Walk { long, tensors, nodes, .. } = walk;
    Some(Light { bytes, long, tensors, nodes })
}

struct Walk<'f> {
    file: &'f Picking,
    fields: Fields<'f>,
    long: Vec<(Seat, Range<u64>)>,
    tensors: usize,
    nodes: usize,
}

impl Walk<'_> {
    fn model(&mut self) -> Option<Vec<u8>> {
        let mut made = Vec::new();
        let (mut at, end) = (0, self.file.bytes());
        while at < end {
            let field = self.fields.field(at, end)?;
            at = field.end;
            match field.tag {
                GRAPH => {
                    let graph = self.graph(field.content..field.end)?;
                    put(&mut made, GRAPH, &graph);
                }
                _ => self.copy(field.start..field.end, &mut made)?,
            }
        }
        Some(made)
    }

    fn graph(&mut self, within: Range<u64>) -> Option<Vec<u8>> {
        let mut made = Vec::new();
        let mut at = within.start;
        while at < within.end {
            let field = self.fields.field(at, within.end)?;
            at = field.end;
            match field.tag {
                INITIALIZER => {
                    let seat = Seat::Stored(self.tensors);
                    let tensor = self.tensor(field.content..field.end, seat)?;
                    put(&mut made, INITIALIZER, &tensor);
                    self.tensors += 1;
                }
                NODE => {
                    if field.end - field.content < LONG_BYTES_MIN {
                        self.copy(field.start..field.end, &mut made)?;
                    } else {
                        let node = self.node(field.content..field.end)?;
                        put(&mut made, NODE, &node);
                    }
                    self.nodes += 1;
                }
                _ => self.copy(field.start..field.end, &mut made)?,
            }
        }
        Some(made)
    }

    fn node(&mut self, within: Range<u64>) -> Option<Vec<u8>> {
        let mut made = Vec::new();
        let (mut at, known) = (within.start, self.long.len());
        let (mut attributes, mut is_constant) = (0, false);
        while at < within.end {
            let field = self.fields.field(at, within.end)?;
            at = field.end;
            attributes += usize::from(field.tag == ATTRIBUTE);
            if field.tag == ATTRIBUTE && LONG_BYTES_MIN <= field.end - field.content {
                let attribute = self.attribute(field.content..field.end)?;
                put(&mut made, ATTRIBUTE, &attribute);
                continue;
            }
            self.copy(field.start..field.end, &mut made)?;
            if field.tag == OPERATOR {
                let name = b"Constant";
                is_constant =
                    field.end - field.content == name.len() as u64 && made.ends_with(name);
            }
        }
        // Of others, not all that is in their tensors is asked for by way of tract's graph.
        let is_whole = known == self.long.len() || is_constant && attributes == 1;
        is_whole.then_some(made)
    }

    /// The only attribute of a node.
    fn attribute(&mut self, within: Range<u64>) -> Option<Vec<u8>> {
        let mut made = Vec::new();
        let (mut at, mut is_known) = (within.start, false);
        while at < within.end {
            let field = self.fields.field(at, within.end)?;
            at = field.end;
            if field.tag != TENSOR {
                self.copy(field.start..field.end, &mut made)?;
                continue;
            }
            if std::mem::replace(&mut is_known, true) {
                return None; // both are one, which is for the decoder to say
            }
            let tensor = self.tensor(field.content..field.end, Seat::Node(self.nodes))?;
            put(&mut made, TENSOR, &tensor);
        }
        Some(made)
    }

    fn tensor(&mut self, within: Range<u64>, seat: Seat) -> Option<Vec<u8>> {
        let mut made = Vec::new();
        let (mut at, mut is_known) = (within.start, false);
        while at < within.end {
            let field = self.fields.field(at, within.end)?;
            at = field.end;
            if field.tag != RAW_DATA {
                self.copy(field.start..field.end, &mut made)?;
                continue;
            }
            if std::mem::replace(&mut is_known, true) {
                return None; // the last one counts, which is for the decoder to say
            }
            if field.end - field.content < LONG_BYTES_MIN {
                self.copy(field.start..field.end, &mut made)?;
            } else {
                self.long.push((seat, field.content..field.end));
            }
        }
        Some(made)
    }

    /// Appends these bytes of the file.
    fn copy(&mut self, range: Range<u64>, to: &mut Vec<u8>) -> Option<()> {
        // What is mostly here is read once, and not copied from message to message.
        if LIGHT_BYTES_MAX.max(self.file.bytes() / PART) < to.len() as u64 + range.end - range.start
        {
            return None;
        }
        if let Some(bytes) = self.fields.seen(&range) {
            to.extend_from_slice(bytes);
            return Some(());
        }
        let at = to.len();
        let bytes = usize::try_from(range.end - range.start).ok()?;
        to.try_reserve(bytes).ok()?;
        to.resize(at + bytes, 0);
        self.file.read_exact_at(&mut to[at..], range.start).ok()
    }
}

/// Appends a field of so many bytes.
fn put(to: &mut Vec<u8>, tag: u64, content: &[u8]) {
    for mut number in [tag, content.len() as u64] {
        while number >= 0x80 {
            to.push(number as u8 | 0x80);
            number >>= 7;
        }
        to.push(number as u8);
    }
    to.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Stretch;
    use prost::Message;
    use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};

    fn light(bytes: &[u8]) -> Option<Light> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(&Stretch::whole(file.path().to_owned()).pick().unwrap())
    }

    fn model() -> ModelProto {
        let tensor = |name: &str, bytes: usize| TensorProto {
            dims: vec![bytes as i64],
            data_type: 3,
            name: name.into(),
            raw_data: (0..bytes).map(|it| it as u8).collect(),
            ..TensorProto::default()
        };
        let node = |operator: &str, held: Option<TensorProto>| NodeProto {
            op_type: operator.into(),
            attribute: Vec::from_iter(held.map(|tensor| AttributeProto {
                name: "value".into(),
                t: Some(tensor),
                ..AttributeProto::default()
            })),
            ..NodeProto::default()
        };
        let short = node("Constant", Some(tensor("d", 50)));
        let long = node("Constant", Some(tensor("e", 6_000)));
        let graph = GraphProto {
            node: vec![node("Neg", None), short, long],
            initializer: vec![tensor("a", 70_000), tensor("b", 100), tensor("c", 5_000)],
            ..GraphProto::default()
        };
        ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() }
    }

    #[test]
    fn a_file_without_its_long_tensors_is_whole_again_with_them() {
        let model = model();
        let bytes = model.encode_to_vec();
        let light = light(&bytes).unwrap();
        assert!(light.bytes.len() < 600 && (light.tensors, light.nodes) == (3, 3));
        let mut again = ModelProto::decode(light.bytes.as_slice()).unwrap();
        let graph = again.graph.as_mut().unwrap();
        let seats = [Seat::Node(2), Seat::Stored(0), Seat::Stored(2)];
        assert_eq!(light.long.iter().map(|(seat, _)| *seat).collect::<Vec<_>>(), seats);
        for (seat, range) in light.long {
            let tensor = seat.tensor(graph).unwrap();
            assert!(tensor.raw_data.is_empty());
            tensor.raw_data = bytes[range.start as usize..range.end as usize].to_vec();
        }
        assert_eq!(again, model);
    }

    #[test]
    fn a_long_tensor_of_another_operator_is_for_others_to_read() {
        let mut model = model();
        model.graph.as_mut().unwrap().node[2].op_type = "TreeEnsemble".into();
        assert_eq!(light(&model.encode_to_vec()), None);
        let mut model = self::model();
        let long = &mut model.graph.as_mut().unwrap().node[2];
        long.attribute.push(AttributeProto { name: "more".into(), ..AttributeProto::default() });
        assert_eq!(light(&model.encode_to_vec()), None);
    }

    #[test]
    fn a_cut_file_or_one_with_bytes_twice_is_for_others_to_read() {
        let bytes = model().encode_to_vec();
        for length in [1, 5, 100, 70_000, bytes.len() - 1] {
            assert_eq!(light(&bytes[..length]), None, "{length} bytes");
        }
        let tensor = [9 << 3 | 2, 1, b'a', 9 << 3 | 2, 1, b'b'];
        let graph: Vec<u8> = [5 << 3 | 2, 6].into_iter().chain(tensor).collect();
        let twice: Vec<u8> = [7 << 3 | 2, 8].into_iter().chain(graph).collect();
        assert_eq!(light(&twice), None);
    }
}
