//! Between our tensors and tract's: one copy in, one copy out.

use crate::tensor::{Data, ElementType, Tensor};
use half::f16;
use std::borrow::Cow;
use tract_onnx::prelude as tract;
use tract_onnx::prelude::{Datum, DatumType, IntoTensor, TractResult};

/// The type as tract has it.
pub(super) fn datum_type(element: ElementType) -> DatumType {
    match element {
        ElementType::Bool => DatumType::Bool,
        ElementType::F16 => DatumType::F16,
        ElementType::F32 => DatumType::F32,
        ElementType::F64 => DatumType::F64,
        ElementType::I8 => DatumType::I8,
        ElementType::I16 => DatumType::I16,
        ElementType::I32 => DatumType::I32,
        ElementType::I64 => DatumType::I64,
        ElementType::String => DatumType::String,
        ElementType::U8 => DatumType::U8,
        ElementType::U16 => DatumType::U16,
        ElementType::U32 => DatumType::U32,
        ElementType::U64 => DatumType::U64,
    }
}

/// The type as we have it; tract's symbolic integers are `int64` in the ONNX file.
pub(super) fn element(datum: DatumType) -> Option<ElementType> {
    if datum == DatumType::TDim {
        return Some(ElementType::I64);
    }
    ElementType::ALL.into_iter().find(|element| datum_type(*element) == datum)
}

/// A copy of `data` as a tensor of this shape.
pub(super) fn into_tract(shape: &[usize], data: &Data<'_>) -> TractResult<tract::Tensor> {
    match data {
        Data::Bool(values) => tract::Tensor::from_shape(shape, values),
        Data::F16(values) => tract::Tensor::from_shape(shape, values),
        Data::F32(values) => tract::Tensor::from_shape(shape, values),
        Data::F64(values) => tract::Tensor::from_shape(shape, values),
        Data::I8(values) => tract::Tensor::from_shape(shape, values),
        Data::I16(values) => tract::Tensor::from_shape(shape, values),
        Data::I32(values) => tract::Tensor::from_shape(shape, values),
        Data::I64(values) => tract::Tensor::from_shape(shape, values),
        Data::String(values) => {
            let array = tract::tract_ndarray::ArrayD::from_shape_vec(shape, values.to_vec())?;
            Ok(array.into_tensor())
        }
        Data::U8(values) => tract::Tensor::from_shape(shape, values),
        Data::U16(values) => tract::Tensor::from_shape(shape, values),
        Data::U32(values) => tract::Tensor::from_shape(shape, values),
        Data::U64(values) => tract::Tensor::from_shape(shape, values),
    }
}

/// A copy of tract's tensor as ours.
pub(super) fn from_tract(tensor: &tract::Tensor) -> TractResult<Tensor<'static>> {
    fn owned<T: Datum + Clone>(tensor: &tract::Tensor) -> TractResult<Cow<'static, [T]>> {
        Ok(Cow::Owned(tensor.try_as_plain_ram()?.as_slice::<T>()?.to_vec()))
    }
    let Some(element) = element(tensor.datum_type()) else {
        tract_onnx::tract_core::internal::bail!("an output of type {:?}", tensor.datum_type());
    };
    let data = match element {
        ElementType::Bool => Data::Bool(owned(tensor)?),
        ElementType::F16 => Data::F16(owned::<f16>(tensor)?),
        ElementType::F32 => Data::F32(owned(tensor)?),
        ElementType::F64 => Data::F64(owned(tensor)?),
        ElementType::I8 => Data::I8(owned(tensor)?),
        ElementType::I16 => Data::I16(owned(tensor)?),
        ElementType::I32 => Data::I32(owned(tensor)?),
        ElementType::I64 => Data::I64(owned(&*tensor.cast_to::<i64>()?)?),
        ElementType::String => Data::String(owned(tensor)?),
        ElementType::U8 => Data::U8(owned(tensor)?),
        ElementType::U16 => Data::U16(owned(tensor)?),
        ElementType::U32 => Data::U32(owned(tensor)?),
        ElementType::U64 => Data::U64(owned(tensor)?),
    };
    Ok(Tensor::new(tensor.shape().to_vec(), data)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let cases = [
            Data::Bool(Cow::Owned(vec![true, false])),
            Data::F16(Cow::Owned(vec![f16::from_f32(0.5), f16::MAX])),
            Data::F32(Cow::Owned(vec![1.5, -0.0])),
            Data::I64(Cow::Owned(vec![i64::MIN, 7])),
            Data::String(Cow::Owned(vec!["a".into(), "ß".into()])),
            Data::U8(Cow::Owned(vec![0, 255])),
        ];
        for data in cases {
            let there = into_tract(&[2, 1], &data).unwrap();
            let back = from_tract(&there).unwrap();
            assert_eq!((back.shape(), back.data()), (&[2, 1][..], &data));
        }
    }
}
