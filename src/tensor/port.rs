//! What a model takes or gives under one name: element type and dimensions, some of them free.

use super::ElementType;
use std::fmt;

/// One dimension of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// Always this extent.
    Fixed(usize),
    /// Any extent; ports of one model that carry the same name have the same extent.
    Free(String),
}

/// A named input or output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The name in the ONNX graph.
    pub name: String,
    /// The element type.
    pub element: ElementType,
    /// The dimensions, outermost first; empty for a scalar. For an input the first is the batch.
    pub dimensions: Vec<Dimension>,
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dimension::Fixed(extent) => write!(f, "{extent}"),
            Dimension::Free(name) => f.write_str(name),
        }
    }
}

/// As ONNX writes a tensor's type: `float[batch,3,224,224]`.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.element)?;
        for (index, dimension) in self.dimensions.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{dimension}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_reads_as_onnx_writes_it() {
        let port = Port {
            name: "image".into(),
            element: ElementType::F32,
            dimensions: vec![Dimension::Free("batch".into()), Dimension::Fixed(3)],
        };
        assert_eq!(port.to_string(), "float[batch,3]");
    }
}
