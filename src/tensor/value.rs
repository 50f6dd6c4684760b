//! A tensor: elements and the shape that they fill exactly.

use super::{Data, ElementType};

/// Elements in row-major order with their shape; a scalar has the empty shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    shape: Vec<usize>,
    data: Data<'a>,
}

/// The shape and the number of elements do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tensor of shape {shape:?} has {wanted} elements, not {found}")]
pub struct TensorError {
    /// The shape asked for.
    pub shape: Vec<usize>,
    /// The elements that shape takes, saturating at the largest count.
    pub wanted: usize,
    /// The elements given.
    pub found: usize,
}

impl<'a> Tensor<'a> {
    /// A tensor of this shape.
    ///
    /// # Errors
    /// When the product of the shape is not the number of elements.
    pub fn new(shape: Vec<usize>, data: Data<'a>) -> Result<Tensor<'a>, TensorError> {
        let wanted = elements_in(&shape);
        if wanted != data.len() {
            return Err(TensorError { shape, wanted, found: data.len() });
        }
        Ok(Tensor { shape, data })
    }

    /// The extent of each dimension, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    pub fn data(&self) -> &Data<'a> {
        &self.data
    }

    /// The elements, without the shape.
    pub fn into_data(self) -> Data<'a> {
        self.data
    }

    /// The type of the elements.
    pub fn element(&self) -> ElementType {
        self.data.element()
    }

    /// The same tensor without a copy, for as long as `self` lives.
    pub fn borrow(&self) -> Tensor<'_> {
        Tensor { shape: self.shape.clone(), data: self.data.borrow() }
    }
}

/// The number of elements of a shape, saturating: no allocation was ever that large.
pub(crate) fn elements_in(shape: &[usize]) -> usize {
    shape.iter().fold(1_usize, |product, extent| product.saturating_mul(*extent))
}

/// A tensor under the name that the model gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor<'a> {
    /// The name of the model's output or input.
    pub name: String,
    /// The value.
    pub tensor: Tensor<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn a_shape_that_the_elements_do_not_fill_is_refused() {
        let data = Data::F32(Cow::Borrowed(&[1.0, 2.0, 3.0]));
        let error = Tensor::new(vec![2, 2], data).unwrap_err();
        assert_eq!(error.to_string(), "a tensor of shape [2, 2] has 4 elements, not 3");
    }

    #[test]
    fn a_shape_larger_than_memory_does_not_wrap() {
        let error = Tensor::new(vec![usize::MAX, 2], Data::F32(Cow::Borrowed(&[]))).unwrap_err();
        assert_eq!(error.wanted, usize::MAX);
    }
}
