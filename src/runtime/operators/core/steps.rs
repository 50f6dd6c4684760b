//! The steps of a quantised tensor: scales and zero points along an axis, and the loops over values.

use super::words::{Saying, Words};
use crate::runtime::kernels::{Family, Gang, integers};
use tract_onnx::prelude::tract_itertools::izip;
use tract_onnx::prelude::tract_ndarray;
use tract_onnx::prelude::tract_num_traits::Zero;
use tract_onnx::tract_core::internal::*;

/// Added to a float below 2^22 it leaves no bits for fractions, so that the sum is rounded, half to
/// even, and its bits count up by one for each whole number. Compilers make vectors of this, and
/// calls of `rintf` of the method that does the same.
const ROUNDING: f32 = 12_582_912.0; // 1.5 * 2^23

/// Scales and zero points, as many as the axis has places, or one of each for all values.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::runtime) struct Steps {
    scales: Vec<f32>,
    zero_points: Vec<i32>,
    axis: usize,
}

impl Eq for Steps {} // two that are NaN are none the same, which costs a comparison its answer alone

/// An integer of quantised values.
pub(super) trait Integer: Datum + Copy + Zero {
    const LEAST: i32;
    const MOST: i32;
    fn wide(self) -> i32;
    /// Of a number between `LEAST` and `MOST`.
    fn narrowed(value: i32) -> Self;
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Integer for $integer {
            const LEAST: i32 = <$integer>::MIN as i32;
            const MOST: i32 = <$integer>::MAX as i32;

            fn wide(self) -> i32 {
                i32::from(self)
            }

            fn narrowed(value: i32) -> Self {
                value as $integer
            }
        }
    )*};
}

integers!(u8, i8, u16, i16);

/// Calls a function that is generic over the integer, by the type that is known now.
macro_rules! by_integer {
    ($element:expr, $function:ident($($argument:expr),*)) => {{
        let element = $element;
        if element == DatumType::U8 {
            $function::<u8>($($argument),*)
        } else if element == DatumType::I8 {
            $function::<i8>($($argument),*)
        } else if element == DatumType::U16 {
            $function::<u16>($($argument),*)
        } else if element == DatumType::I16 {
            $function::<i16>($($argument),*)
        } else {
            Err(format_err!("{element:?} is no type of quantised values"))
        }
    }};
}
pub(super) use by_integer;

impl Steps {
    /// The steps that these tensors hold, for values whose axis this is.
    pub(super) fn read(
        axis: usize,
        scales: &Tensor,
        zero_points: Option<&Tensor>,
    ) -> TractResult<Steps> {
        let scales = scales.cast_to::<f32>()?;
        let mut scales = scales.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        let mut zero_points = match zero_points {
            Some(zero_points) => {
                let zero_points = zero_points.cast_to::<i32>()?;
                zero_points.try_as_plain_ram()?.as_slice::<i32>()?.to_vec()
            }
            None => vec![0],
        };
        let length = scales.len().max(zero_points.len());
        ensure!(!scales.is_empty() && !zero_points.is_empty(), "there is no scale");
        for (name, found) in [("scales", scales.len()), ("zero points", zero_points.len())] {
            ensure!(found == length || found == 1, "{found} {name} are for an axis of {length}");
        }
        scales.resize(length, scales[0]);
        zero_points.resize(length, zero_points[0]);
        Ok(Steps { scales, zero_points, axis })
    }

    /// As plain numbers.
    pub(super) fn say(&self, to: &mut Words) {
        to.size(self.axis);
        to.list(&self.zero_points);
        to.floats.extend(&self.scales);
    }

    /// From what [`say`](Self::say) wrote.
    pub(super) fn said(from: &mut Saying) -> Option<Steps> {
        let axis = from.size()?;
        let zero_points = from.list().filter(|list| !list.is_empty())?;
        let scales = from.floats(zero_points.len())?;
        Some(Steps { scales, zero_points, axis })
    }

    /// How many scales there are.
    pub(super) fn len(&self) -> usize {
        self.scales.len()
    }

    /// Scales, one or as many as the axis has places, and the axis.
    pub(in crate::runtime) fn scales(&self) -> (&[f32], usize) {
        (&self.scales, self.axis)
    }

