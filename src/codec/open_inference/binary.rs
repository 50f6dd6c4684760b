//! Tensors in binary form: little-endian, row-major, without padding (Triton, "Binary Tensor Data
//! Extension").

use super::datatype::element_bytes;
use crate::codec::decoded::Values;
use crate::tensor::{Data, ElementType, Misfit, MisfitKind};
use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use half::f16;
use std::borrow::Cow;

/// Bytes of the length before each element of text.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Why bytes are not the tensor that they should be.
#[derive(Debug)]
pub(super) struct Unsound {
    pub(super) kind: MisfitKind,
    pub(super) what: String,
}

fn unsound(kind: MisfitKind, what: impl Into<String>) -> Unsound {
    Unsound { kind, what: what.into() }
}

/// The elements that so many bytes are; for text, the lengths are followed.
pub(super) fn count(bytes: &[u8], element: ElementType) -> Result<usize, Unsound> {
    match element_bytes(element) {
        Some(size) if bytes.len().is_multiple_of(size) => Ok(bytes.len() / size),
        Some(size) => {
            let what = format!("its {} bytes are no multiple of {size}", bytes.len());
            Err(unsound(MisfitKind::WrongShape, what))
        }
        None => {
            let (mut rest, mut count) = (bytes, 0);
            while !rest.is_empty() {
                rest = split_text(rest, count)?.1;
                count += 1;
            }
            Ok(count)
        }
    }
}

/// Reads `elements` elements, which must take all the bytes; numbers are lent from the bytes
/// where they are aligned there.
pub(super) fn read(
    bytes: &Buffer,
    element: ElementType,
    elements: usize,
) -> Result<Values, Unsound> {
    if let Some(size) = element_bytes(element)
        && elements.checked_mul(size) != Some(bytes.len())
    {
        let found = bytes.len();
        let what = format!("it has {found} bytes where {elements} elements of {size} bytes belong");
        return Err(unsound(MisfitKind::WrongShape, what));
    }
    macro_rules! window {
        ($variant:ident, $type:ty) => {
            Values::$variant(window(bytes, |chunk| <$type>::from_le_bytes(chunk)))
        };
    }
    Ok(match element {
        ElementType::Bool => {
            let truths = bytes.iter().enumerate().map(|(index, byte)| match byte {
                0 => Ok(false),
                1 => Ok(true),
                other => {
                    let what = format!("value {index} is {other}, a BOOL is 0 or 1");
                    Err(unsound(MisfitKind::ValueRange, what))
                }
            });
            Values::Owned(Data::Bool(Cow::Owned(truths.collect::<Result<_, _>>()?)))
        }
        ElementType::F16 => window!(F16, f16),
        ElementType::F32 => window!(F32, f32),
        ElementType::F64 => window!(F64, f64),
        ElementType::I8 => window!(I8, i8),
        ElementType::I16 => window!(I16, i16),
        ElementType::I32 => window!(I32, i32),
        ElementType::I64 => window!(I64, i64),
        ElementType::String => Values::Owned(Data::String(Cow::Owned(texts(bytes, elements)?))),
        ElementType::U8 => window!(U8, u8),
        ElementType::U16 => window!(U16, u16),
        ElementType::U32 => window!(U32, u32),
        ElementType::U64 => window!(U64, u64),
    })
}

/// The values where they lie, or copied where they lie askew or the machine is big-endian.
fn window<T: ArrowNativeType, const SIZE: usize>(
    bytes: &Buffer,
    from: impl Fn([u8; SIZE]) -> T,
) -> ScalarBuffer<T> {
    let is_aligned = bytes.as_ptr().addr().is_multiple_of(align_of::<T>());
    if cfg!(target_endian = "little") && is_aligned {
        return ScalarBuffer::from(bytes.clone());
    }
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    ScalarBuffer::from(chunks.iter().map(|chunk| from(*chunk)).collect::<Vec<T>>())
}

fn texts(mut rest: &[u8], elements: usize) -> Result<Vec<String>, Unsound> {
    if rest.len() / LENGTH_BYTES < elements {
        let what = format!("it ends before its {elements} elements");
        return Err(unsound(MisfitKind::WrongShape, what));
    }
    let mut texts = Vec::with_capacity(elements);
    for index in 0..elements {
        let (text, after) = split_text(rest, index)?;
        let text = std::str::from_utf8(text).map_err(|_| {
            let what = format!("value {index} is not UTF-8, which the model's strings are");
            unsound(MisfitKind::ValueRange, what)
        })?;
        texts.push(text.to_owned());
        rest = after;
    }
    if rest.is_empty() {
        return Ok(texts);
    }
    let what = format!("{} bytes are left after its {elements} elements", rest.len());
    Err(unsound(MisfitKind::WrongShape, what))
}

/// One element and what follows it.
fn split_text(bytes: &[u8], index: usize) -> Result<(&[u8], &[u8]), Unsound> {
    let split = bytes
        .split_first_chunk::<LENGTH_BYTES>()
        .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
    split.ok_or_else(|| {
        unsound(MisfitKind::WrongShape, format!("it ends within its element {index}"))
    })
}

/// Appends a tensor; how many bytes that were.
///
/// # Errors
/// When a text is longer than its length can tell.
pub(super) fn write(out: &mut Vec<u8>, data: &Data<'_>) -> Result<usize, Misfit> {
    let start = out.len();
    macro_rules! numbers {
        ($values:ident) => {
            $values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()))
        };
    }
    match data {
        Data::Bool(values) => out.extend(values.iter().map(|value| u8::from(*value))),
        Data::F16(values) => numbers!(values),
        Data::F32(values) => numbers!(values),
        Data::F64(values) => numbers!(values),
        Data::I8(values) => numbers!(values),
        Data::I16(values) => numbers!(values),
        Data::I32(values) => numbers!(values),
        Data::I64(values) => numbers!(values),
        Data::String(values) => {
            for text in values.iter() {
                let length = u32::try_from(text.len()).map_err(|_| {
                    let sentence = "a text of the answer is over 4 GiB long";
                    Misfit::new(MisfitKind::OverLimit, sentence)
                })?;
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
        Data::U8(values) => out.extend_from_slice(values),
        Data::U16(values) => numbers!(values),
        Data::U32(values) => numbers!(values),
        Data::U64(values) => numbers!(values),
    }
    Ok(out.len() - start)
}
