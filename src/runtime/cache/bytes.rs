//! The words of a kept graph: numbers, texts, dimensions and types, written and read back.

use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{ShapeFact, Symbol, SymbolScope, TDim};

/// Sums inside of products inside of sums: a dimension that a net computes has some four.
const DIMENSION_DEEP_MAX: usize = 32;

/// Why a graph is not kept: what it holds that has no form here.
pub(super) type Unkept = String;

/// Element types by their place here; new ones go to the end.
const TYPES: [DatumType; 14] = [
    DatumType::Bool,
    DatumType::U8,
    DatumType::U16,
    DatumType::U32,
    DatumType::U64,
    DatumType::I8,
    DatumType::I16,
    DatumType::I32,
    DatumType::I64,
    DatumType::F16,
    DatumType::F32,
    DatumType::F64,
    DatumType::TDim,
    DatumType::String,
];

/// Bytes under construction.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn size(&mut self, size: usize) {
        self.number(size as u64);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.0.push(u8::from(flag));
    }

    pub(super) fn float(&mut self, float: f32) {
        self.number(u64::from(float.to_bits()));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.0.extend(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn sizes(&mut self, sizes: &[usize]) {
        self.size(sizes.len());
        sizes.iter().for_each(|size| self.size(*size));
    }

    /// What is there, after a flag that tells whether it is.
    pub(super) fn maybe<T>(
        &mut self,
        it: Option<T>,
        write: impl FnOnce(&mut Writer, T) -> Result<(), Unkept>,
    ) -> Result<(), Unkept> {
        self.flag(it.is_some());
        it.map_or(Ok(()), |it| write(self, it))
    }

    pub(super) fn datum_type(&mut self, datum: DatumType) -> Result<(), Unkept> {
        let place = TYPES.iter().position(|known| *known == datum);
        self.size(place.ok_or_else(|| "an element type".to_owned())?);
        Ok(())
    }

    pub(super) fn dimension(&mut self, dimension: &TDim) -> Result<(), Unkept> {
        let mut list = |tag: u64, parts: &[TDim]| {
            self.number(tag);
            self.dimensions(parts)
        };
        match dimension {
            TDim::Val(value) => {
                self.number(0);
                self.number(*value as u64);
                Ok(())
            }
            TDim::Sym(symbol) => {
                self.number(1);
                self.text(&symbol.to_string());
                Ok(())
            }
            TDim::Add(parts) => list(2, parts),
            TDim::Mul(parts) => list(3, parts),
            TDim::MulInt(times, part) => {
                self.number(4);
                self.number(*times as u64);
                self.dimension(part)
            }
            TDim::Div(part, by) => {
                self.number(5);
                self.number(*by);
                self.dimension(part)
            }
            TDim::Min(parts) => list(6, parts),
            TDim::Max(parts) => list(7, parts),
            TDim::Broadcast(_) | TDim::Ge(..) | TDim::Eq(..) => {
                Err("a dimension that compares".into())
            }
        }
    }

    pub(super) fn dimensions(&mut self, dimensions: &[TDim]) -> Result<(), Unkept> {
        self.size(dimensions.len());
        dimensions.iter().try_for_each(|dimension| self.dimension(dimension))
    }
}

/// Bytes that are read back; each read is none where they are not what was written.
#[derive(Debug)]
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    symbols: SymbolScope,
}

impl<'b> Reader<'b> {
    /// A reader that knows its symbols by those of `symbols`.
    pub(super) fn new(bytes: &'b [u8], symbols: SymbolScope) -> Reader<'b> {
        Reader { bytes, symbols }
    }

    pub(super) fn symbols(&self) -> &SymbolScope {
        &self.symbols
    }

    pub(super) fn is_at_its_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All that is still to be read.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.bytes
    }

    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// How many follow of what takes a byte at least: never more than there are bytes.
    pub(super) fn count(&mut self) -> Option<usize> {
        self.size().filter(|count| *count <= self.bytes.len())
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.take(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    pub(super) fn float(&mut self) -> Option<f32> {
        Some(f32::from_bits(u32::try_from(self.number()?).ok()?))
    }

    pub(super) fn bytes(&mut self) -> Option<&'b [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(super) fn sizes(&mut self) -> Option<TVec<usize>> {
        self.list(Self::size)
    }

    pub(super) fn list<T, L: FromIterator<T>>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<L> {
        let count = self.count()?;
        (0..count).map(|_| read(self)).collect()
    }

    #[expect(clippy::option_option, reason = "not readable, not there, and there are three")]
    pub(super) fn maybe<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Some(None),
        }
    }

    pub(super) fn datum_type(&mut self) -> Option<DatumType> {
        TYPES.get(self.size()?).copied()
    }

    /// A symbol that the graph has: a name of any other is no word of a kept graph.
    pub(super) fn symbol(&mut self) -> Option<Symbol> {
        let name = self.text()?;
        self.symbols.get(name)
    }

    /// A symbol that the graph does not have yet.
    pub(super) fn new_symbol(&mut self) -> Option<Symbol> {
        let name = self.text()?;
        Some(self.symbols.sym(name))
    }

    pub(super) fn dimension(&mut self) -> Option<TDim> {
        self.dimension_in(0)
    }

    pub(super) fn dimensions(&mut self) -> Option<TVec<TDim>> {
        self.list(Self::dimension)
    }

    pub(super) fn shape(&mut self) -> Option<ShapeFact> {
        Some(ShapeFact::from_dims(self.dimensions()?))
    }

    // Put together as it stood: an operation would simplify, maybe into another form.
    fn dimension_in(&mut self, depth: usize) -> Option<TDim> {
        if depth > DIMENSION_DEEP_MAX {
            return None;
        }
        let list = |reader: &mut Self| reader.list(|reader| reader.dimension_in(depth + 1));
        Some(match self.number()? {
            0 => TDim::Val(self.number()? as i64),
            1 => TDim::Sym(self.symbol()?),
            2 => TDim::Add(list(self)?),
            3 => TDim::Mul(list(self)?),
            4 => TDim::MulInt(self.number()? as i64, Box::new(self.dimension_in(depth + 1)?)),
            5 => {
                let by = self.number().filter(|by| *by > 0)?;
                TDim::Div(Box::new(self.dimension_in(depth + 1)?), by)
            }
            6 => TDim::Min(list(self)?),
            7 => TDim::Max(list(self)?),
            _ => return None,
        })
    }

    /// A tensor of symbolic integers, of this shape.
    pub(super) fn symbolic(&mut self, shape: &[usize]) -> Option<Arc<Tensor>> {
        let values = self.dimensions()?.into_vec();
        let array = tract_ndarray::ArrayD::from_shape_vec(shape, values).ok()?;
        Some(Arc::new(array.into_tensor()))
    }
}