    /// The zero point, where it is one for all values.
    pub(in crate::runtime) fn zero_point(&self) -> Option<i32> {
        let first = *self.zero_points.first()?;
        self.zero_points.iter().all(|one| *one == first).then_some(first)
    }

    /// Scale and zero point, where they are one for all values.
    pub(in crate::runtime) fn single(&self) -> Option<(f32, i32)> {
        match (self.scales.as_slice(), self.zero_points.as_slice()) {
            ([scale], [zero_point]) => Some((*scale, *zero_point)),
            _ => None,
        }
    }

    /// Values that lie between one place of the axis and the next, in a tensor of this shape.
    fn run(&self, shape: &[usize]) -> TractResult<usize> {
        self.run_of(self.scales.len(), shape)
    }

    fn run_of(&self, length: usize, shape: &[usize]) -> TractResult<usize> {
        let values = |shape: &[usize]| shape.iter().product::<usize>().max(1);
        match length {
            1 => Ok(values(shape)),
            length => {
                let extent = shape.get(self.axis).copied();
                ensure!(extent == Some(length), "{length} scales are for an axis of {extent:?}");
                Ok(values(&shape[self.axis + 1..]))
            }
        }
    }

    /// `saturate(round_half_to_even(value / scale) + zero point)` of each value.
    ///
    /// tract multiplies by the reciprocal of the scale, which is another number now and then, and
    /// one step of a quantised net becomes many further on; the specification and onnxruntime divide.
    pub(super) fn quantized(&self, values: &Tensor, to: DatumType) -> TractResult<Tensor> {
        fn all<T: Integer>(steps: &Steps, values: &Tensor) -> TractResult<Tensor> {
            let values = values.cast_to::<f32>()?;
            steps.rounded::<f32, T>(&values, &[0], |value, scale, _| value / scale)
        }
        if let Some((scale, zero_point)) = self.single()
            && let Some(kind) = kernel()
            && values.datum_type() == DatumType::F32
        {
            let plain = values.try_as_plain_ram()?;
            let floats = plain.as_slice::<f32>()?;
            if to == DatumType::U8 {
                let codes = codes(kind, floats, scale, (u8::try_from(zero_point)?, 0));
                return shaped(values.shape(), codes);
            }
            if to == DatumType::I8 {
                let codes = codes(kind, floats, scale, (u8::try_from(zero_point + 128)?, 128));
                return shaped(values.shape(), codes.into_iter().map(u8::cast_signed).collect());
            }
        }
        by_integer!(to, all(self, values))
    }

    /// `saturate(round_half_to_even((count + bias) * scale) + zero point)` of each count, which is
    /// a whole number: as it is, or in a float. Biases are one, or as many as the axis has places.
    pub(super) fn requantized(
        &self,
        counts: &Tensor,
        biases: &[i32],
        to: DatumType,
    ) -> TractResult<Tensor> {
        fn all<T: Integer>(steps: &Steps, counts: &Tensor, biases: &[i32]) -> TractResult<Tensor> {
            if counts.datum_type() == DatumType::I32 {
                return steps.rounded::<i32, T>(counts, biases, |count, scale, bias| {
                    count.wrapping_add(bias) as f32 * scale
                });
            }
            let counts = counts.cast_to::<f32>()?;
            steps.rounded::<f32, T>(&counts, biases, |count, scale, bias| {
                (count + bias as f32) * scale
            })
        }
        by_integer!(to, all(self, counts, biases))
    }

