//! The protocol's names of element types.

use crate::tensor::ElementType;

/// The protocol's name of an element type (Open Inference Protocol, "Tensor Data Types").
pub(super) fn datatype(element: ElementType) -> &'static str {
    match element {
        ElementType::Bool => "BOOL",
        ElementType::F16 => "FP16",
        ElementType::F32 => "FP32",
        ElementType::F64 => "FP64",
        ElementType::I8 => "INT8",
        ElementType::I16 => "INT16",
        ElementType::I32 => "INT32",
        ElementType::I64 => "INT64",
        ElementType::String => "BYTES",
        ElementType::U8 => "UINT8",
        ElementType::U16 => "UINT16",
        ElementType::U32 => "UINT32",
        ElementType::U64 => "UINT64",
    }
}

/// The element type of this name.
pub(super) fn element(datatype: &str) -> Option<ElementType> {
    ElementType::ALL.into_iter().find(|element| self::datatype(*element) == datatype)
}

/// Bytes of one element in binary form; a `BYTES` element has its own length.
pub(super) fn element_bytes(element: ElementType) -> Option<usize> {
    match element {
        ElementType::Bool | ElementType::I8 | ElementType::U8 => Some(1),
        ElementType::F16 | ElementType::I16 | ElementType::U16 => Some(2),
        ElementType::F32 | ElementType::I32 | ElementType::U32 => Some(4),
        ElementType::F64 | ElementType::I64 | ElementType::U64 => Some(8),
        ElementType::String => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_element_type_has_a_name_of_its_own() {
        let names: HashSet<_> = ElementType::ALL.into_iter().map(datatype).collect();
        assert_eq!(names.len(), ElementType::ALL.len());
        assert!(ElementType::ALL.into_iter().all(|it| element(datatype(it)) == Some(it)));
    }
}
