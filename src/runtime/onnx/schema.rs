//! The fields of ONNX's messages, as far as the decoder behind us knows them.

/// A message of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Annotation,
    Attribute,
    Dimension,
    Entry,
    Function,
    Graph,
    Model,
    Node,
    OperatorSet,
    Segment,
    Shape,
    SparseTensor,
    Tensor,
    TensorType,
    Training,
    Type,
    ValueInfo,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// One integer.
    Integer,
    /// Integers, each on its own or many packed.
    Integers,
    /// One 32-bit float.
    Float,
    /// 32-bit floats, each on its own or many packed.
    Floats,
    /// 64-bit floats, each on its own or many packed.
    Doubles,
    /// Bytes of any kind.
    Bytes,
    /// UTF-8.
    Text,
    /// A message inside.
    Inside(Message),
}

/// What the field of this number holds; none for a field that the decoder skips.
///
/// The numbers are those of the specification, <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
pub(super) fn field(message: Message, number: u64) -> Option<Holds> {
    use Holds::{Bytes, Doubles, Float, Floats, Inside, Integer, Integers, Text};
    use Message as M;
    Some(match (message, number) {
        (M::Model, 1 | 5) => Integer,
        (M::Model, 2 | 3 | 4 | 6) => Text,
        (M::Model, 7) => Inside(M::Graph),
        (M::Model, 8) => Inside(M::OperatorSet),
        (M::Model, 14) => Inside(M::Entry),
        (M::Model, 20) => Inside(M::Training),
        (M::Model, 25) => Inside(M::Function),
        (M::Graph, 1) => Inside(M::Node),
        (M::Graph, 2 | 10) => Text,
        (M::Graph, 5) => Inside(M::Tensor),
        (M::Graph, 11..=13) => Inside(M::ValueInfo),
        (M::Graph, 14) => Inside(M::Annotation),
        (M::Graph, 15) => Inside(M::SparseTensor),
        (M::Node, 1..=4 | 6 | 7) => Text,
        (M::Node, 5) => Inside(M::Attribute),
        (M::Attribute, 1 | 13 | 21) => Text,
        (M::Attribute, 2) => Float,
        (M::Attribute, 3 | 20) => Integer,
        (M::Attribute, 4 | 9) => Bytes,
        (M::Attribute, 5 | 10) => Inside(M::Tensor),
        (M::Attribute, 6 | 11) => Inside(M::Graph),
        (M::Attribute, 7) => Floats,
        (M::Attribute, 8) => Integers,
        (M::Attribute, 15) => Inside(M::Type),
        (M::Attribute, 22 | 23) => Inside(M::SparseTensor),
        (M::ValueInfo, 1 | 3) => Text,
        (M::ValueInfo, 2) => Inside(M::Type),
        (M::Tensor, 1 | 5 | 7 | 11) => Integers,
        (M::Tensor, 2 | 14) => Integer,
        (M::Tensor, 3) => Inside(M::Segment),
        (M::Tensor, 4) => Floats,
        (M::Tensor, 6 | 9) => Bytes,
        (M::Tensor, 8 | 12) => Text,
        (M::Tensor, 10) => Doubles,
        (M::Tensor, 13) => Inside(M::Entry),
        (M::Segment, 1 | 2) => Integer,
        (M::SparseTensor, 1 | 2) => Inside(M::Tensor),
        (M::SparseTensor, 3) => Integers,
        (M::Shape, 1) => Inside(M::Dimension),
        (M::Dimension, 1) => Integer,
        (M::Dimension, 2 | 3) => Text,
        (M::Type, 1) => Inside(M::TensorType),
        (M::Type, 6) => Text,
        (M::TensorType, 1) => Integer,
        (M::TensorType, 2) => Inside(M::Shape),
        (M::Entry, 1 | 2) => Text,
        (M::Annotation, 1) => Text,
        (M::Annotation, 2) => Inside(M::Entry),
        (M::OperatorSet, 1) => Text,
        (M::OperatorSet, 2) => Integer,
        (M::Training, 1 | 2) => Inside(M::Graph),
        (M::Training, 3 | 4) => Inside(M::Entry),
        (M::Function, 1 | 4..=6 | 8 | 10) => Text,
        (M::Function, 7) => Inside(M::Node),
        (M::Function, 9) => Inside(M::OperatorSet),
        (_, _) => return None,
    })
}

/// A number below 16 that is no field of the message, so that its tag takes one byte.
pub(super) fn vacant(message: Message) -> u64 {
    (1..16).find(|number| field(message, *number).is_none()).unwrap_or(15)
}
