//! `ReduceSum` over integers in their own width: tract 0.23 adds every integer type up in 32 bits.

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
    /// By slices: of arrays of any number of dimensions the compiler makes 29 KB of code for each type.
    fn sum<T: Datum + Copy + Zero + WrappingAdd>(&self, input: &Tensor) -> TractResult<Tensor> {
        let mut shape = input.shape().to_vec();
        let mut values = input.try_as_plain_ram()?.as_slice::<T>()?.to_vec();
        for axis in &self.axes {
            let inner: usize = shape[axis + 1..].iter().product();
            let summed = shape[*axis] * inner;
            let mut sums = vec![T::zero(); shape[..*axis].iter().product::<usize>() * inner];
            // Where there are no values, nothing is added to zero.
            if !values.is_empty() {
                let blocks = values.chunks_exact(summed);
                for (sums, block) in sums.chunks_exact_mut(inner).zip(blocks) {
                    for values in block.chunks_exact(inner) {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum = sum.wrapping_add(value);
                        }
                    }
                }
            }
            shape[*axis] = 1;
            values = sums;
        }
        Tensor::from_shape(&shape, &values)
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
    fn a_dimension_between_others_is_summed_in_its_place() {
        let input = tensor3(&[[[1_u32, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]]);
        let sum = |axes: &[usize]| IntegerSum { axes: axes.to_vec() }.sum::<u32>(&input).unwrap();
        assert_eq!(sum(&[1]), tensor3(&[[[9_u32, 12]], [[27, 30]]]));
        assert_eq!(sum(&[0, 2]), tensor3(&[[[18_u32], [26], [34]]]));
    }

    #[test]
    fn nothing_sums_up_to_zero() {
        let sum = |shape: &[usize], axis| {
            let input = Tensor::from_shape::<u64>(shape, &[]).unwrap();
            IntegerSum { axes: vec![axis] }.sum::<u64>(&input).unwrap()
        };
        assert_eq!(sum(&[2, 0], 1), tensor2(&[[0_u64], [0]]));
        assert_eq!(sum(&[2, 0], 0).shape(), [1, 0]);
    }

    #[test]
    fn a_full_type_wraps_around() {
        let input = tensor1(&[i32::MAX, 1]);
        assert_eq!(IntegerSum { axes: vec![0] }.sum::<i32>(&input).unwrap(), tensor1(&[i32::MIN]));
    }
}
