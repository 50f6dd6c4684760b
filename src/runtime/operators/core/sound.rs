//! Operators of tract's that panic at values nobody can compute with: indices beyond an axis, updates of another shape, integers divided by 0.

use super::words::Words;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{GatherElements, ScatterElements, ScatterNd};
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::math;

const QUOTIENT: &str = "QuotientOfIntegers";
const REST: &str = "RestOfIntegers";

/// tract's operator, asked only for what it can give. To look at the indices or divisors costs less
/// than to go where they lead, or to divide by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Sound {
    Gather(GatherElements),
    Scatter(ScatterElements),
    ScatterNd(ScatterNd),
    /// A quotient or a rest of integers.
    Divide(TypedBinOp),
}

impl Sound {
    /// The operator of `node` with a look at its inputs, where it is one that needs it.
    pub(in super::super) fn of(model: &TypedModel, node: usize) -> TractResult<Option<Sound>> {
        let facts = model.node_input_facts(node)?;
        let op = &model.node(node).op;
        if let Some(op) = op.downcast_ref::<GatherElements>() {
            return Ok(Some(Sound::Gather(op.clone())));
        }
        if let Some(op) = op.downcast_ref::<ScatterElements>() {
            return Ok(Some(Sound::Scatter(op.clone())));
        }
        if let Some(op) = op.downcast_ref::<ScatterNd>() {
            return Ok(Some(Sound::ScatterNd(op.clone())));
        }
        let Some(op) = op.downcast_ref::<TypedBinOp>() else { return Ok(None) };
        let divides = op.0.is::<math::Div>() || op.0.is::<math::Rem>();
        if op.1.is_some() || !divides || !facts[1].datum_type.is_integer() {
            return Ok(None);
        }
        // What is written in the file is looked at once, here, and leaves tract its own ways.
        let is_safe = match &facts[1].konst {
            Some(divisors) => zero(divisors)?.is_none(),
            None => false,
        };
        Ok((!is_safe).then(|| Sound::Divide(op.clone())))
    }

    fn op(&self) -> &dyn TypedOp {
        match self {
            Sound::Gather(op) => op,
            Sound::Scatter(op) => op,
            Sound::ScatterNd(op) => op,
            Sound::Divide(op) => op,
        }
    }

    /// Whether it picks or puts along this axis of this input.
    pub(in super::super) fn looks_along(&self, slot: usize, axis: usize) -> bool {
        match self {
            Sound::Gather(op) => slot == 0 && op.axis == axis,
            Sound::Scatter(op) => op.axis == axis,
            Sound::ScatterNd(_) => true,
            Sound::Divide(_) => false,
        }
    }

    /// The words of a division; the others stand in no graph that is kept.
    pub(super) fn words(&self) -> Option<Words> {
        match self {
            Sound::Divide(_) => Some(Words { name: self.name().into_owned(), ..Words::default() }),
            Sound::Gather(_) | Sound::Scatter(_) | Sound::ScatterNd(_) => None,
        }
    }

    pub(super) fn said(name: &str) -> Option<Sound> {
        let op: Box<dyn BinMiniOp> = match name {
            QUOTIENT => Box::new(math::Div),
            REST => Box::new(math::Rem),
            _ => return None,
        };
        Some(Sound::Divide(TypedBinOp(op, None)))
    }

    /// Refuses inputs that nobody can compute with.
    fn settle(&self, inputs: &mut [TValue]) -> TractResult<()> {
        match self {
            Sound::Gather(op) => {
                let (data, indices) = (inputs[0].shape(), inputs[1].shape());
                fits_beside(indices, data, op.axis)?;
                within(&inputs[1], data[op.axis], op.axis)
            }
            Sound::Scatter(op) => {
                let (data, indices) = (inputs[0].shape(), inputs[1].shape());
                let updates = inputs[2].shape();
                fits_beside(indices, data, op.axis)?;
                ensure!(
                    updates == indices,
                    "the updates have the shape {updates:?}, and the indices {indices:?}: both must be one"
                );
                within(&inputs[1], data[op.axis], op.axis)
            }
            Sound::ScatterNd(_) => {
                if let Some(indices) = settled_nd(inputs)? {
                    inputs[1] = indices;
                }
                Ok(())
            }
            Sound::Divide(_) => match zero(&inputs[1])? {
                Some(place) => bail!(
                    "integers are divided by 0: the divisor has it at {:?}, where any other number is possible",
                    coordinates(place, inputs[1].shape())
                ),
                None => Ok(()),
            },
        }
    }
}

/// Whether the indices reach beyond the data on no axis but the one that they are along.
fn fits_beside(indices: &[usize], data: &[usize], axis: usize) -> TractResult<()> {
    let fits = |(at, (index, extent)): (usize, (&usize, &usize))| at == axis || index <= extent;
    let is_sound = indices.len() == data.len()
        && axis < data.len()
        && indices.iter().zip(data).enumerate().all(fits);
    ensure!(
        is_sound,
        "the indices have the shape {indices:?}, and the data {data:?}: they may have no more but along the axis \
         {axis}"
    );
    Ok(())
}

/// Whether each index is one of an axis of this extent, counted from its start or its end.
fn within(indices: &Tensor, extent: usize, axis: usize) -> TractResult<()> {
    let wide = indices.cast_to::<i64>()?;
    let wide = wide.try_as_plain_ram()?;
    let wide = wide.as_slice::<i64>()?;
    match wide.iter().position(|index| !is_of(*index, extent)) {
        Some(place) => bail!(
            "the index {} at {:?} is beyond the axis {axis}, which has the extent {extent}",
            wide[place],
            coordinates(place, indices.shape())
        ),
        None => Ok(()),
    }
}

