//! The elements of a tensor in one flat, typed run, borrowed from a request's body or owned.

use super::ElementType;
use half::f16;
use std::borrow::Cow;

/// Elements in row-major order. Borrowed where the body of a request already holds them in this
/// form (an Arrow buffer), owned where they were parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<'a> {
    /// Truth values.
    Bool(Cow<'a, [bool]>),
    /// IEEE 754 binary16.
    F16(Cow<'a, [f16]>),
    /// IEEE 754 binary32.
    F32(Cow<'a, [f32]>),
    /// IEEE 754 binary64.
    F64(Cow<'a, [f64]>),
    /// Signed 8-bit integers.
    I8(Cow<'a, [i8]>),
    /// Signed 16-bit integers.
    I16(Cow<'a, [i16]>),
    /// Signed 32-bit integers.
    I32(Cow<'a, [i32]>),
    /// Signed 64-bit integers.
    I64(Cow<'a, [i64]>),
    /// UTF-8 text.
    String(Cow<'a, [String]>),
    /// Unsigned 8-bit integers.
    U8(Cow<'a, [u8]>),
    /// Unsigned 16-bit integers.
    U16(Cow<'a, [u16]>),
    /// Unsigned 32-bit integers.
    U32(Cow<'a, [u32]>),
    /// Unsigned 64-bit integers.
    U64(Cow<'a, [u64]>),
}

/// Runs `$body` with `$values` bound to the slice inside, whatever its type.
macro_rules! with_values {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            Data::Bool($values) => $body,
            Data::F16($values) => $body,
            Data::F32($values) => $body,
            Data::F64($values) => $body,
            Data::I8($values) => $body,
            Data::I16($values) => $body,
            Data::I32($values) => $body,
            Data::I64($values) => $body,
            Data::String($values) => $body,
            Data::U8($values) => $body,
            Data::U16($values) => $body,
            Data::U32($values) => $body,
            Data::U64($values) => $body,
        }
    };
}

/// As [`with_values!`], and wraps the result in the same variant.
macro_rules! map_values {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            Data::Bool($values) => Data::Bool($body),
            Data::F16($values) => Data::F16($body),
            Data::F32($values) => Data::F32($body),
            Data::F64($values) => Data::F64($body),
            Data::I8($values) => Data::I8($body),
            Data::I16($values) => Data::I16($body),
            Data::I32($values) => Data::I32($body),
            Data::I64($values) => Data::I64($body),
            Data::String($values) => Data::String($body),
            Data::U8($values) => Data::U8($body),
            Data::U16($values) => Data::U16($body),
            Data::U32($values) => Data::U32($body),
            Data::U64($values) => Data::U64($body),
        }
    };
}

impl ElementType {
    /// So many elements of this type, each zero, false or empty.
    pub fn zeros(self, length: usize) -> Data<'static> {
        match self {
            ElementType::Bool => Data::Bool(Cow::Owned(vec![false; length])),
            ElementType::F16 => Data::F16(Cow::Owned(vec![f16::ZERO; length])),
            ElementType::F32 => Data::F32(Cow::Owned(vec![0.0; length])),
            ElementType::F64 => Data::F64(Cow::Owned(vec![0.0; length])),
            ElementType::I8 => Data::I8(Cow::Owned(vec![0; length])),
            ElementType::I16 => Data::I16(Cow::Owned(vec![0; length])),
            ElementType::I32 => Data::I32(Cow::Owned(vec![0; length])),
            ElementType::I64 => Data::I64(Cow::Owned(vec![0; length])),
            ElementType::String => Data::String(Cow::Owned(vec![String::new(); length])),
            ElementType::U8 => Data::U8(Cow::Owned(vec![0; length])),
            ElementType::U16 => Data::U16(Cow::Owned(vec![0; length])),
            ElementType::U32 => Data::U32(Cow::Owned(vec![0; length])),
            ElementType::U64 => Data::U64(Cow::Owned(vec![0; length])),
        }
    }
}

impl<'a> Data<'a> {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        with_values!(self, values => values.len())
    }

    /// Bytes that the elements take: of text those of its letters, with four for each length.
    pub fn bytes(&self) -> usize {
        if let Data::String(values) = self {
            return values.iter().map(|text| text.len() + size_of::<u32>()).sum();
        }
        with_values!(self, values => size_of_val(&**values))
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of the elements.
    pub fn element(&self) -> ElementType {
        match self {
            Data::Bool(_) => ElementType::Bool,
            Data::F16(_) => ElementType::F16,
            Data::F32(_) => ElementType::F32,
            Data::F64(_) => ElementType::F64,
            Data::I8(_) => ElementType::I8,
            Data::I16(_) => ElementType::I16,
            Data::I32(_) => ElementType::I32,
            Data::I64(_) => ElementType::I64,
            Data::String(_) => ElementType::String,
            Data::U8(_) => ElementType::U8,
            Data::U16(_) => ElementType::U16,
            Data::U32(_) => ElementType::U32,
            Data::U64(_) => ElementType::U64,
        }
    }

    /// The same elements without a copy, for as long as `self` lives.
    pub fn borrow(&self) -> Data<'_> {
        map_values!(self, values => Cow::Borrowed(&values[..]))
    }

    /// Elements `from..to` without a copy.
    ///
    /// # Panics
    /// When the range is not inside the data: the caller has checked the shape.
    pub fn slice(&self, from: usize, to: usize) -> Data<'_> {
        map_values!(self, values => Cow::Borrowed(&values[from..to]))
    }

    /// The elements at these places, in that order.
    ///
    /// # Panics
    /// When a place is not inside the data: the caller has checked them.
    pub fn pick(&self, places: &[usize]) -> Data<'static> {
        map_values!(self, values => {
            Cow::Owned(places.iter().map(|place| &values[*place]).cloned().collect())
        })
    }

    /// The same elements, owned: copied where they were borrowed.
    pub fn into_owned(self) -> Data<'static> {
        map_values!(self, values => Cow::Owned(values.into_owned()))
    }

    /// Appends the elements of `other`; gives `other` back when its type differs.
    pub fn append<'b>(&mut self, other: Data<'b>) -> Result<(), Data<'b>> {
        macro_rules! same_type {
            ($($variant:ident),*) => {
                match (self, other) {
                    $((Data::$variant(here), Data::$variant(more)) => {
                        here.to_mut().extend_from_slice(&more);
                        Ok(())
                    })*
                    (_, other) => Err(other),
                }
            };
        }
        same_type!(Bool, F16, F32, F64, I8, I16, I32, I64, String, U8, U16, U32, U64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_append_to_the_whole() {
        let whole = Data::I64(Cow::Borrowed(&[1, 2, 3]));
        let mut built = whole.slice(0, 1).into_owned();
        built.append(whole.slice(1, 3)).unwrap();
        assert_eq!(built, whole);
    }

    #[test]
    fn elements_are_picked_in_the_order_of_their_places() {
        let whole = Data::I64(Cow::Borrowed(&[7, 8, 9]));
        assert_eq!(whole.pick(&[2, 0, 2]), Data::I64(Cow::Borrowed(&[9, 7, 9])));
    }

    #[test]
    fn another_type_is_given_back() {
        let mut integers = Data::I64(Cow::Borrowed(&[1]));
        let floats = Data::F32(Cow::Borrowed(&[1.0]));
        assert_eq!(integers.append(floats.clone()), Err(floats));
    }
}
