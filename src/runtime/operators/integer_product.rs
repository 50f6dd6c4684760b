//! Products of matrices of integers in their own width: tract 0.23 has kernels for 8 and 32 bits, and panics at others.

use tract_onnx::prelude::tract_num_traits::{WrappingAdd, WrappingMul, Zero};
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::einsum::EinSum;

/// The sum of products that tract's operator describes, over `int64`, `uint32` or `uint64`.
///
/// Wraps around where the type is full, as onnxruntime does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct IntegerProduct(EinSum);

/// An axis of the sum: its extent, and how far apart its values lie in both inputs and the output.
struct Axis {
    extent: usize,
    strides: [usize; 3],
}

impl IntegerProduct {
    /// In the place of `sum`, if tract cannot compute it on this type.
    pub(super) fn of(sum: &EinSum, element: DatumType, inputs: usize) -> Option<IntegerProduct> {
        let wide = matches!(element, DatumType::I64 | DatumType::U32 | DatumType::U64);
        (wide && inputs == 2 && sum.q_params.is_none()).then(|| IntegerProduct(sum.clone()))
    }

    /// The axes of these shapes, the last of the output innermost, and the shape of the output.
    fn axes(&self, shapes: [&[usize]; 2]) -> TractResult<(Vec<Axis>, TVec<usize>)> {
        let mapping = &self.0.axes;
        let mut shape: TVec<usize> = tvec!(1; mapping.rank(InOut::Out(0)));
        let mut found = Vec::new();
        for axis in mapping.iter_all_axes() {
            let mut extent = 1;
            for (shape, places) in shapes.iter().zip(&axis.inputs) {
                for place in places {
                    ensure!(
                        shape[*place] == extent || shape[*place] == 1 || extent == 1,
                        "an axis of {extent} meets one of {}",
                        shape[*place]
                    );
                    extent = if shape[*place] == 1 { extent } else { shape[*place] };
                }
            }
            axis.outputs[0].iter().for_each(|place| shape[*place] = extent);
            found.push((extent, axis));
        }
        let strides = |shape: &[usize]| -> Vec<usize> {
            (0..shape.len()).map(|place| shape[place + 1..].iter().product()).collect()
        };
        let step = |shape: &[usize], strides: &[usize], places: &[usize]| -> usize {
            // What has one value for all is read again for each.
            places.iter().map(|place| if shape[*place] == 1 { 0 } else { strides[*place] }).sum()
        };
        let inputs = shapes.map(strides);
        let output = strides(&shape);
        let axes = found.iter().map(|(extent, axis)| Axis {
            extent: *extent,
            strides: [
                step(shapes[0], &inputs[0], &axis.inputs[0]),
                step(shapes[1], &inputs[1], &axis.inputs[1]),
                step(&shape, &output, &axis.outputs[0]),
            ],
        });
        Ok((axes.collect(), shape))
    }

    fn product<T: Datum + Copy + Zero + WrappingAdd + WrappingMul>(
        &self,
        one: &Tensor,
        other: &Tensor,
    ) -> TractResult<Tensor> {
        let (axes, shape) = self.axes([one.shape(), other.shape()])?;
        let mut product = vec![T::zero(); shape.iter().product()];
        let one = one.try_as_plain_ram()?;
        let other = other.try_as_plain_ram()?;
        let values = [one.as_slice::<T>()?, other.as_slice::<T>()?];
        if axes.iter().all(|axis| axis.extent > 0) {
            summed(&axes, values, &mut product, [0; 3]);
        }
        Tensor::from_shape(&shape, &product)
    }
}

/// Adds up along all `axes` from these places on. Their number is that of a net's dimensions.
fn summed<T: Copy + WrappingAdd + WrappingMul>(
    axes: &[Axis],
    values: [&[T]; 2],
    product: &mut [T],
    from: [usize; 3],
) {
    let Some((axis, inner)) = axes.split_first() else {
        let [one, other, place] = from;
        product[place] =
            product[place].wrapping_add(&values[0][one].wrapping_mul(&values[1][other]));
        return;
    };
    let mut at = from;
    for _ in 0..axis.extent {
        summed(inner, values, product, at);
        at.iter_mut().zip(axis.strides).for_each(|(at, stride)| *at += stride);
    }
}

impl Op for IntegerProduct {
    fn name(&self) -> StaticName {
        "IntegerProduct".into()
    }

    op_as_typed_op!();
}

impl EvalOp for IntegerProduct {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (one, other) = args_2!(inputs);
        let element = one.datum_type();
        let product = if element == DatumType::I64 {
            self.product::<i64>(&one, &other)?
        } else if element == DatumType::U32 {
            self.product::<u32>(&one, &other)?
        } else if element == DatumType::U64 {
            self.product::<u64>(&one, &other)?
        } else {
            bail!("a product of {element:?} is not one of wide integers")
        };
        Ok(tvec!(product.into_tvalue()))
    }
}

impl TypedOp for IntegerProduct {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let facts = self.0.output_facts(inputs)?;
        Ok(facts.into_iter().map(|fact| inputs[0].datum_type.fact(fact.shape)).collect())
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_matrices_meets_one_and_wraps_around() {
        let sum = EinSum::new("bmk,xkn->bmn".parse().unwrap(), DatumType::I64);
        let product = IntegerProduct::of(&sum, DatumType::I64, 2).unwrap();
        let one = Tensor::from_shape(&[2, 1, 2], &[1_i64, 2, i64::MAX, 1]).unwrap();
        let other = Tensor::from_shape(&[1, 2, 2], &[3_i64, 4, 5, 6]).unwrap();
        let inputs = tvec!(one.into_tvalue(), other.into_tvalue());
        let found = product.eval(&EvalContext::out_of_plan(), inputs).unwrap().remove(0);
        let wrapped =
            [i64::MAX.wrapping_mul(3).wrapping_add(5), i64::MAX.wrapping_mul(4).wrapping_add(6)];
        let wanted = [13, 16, wrapped[0], wrapped[1]];
        assert_eq!(found.shape(), [2, 1, 2]);
        assert_eq!(found.try_as_plain_ram().unwrap().as_slice::<i64>().unwrap(), wanted);
    }
}