    fn rounded<F: Datum + Copy, T: Integer>(
        &self,
        values: &Tensor,
        biases: &[i32],
        in_steps: impl Fn(F, f32, i32) -> f32 + Copy,
    ) -> TractResult<Tensor> {
        let length = self.scales.len().max(biases.len());
        let run = self.run_of(length, values.shape())?;
        ensure!([1, length].contains(&biases.len()), "there are {} biases", biases.len());
        let mut rounded = Tensor::zero::<T>(values.shape())?;
        let from = values.try_as_plain_ram()?;
        let from = from.as_slice::<F>()?;
        let mut to = rounded.try_as_plain_ram_mut()?;
        let to = to.as_slice_mut::<T>()?;
        let places = || {
            let steps = self.scales.iter().cycle().zip(self.zero_points.iter().cycle());
            izip!(0..length, steps, biases.iter().cycle())
                .map(|(_, (scale, zero_point), bias)| (*scale, *zero_point, *bias))
        };
        if run == 1 && length > 1 {
            // The axis is the last one: side by side, each value has a step of its own.
            for (from, to) in from.chunks(length).zip(to.chunks_mut(length)) {
                for ((from, to), (scale, zero_point, bias)) in from.iter().zip(to).zip(places()) {
                    let limits = Limits::of::<T>(zero_point);
                    *to = limits.integer(in_steps(*from, scale, bias));
                }
            }
            return Ok(rounded);
        }
        let pairs = from.chunks(run).zip(to.chunks_mut(run));
        let places: Vec<(f32, i32, i32)> = places().collect();
        for ((from, to), (scale, zero_point, bias)) in pairs.zip(places.into_iter().cycle()) {
            let limits = Limits::of::<T>(zero_point);
            for (from, to) in from.iter().zip(to) {
                *to = limits.integer(in_steps(*from, scale, bias));
            }
        }
        Ok(rounded)
    }

    /// `(value - zero point) * scale` of each value, in single precision and then in type `to`.
    pub(super) fn dequantized(&self, values: &Tensor, to: DatumType) -> TractResult<Tensor> {
        fn all<T: Datum + Copy>(
            steps: &Steps,
            values: &Tensor,
            wide: impl Fn(T) -> i32 + Copy,
        ) -> TractResult<Tensor> {
            let run = steps.run(values.shape())?;
            let mut floats = Tensor::zero::<f32>(values.shape())?;
            let from = values.try_as_plain_ram()?;
            let mut to = floats.try_as_plain_ram_mut()?;
            let pairs =
                from.as_slice::<T>()?.chunks(run).zip(to.as_slice_mut::<f32>()?.chunks_mut(run));
            for ((from, to), scale, zero_point) in
                izip!(pairs, steps.scales.iter().cycle(), steps.zero_points.iter().cycle())
            {
                for (from, to) in from.iter().zip(to) {
                    *to = wide(*from).wrapping_sub(*zero_point) as f32 * scale;
                }
            }
            Ok(floats)
        }
        fn narrow<T: Integer>(steps: &Steps, values: &Tensor) -> TractResult<Tensor> {
            all(steps, values, T::wide)
        }
        let element = values.datum_type();
        let moved = if element == DatumType::I8 { 128 } else { 0 };
        if let (DatumType::U8 | DatumType::I8, DatumType::F32) = (element, to)
            && let Some((scale, zero_point)) = self.single()
            && let (Some(kind), Ok(zero)) = (kernel(), u8::try_from(zero_point + moved))
        {
            let step = integers::Step { scale, zero, moved: moved as u8 };
            let plain = values.try_as_plain_ram()?;
            let integers = plain.as_bytes();
            let floats = Gang::with(|crew| integers::spread(kind, integers, step, crew));
            return shaped(values.shape(), floats);
        }
        let floats = match element == DatumType::I32 {
            true => all::<i32>(self, values, |value| value)?, // a bias
            false => by_integer!(element, narrow(self, values))?,
        };
        Ok(if to == DatumType::F32 { floats } else { floats.cast_to_dt(to)?.into_owned() })
    }
}

/// The vectors that values are rounded with; none where that is done the slower way.
pub(super) fn kernel() -> Option<integers::Kind> {
    let kind = integers::Kind::best();
    (Family::QuantisedValues.is_on() && kind.is_quick()).then_some(kind)
}

/// Codes of values, by the code that stands for zero, with these bits turned.
pub(super) fn codes(
    kind: integers::Kind,
    values: &[f32],
    scale: f32,
    (zero, moved): (u8, u8),
) -> Vec<u8> {
    let code = (integers::Code::of(zero), moved);
    Gang::with(|crew| integers::rounded(kind, values, scale, code, crew))
}

