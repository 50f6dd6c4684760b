//! A stored tensor: its type is one of ours, and its data are as long as its shape says.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataType;

/// The dimensions of one tensor; networks have up to six or seven.
const DIMENSIONS_MAX: usize = 64;

/// Whether the tensor can be read; a sentence where it cannot.
pub(super) fn check(tensor: &TensorProto) -> Result<(), String> {
    let told = |what: String| Err(format!("the stored tensor `{}` {what}", tensor.name));
    if tensor.dims.len() > DIMENSIONS_MAX {
        return told(format!(
            "has {} dimensions, more than the {DIMENSIONS_MAX} that are allowed",
            tensor.dims.len()
        ));
    }
    let mut elements = 1_usize;
    for extent in &tensor.dims {
        let product = usize::try_from(*extent).ok().and_then(|one| elements.checked_mul(one));
        let Some(product) = product else {
            return told(format!("has the shape {:?}, which no tensor can have", tensor.dims));
        };
        elements = product;
    }
    let Ok(element) = DataType::try_from(tensor.data_type) else {
        return told(format!("is of an unknown type, {}", tensor.data_type));
    };
    let (size, listed) = match element {
        DataType::Float => (4, tensor.float_data.len()),
        DataType::Double => (8, tensor.double_data.len()),
        DataType::Int64 => (8, tensor.int64_data.len()),
        DataType::Int32 => (4, tensor.int32_data.len()),
        DataType::Int16 | DataType::Uint16 | DataType::Float16 => (2, tensor.int32_data.len()),
        DataType::Bool | DataType::Int8 | DataType::Uint8 => (1, tensor.int32_data.len()),
        DataType::Uint32 => (4, tensor.uint64_data.len()),
        DataType::Uint64 => (8, tensor.uint64_data.len()),
        DataType::String => (0, tensor.string_data.len()),
        // What follows has no arithmetic here; rounding it to another type would be another model.
        DataType::Undefined
        | DataType::Complex64
        | DataType::Complex128
        | DataType::Bfloat16
        | DataType::Float8e4m3fn
        | DataType::Float8e4m3fnuz
        | DataType::Float8e5m2
        | DataType::Float8e5m2fnuz
        | DataType::Uint4
        | DataType::Int4
        | DataType::Float4e2m1 => {
            let name = element.as_str_name();
            return told(format!("is of type {name}, which this runtime does not have"));
        }
    };
    let found = match tensor.raw_data.len() {
        0 => listed,
        _ if size == 0 => return told("holds texts as raw bytes".into()),
        length if length % size != 0 => {
            return told(format!("has {length} bytes of data, no multiple of {size}"));
        }
        length => length / size,
    };
    match found == elements {
        true => Ok(()),
        false => told(format!(
            "has data for {found} values where its shape {:?} has {elements}",
            tensor.dims
        )),
    }
}
