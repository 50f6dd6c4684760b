//! `ReduceSum` over integers in their own width: tract 0.23 adds every integer type up in 32 bits.

use tract_onnx::prelude::tract_ndarray::{ArrayD, Axis};
use tract_onnx::prelude::tract_num_traits::{WrappingAdd, Zero};
use tract_onnx::tract_core::internal::*;

/// The sum along `axes` (ascending), which stay as dimensions of extent 1.
///
/// Wraps around where the type is full, as onnxruntime does; the specification leaves it open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct IntegerSum {
    pub(super) axes: Vec<usize>,
}

impl IntegerSum {
    fn sum<T: Datum + Copy + Zero + WrappingAdd>(&self, input: &Tensor) -> TractResult<Tensor> {
        let mut sum: ArrayD<T> = input.to_plain_array_view::<T>()?.to_owned();
        for axis in &self.axes {
            let axis = Axis(*axis);
            let folded = sum.fold_axis(axis, T::zero(), |sum, value| sum.wrapping_add(value));
            sum = folded.insert_axis(axis);
        }
        Ok(sum.into_tensor())
    }
}

impl Op for IntegerSum {
    fn name(&self) -> StaticName {
        "IntegerSum".into()
    }

    op_as_typed_op!();
}

impl EvalOp for IntegerSum {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let element = input.datum_type();
        let sum = if element == DatumType::I32 {
            self.sum::<i32>(&input)?
        } else if element == DatumType::I64 {
            self.sum::<i64>(&input)?
        } else if element == DatumType::U32 {
            self.sum::<u32>(&input)?
        } else if element == DatumType::U64 {
            self.sum::<u64>(&input)?
        } else {
            bail!("a sum of {element:?} is not a sum of integers")
        };
        Ok(tvec!(sum.into_tvalue()))
    }
}

impl TypedOp for IntegerSum {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let mut shape: TVec<TDim> = inputs[0].shape.to_tvec();
        for axis in &self.axes {
            shape[*axis] = 1.to_dim();
        }
        Ok(tvec!(inputs[0].datum_type.fact(shape)))
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_the_width_of_their_type() {
        let large = (1_i64 << 53) + 1;
        let input = tensor2(&[[large, 1], [-large, 5]]);
        let sum = |axes: &[usize]| IntegerSum { axes: axes.to_vec() }.sum::<i64>(&input).unwrap();
        assert_eq!(sum(&[1]), tensor2(&[[large + 1], [5 - large]]));
        assert_eq!(sum(&[0]), tensor2(&[[0_i64, 6]]));
        assert_eq!(sum(&[0, 1]), tensor2(&[[6_i64]]));
    }

    #[test]
    fn a_full_type_wraps_around() {
        let input = tensor1(&[i32::MAX, 1]);
        assert_eq!(IntegerSum { axes: vec![0] }.sum::<i32>(&input).unwrap(), tensor1(&[i32::MIN]));
    }
}