/// A tensor of this shape.
pub(super) fn shaped<T: Datum>(shape: &[usize], values: Vec<T>) -> TractResult<Tensor> {
    Ok(tract_ndarray::ArrayD::from_shape_vec(shape, values)?.into_tensor())
}

/// A stretch of values with one scale.
pub(super) fn quantize<T: Integer>(from: &[f32], to: &mut [T], scale: f32, zero_point: i32) {
    let limits = Limits::of::<T>(zero_point);
    for (from, to) in from.iter().zip(to) {
        *to = limits.integer(from / scale);
    }
}

/// What steps from a zero point may come to, so that the integer is one of its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    least: f32,
    most: f32,
    zero_point: i32,
}

impl Limits {
    pub(super) fn of<T: Integer>(zero_point: i32) -> Limits {
        let least = T::LEAST.wrapping_sub(zero_point) as f32;
        let most = T::MOST.wrapping_sub(zero_point) as f32;
        Limits { least, most, zero_point }
    }

    /// The integer that is so many steps from the zero point, rounded and saturated. A NaN becomes
    /// the least one, as with onnxruntime.
    #[inline(always)]
    pub(super) fn integer<T: Integer>(self, steps: f32) -> T {
        let steps = if steps > self.least { steps } else { self.least };
        let steps = if steps < self.most { steps } else { self.most };
        let steps = (steps + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits());
        T::narrowed((steps as i32).wrapping_add(self.zero_point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_divided_rounded_to_even_and_saturated() {
        let cases: [(f32, f32, i32, u8); 12] = [
            (0.5, 1.0, 0, 0),
            (1.5, 1.0, 0, 2),
            (2.5, 1.0, 0, 2),
            (-0.5, 1.0, 128, 128),
            (-1.5, 1.0, 128, 126),
            (1e30, 1e-3, 7, 255),
            (-1e30, 1e-3, 7, 0),
            (f32::INFINITY, 1.0, 0, 255),
            (f32::NEG_INFINITY, 1.0, 255, 0),
            (f32::NAN, 1.0, 128, 0),
            (0.5265, 0.027, 0, 19), // times the reciprocal it is 20
            (254.4999, 1.0, 0, 254),
        ];
        for (value, scale, zero_point, wanted) in cases {
            let mut found = [0_u8];
            quantize(&[value], &mut found, scale, zero_point);
            assert_eq!(found, [wanted], "{value} in steps of {scale} from {zero_point}");
        }
    }

    #[test]
    fn every_integer_comes_back_through_floats() {
        fn all<T: Integer + PartialEq>(zero_point: i32) {
            let integers: Vec<T> = (T::LEAST..=T::MOST).map(T::narrowed).collect();
            let scale = 0.037;
            let floats: Vec<f32> =
                integers.iter().map(|one| (one.wide() - zero_point) as f32 * scale).collect();
            let mut back = vec![T::zero(); integers.len()];
            quantize(&floats, &mut back, scale, zero_point);
            assert!(back == integers, "{zero_point}");
        }
        for zero_point in [0, 3, 255] {
            all::<u8>(zero_point);
        }
        for zero_point in [-128, 0, 127] {
            all::<i8>(zero_point);
        }
        all::<u16>(65_535);
        all::<i16>(-32_768);
    }

    #[test]
    fn each_place_of_an_axis_has_its_own_step() {
        let steps = Steps::read(1, &tensor1(&[1.0_f32, 0.5]), Some(&tensor1(&[0_u8, 10]))).unwrap();
        let values = Tensor::from_shape(&[1, 2, 2], &[1_f32, 2.0, 1.0, 2.0]).unwrap();
        let wanted = Tensor::from_shape(&[1, 2, 2], &[1_u8, 2, 12, 14]).unwrap();
        let found = steps.quantized(&values, DatumType::U8).unwrap();
        assert_eq!(found, wanted);
        assert_eq!(steps.dequantized(&found, DatumType::F32).unwrap(), values);
        let uneven = Tensor::from_shape(&[1, 3], &[0_f32; 3]).unwrap();
        assert!(steps.quantized(&uneven, DatumType::U8).is_err());
    }
}
