//! The type of a tensor's elements, with the names that ONNX and the answer's records give it.

use std::fmt;

/// The element types that travel through a pipeline: those of `TensorProto.DataType` (ONNX IR,
/// section "Tensor Element Types") without complex, bfloat16, 8-bit float and 4-bit types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// Truth values, one byte each.
    Bool,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Signed 8-bit integers.
    I8,
    /// Signed 16-bit integers.
    I16,
    /// Signed 32-bit integers.
    I32,
    /// Signed 64-bit integers.
    I64,
    /// UTF-8 text.
    String,
    /// Unsigned 8-bit integers.
    U8,
    /// Unsigned 16-bit integers.
    U16,
    /// Unsigned 32-bit integers.
    U32,
    /// Unsigned 64-bit integers.
    U64,
}

impl ElementType {
    /// Every element type, in the order of the enum.
    pub const ALL: [ElementType; 13] = [
        ElementType::Bool,
        ElementType::F16,
        ElementType::F32,
        ElementType::F64,
        ElementType::I8,
        ElementType::I16,
        ElementType::I32,
        ElementType::I64,
        ElementType::String,
        ElementType::U8,
        ElementType::U16,
        ElementType::U32,
        ElementType::U64,
    ];

    /// The name as ONNX spells it in its text form: `float`, `int64`, `string`.
    pub fn onnx_name(self) -> &'static str {
        match self {
            ElementType::Bool => "bool",
            ElementType::F16 => "float16",
            ElementType::F32 => "float",
            ElementType::F64 => "double",
            ElementType::I8 => "int8",
            ElementType::I16 => "int16",
            ElementType::I32 => "int32",
            ElementType::I64 => "int64",
            ElementType::String => "string",
            ElementType::U8 => "uint8",
            ElementType::U16 => "uint16",
            ElementType::U32 => "uint32",
            ElementType::U64 => "uint64",
        }
    }

    /// The type with this [`onnx_name`](Self::onnx_name).
    pub fn from_onnx_name(name: &str) -> Option<ElementType> {
        ElementType::ALL.into_iter().find(|element| element.onnx_name() == name)
    }

    /// The key under which an inference record lists an output of this type: `Float`, `Int64`.
    pub fn record_key(self) -> &'static str {
        match self {
            ElementType::Bool => "Bool",
            ElementType::F16 => "Half",
            ElementType::F32 => "Float",
            ElementType::F64 => "Double",
            ElementType::I8 => "Int8",
            ElementType::I16 => "Int16",
            ElementType::I32 => "Int32",
            ElementType::I64 => "Int64",
            ElementType::String => "String",
            ElementType::U8 => "Uint8",
            ElementType::U16 => "Uint16",
            ElementType::U32 => "Uint32",
            ElementType::U64 => "Uint64",
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.onnx_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_type() {
        for element in ElementType::ALL {
            assert_eq!(ElementType::from_onnx_name(element.onnx_name()), Some(element));
        }
    }
}