fn is_of(index: i64, extent: usize) -> bool {
    let extent = extent as i64;
    (-extent..extent).contains(&index)
}

/// Refuses updates that are not what the places of a `ScatterND` take, and places that are not there.
///
/// Where places are counted from the end, the indices become such that are not: onnxruntime takes
/// them, and tract does not.
fn settled_nd(inputs: &[TValue]) -> TractResult<Option<TValue>> {
    let (data, indices, updates) = (inputs[0].shape(), inputs[1].shape(), inputs[2].shape());
    let Some((named, places)) = indices.split_last().filter(|(named, _)| **named <= data.len())
    else {
        bail!("the indices have the shape {indices:?}, and name more axes than the data {data:?}")
    };
    let wanted: TVec<usize> = places.iter().chain(&data[*named..]).copied().collect();
    ensure!(
        updates == &*wanted,
        "the updates have the shape {updates:?}, and for these indices and data {wanted:?} is wanted"
    );
    let wide = inputs[1].cast_to::<i64>()?;
    let plain = wide.try_as_plain_ram()?;
    let values = plain.as_slice::<i64>()?;
    let extents = data[..*named].iter().copied().cycle();
    let beyond =
        values.iter().zip(extents.clone()).position(|(index, extent)| !is_of(*index, extent));
    if let Some(at) = beyond {
        let axis = at % named;
        bail!(
            "the index {} for the update at {:?} is beyond the axis {axis}, which has the extent {}",
            values[at],
            coordinates(at / named, places),
            data[axis]
        );
    }
    if values.iter().all(|index| 0 <= *index) {
        return Ok(None);
    }
    let settled = values.iter().zip(extents);
    let settled =
        settled.map(|(index, extent)| if *index < 0 { index + extent as i64 } else { *index });
    let settled = Tensor::from_shape(indices, &settled.collect::<Vec<i64>>())?;
    Ok(Some(settled.into_tvalue()))
}

/// Where a tensor of integers has its first 0.
fn zero(divisors: &Tensor) -> TractResult<Option<usize>> {
    fn first<T: Datum + Default + PartialEq>(divisors: &Tensor) -> TractResult<Option<usize>> {
        let zero = T::default();
        let plain = divisors.try_as_plain_ram()?;
        Ok(plain.as_slice::<T>()?.iter().position(|divisor| *divisor == zero))
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "all that are no integers")]
    match divisors.datum_type() {
        DatumType::I8 => first::<i8>(divisors),
        DatumType::I16 => first::<i16>(divisors),
        DatumType::I32 => first::<i32>(divisors),
        DatumType::I64 => first::<i64>(divisors),
        DatumType::U8 => first::<u8>(divisors),
        DatumType::U16 => first::<u16>(divisors),
        DatumType::U32 => first::<u32>(divisors),
        DatumType::U64 => first::<u64>(divisors),
        _ => Ok(None),
    }
}

/// Where the value of this place stands along each axis.
fn coordinates(place: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = place;
    let mut at: Vec<usize> = shape
        .iter()
        .rev()
        .map(|extent| {
            let here = rest % extent.max(&1);
            rest /= extent.max(&1);
            here
        })
        .collect();
    at.reverse();
    at
}

impl Op for Sound {
    fn name(&self) -> StaticName {
        match self {
            Sound::Gather(op) => op.name(),
            Sound::Scatter(op) => op.name(),
            Sound::ScatterNd(op) => op.name(),
            Sound::Divide(op) if op.0.is::<math::Div>() => QUOTIENT.into(),
            Sound::Divide(_) => REST.into(),
        }
    }

    op_as_typed_op!();
}

impl EvalOp for Sound {
    op_out_of_plan!();

    fn eval(
        &self,
        context: &EvalContext<'_>,
        mut inputs: TVec<TValue>,
    ) -> TractResult<TVec<TValue>> {
        self.settle(&mut inputs)?;
        self.op().eval(context, inputs)
    }
}

impl TypedOp for Sound {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.op().output_facts(inputs)
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(sound: &Sound, inputs: TVec<Tensor>) -> Result<Tensor, String> {
        let inputs = inputs.into_iter().map(Tensor::into_tvalue).collect();
        let made = sound.eval(&EvalContext::out_of_plan(), inputs);
        made.map(|mut made| made.remove(0).into_tensor()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_scattered_must_have_a_place_and_a_value_for_each_index() {
        let reduction = tract_onnx::tract_core::ops::array::ScatterReduction::None;
        let sound = Sound::Scatter(ScatterElements { axis: 0, reduction });
        let data = || tensor1(&[1_f32, 2.0, 3.0]);
        let scatter = |index: i64, updates: &[f32]| {
            eval(&sound, tvec!(data(), tensor1(&[index]), tensor1(updates)))
        };
        assert_eq!(scatter(-1, &[9.0]).unwrap(), tensor1(&[1_f32, 2.0, 9.0]));
        assert!(scatter(3, &[9.0]).unwrap_err().contains("index 3 at [0] is beyond the axis 0"));
        assert!(scatter(0, &[9.0, 9.0]).unwrap_err().contains("the updates have the shape [2]"));
    }

    #[test]
    fn a_division_is_kept_by_its_name_and_read_back() {
        for name in [QUOTIENT, REST] {
            let words = Sound::said(name).unwrap().words().unwrap();
            let read = words.operator().unwrap();
            let read = read.downcast_ref::<Sound>().unwrap();
            assert_eq!(read.name(), name);
            let bytes = |divisor: i8| tvec!(tensor1(&[7_i8]), tensor1(&[divisor]));
            assert!(eval(read, bytes(2)).is_ok());
            assert!(eval(read, bytes(0)).unwrap_err().contains("divided by 0"));
        }
        assert!(Sound::said("Sum").is_none());
    }
}
