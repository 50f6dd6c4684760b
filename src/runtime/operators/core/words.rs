//! Operators of ours in plain numbers, for a graph that is kept on the disk and read back.

use super::dynamic::DynamicQuantize;
use super::recurrent::Layer as Recurrent;
use super::scaling::{Dequantize, Quantize};
use super::sound::Sound;
use super::spread::Spread;
use super::whole::{Mean, Requantize, Sum};
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_core::internal::{Op, TypedOp};

/// An operator as its name and what it knows.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Words {
    pub(in crate::runtime) name: String,
    pub(in crate::runtime) integers: Vec<i64>,
    pub(in crate::runtime) floats: Vec<f32>,
    pub(in crate::runtime) types: Vec<DatumType>,
}

/// Words that are taken one after the other; each is none when it is not what belongs there.
#[derive(Debug)]
pub(super) struct Saying {
    integers: std::vec::IntoIter<i64>,
    floats: std::vec::IntoIter<f32>,
    types: std::vec::IntoIter<DatumType>,
}

impl Words {
    /// The words of an operator; none when it is not one of ours that have such.
    pub(in crate::runtime) fn of(op: &dyn Op) -> Option<Words> {
        let mut to = Words { name: op.name().into_owned(), ..Words::default() };
        if let Some(op) = op.downcast_ref::<Quantize>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Dequantize>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Spread>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Requantize>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Sum>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Mean>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Recurrent>() {
            op.say(&mut to);
        } else if let Some(op) = op.downcast_ref::<Sound>() {
            return op.words();
        } else {
            op.downcast_ref::<DynamicQuantize>()?; // whose name is all of it
        }
        Some(to)
    }

    /// The operator of these words; none when they are no operator's.
    pub(in crate::runtime) fn operator(self) -> Option<Box<dyn TypedOp>> {
        let Words { name, integers, floats, types } = self;
        let mut from = Saying {
            integers: integers.into_iter(),
            floats: floats.into_iter(),
            types: types.into_iter(),
        };
        let op: Box<dyn TypedOp> = match name.as_str() {
            "Quantize" => Box::new(Quantize::said(&mut from)?),
            "Dequantize" => Box::new(Dequantize::said(&mut from)?),
            "Spread" => Box::new(Spread::said(&mut from)?),
            "Requantize" => Box::new(Requantize::said(&mut from)?),
            "QuantizedSum" => Box::new(Sum::said(&mut from)?),
            "QuantizedMean" => Box::new(Mean::said(&mut from)?),
            "Recurrent" => Box::new(Recurrent::said(&mut from)?),
            "DynamicQuantize" => Box::new(DynamicQuantize),
            name => Box::new(Sound::said(name)?),
        };
        let is_all = from.integers.len() + from.floats.len() + from.types.len() == 0;
        is_all.then_some(op)
    }

    pub(super) fn size(&mut self, size: usize) {
        self.integers.push(size as i64);
    }

    pub(super) fn list(&mut self, integers: &[i32]) {
        self.size(integers.len());
        self.integers.extend(integers.iter().copied().map(i64::from));
    }

    pub(super) fn scale(&mut self, (scale, zero_point): (f32, i32)) {
        self.floats.push(scale);
        self.integers.push(i64::from(zero_point));
    }
}

impl Saying {
    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.integers.next()?).ok()
    }

    pub(super) fn integer(&mut self) -> Option<i32> {
        i32::try_from(self.integers.next()?).ok()
    }

    pub(super) fn list(&mut self) -> Option<Vec<i32>> {
        let count = self.size().filter(|count| *count <= self.integers.len())?;
        (0..count).map(|_| self.integer()).collect()
    }

    pub(super) fn floats(&mut self, count: usize) -> Option<Vec<f32>> {
        (count <= self.floats.len()).then(|| self.floats.by_ref().take(count).collect())
    }

    pub(super) fn scale(&mut self) -> Option<(f32, i32)> {
        Some((self.floats.next()?, self.integer()?))
    }

    pub(super) fn datum_type(&mut self) -> Option<DatumType> {
        self.types.next()
    }

    /// A type of 8 bits, as what counts in whole numbers makes.
    pub(super) fn eight_bits(&mut self) -> Option<DatumType> {
        self.datum_type().filter(|it| [DatumType::U8, DatumType::I8].contains(it))
    }
}
