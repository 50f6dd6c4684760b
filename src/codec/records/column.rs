//! One wanted column of a JSON table, filled value by value in the type of the model's input.

use super::cell::Cell;
use super::cursor::Cursor;
use super::fault::{Fault, What};
use crate::codec::limits::NESTING_MAX;
use crate::tensor::{Data, ElementType, Misfit, MisfitKind, RowShape};
use half::f16;
use std::borrow::Cow;

/// A column on its way.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) name: String,
    pub(super) element: ElementType,
    /// How many rows it has.
    pub(super) rows: usize,
    /// The nesting of its first row, which all others must have.
    extents: Extents,
    cells: Cells,
}

/// The lengths of a value's nested lists, outermost first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extents {
    lengths: [Option<usize>; NESTING_MAX],
    /// How many lists enclose a value; known with the first value, or the first empty list.
    depth: Option<usize>,
}

macro_rules! cells {
    ($($variant:ident: $type:ty),*) => {
        /// The values so far.
        #[derive(Debug)]
        enum Cells {
            $($variant(Vec<$type>)),*
        }

        impl Cells {
            fn of(element: ElementType) -> Cells {
                match element {
                    $(ElementType::$variant => Cells::$variant(Vec::new())),*
                }
            }

            fn len(&self) -> usize {
                match self {
                    $(Cells::$variant(values) => values.len()),*
                }
            }

            fn reserve(&mut self, more: usize) {
                match self {
                    $(Cells::$variant(values) => values.reserve_exact(more)),*
                }
            }

            fn read(&mut self, cursor: &mut Cursor<'_>, room: usize) -> Result<Extents, Fault> {
                let mut extents = Extents::default();
                match self {
                    $(Cells::$variant(values) => {
                        let room = values.len().saturating_add(room);
                        read(cursor, values, room, &mut extents, 0)?
                    }),*
                }
                Ok(extents)
            }

            fn into_data(self) -> Data<'static> {
                match self {
                    $(Cells::$variant(values) => Data::$variant(Cow::Owned(values))),*
                }
            }
        }
    };
}

cells!(
    Bool: bool, F16: f16, F32: f32, F64: f64, I8: i8, I16: i16, I32: i32, I64: i64,
    String: String, U8: u8, U16: u16, U32: u32, U64: u64
);

/// Reads one value, or lists of them at any depth, onto the end of `values`, which may grow to
/// `room` values.
fn read<T: Cell>(
    cursor: &mut Cursor<'_>,
    values: &mut Vec<T>,
    room: usize,
    extents: &mut Extents,
    depth: usize,
) -> Result<(), Fault> {
    if cursor.peek_token() == Some(b'[') {
        return read_list(cursor, values, room, extents, depth);
    }
    let start = cursor.at;
    if let Some(length) = T::read_run(cursor, values, room)? {
        return extents.close(depth, length).map_err(|what| Fault::new(what, start));
    }
    let known = *extents.depth.get_or_insert(depth);
    if known != depth {
        return Err(cursor.fault(What::Ragged));
    }
    if room <= values.len() {
        return Err(cursor.fault(What::ManyValues));
    }
    values.push(T::read(cursor)?);
    Ok(())
}

fn read_list<T: Cell>(
    cursor: &mut Cursor<'_>,
    values: &mut Vec<T>,
    room: usize,
    extents: &mut Extents,
    depth: usize,
) -> Result<(), Fault> {
    let start = cursor.at;
    if depth == NESTING_MAX {
        return Err(cursor.fault(What::TooDeep));
    }
    if extents.depth.is_some_and(|known| known <= depth) {
        return Err(cursor.fault(What::Ragged));
    }
    cursor.at += 1;
    let mut length = 0;
    if cursor.take(b']') {
        return extents.close(depth, 0).map_err(|what| Fault::new(what, start));
    }
    loop {
        read(cursor, values, room, extents, depth + 1)?;
        length += 1;
        if !cursor.goes_on(b']', "`,` or `]`")? {
            break;
        }
    }
    if *extents.lengths[depth].get_or_insert(length) != length {
        return Err(Fault::new(What::Ragged, start));
    }
    Ok(())
}

impl Extents {
    /// Takes in an innermost list that is enclosed by `depth` others.
    fn close(&mut self, depth: usize, length: usize) -> Result<(), What> {
        if depth == NESTING_MAX {
            return Err(What::TooDeep);
        }
        let alike = *self.depth.get_or_insert(depth + 1) == depth + 1
            && *self.lengths[depth].get_or_insert(length) == length;
        if alike { Ok(()) } else { Err(What::Ragged) }
    }

    /// The lengths of the lists, outermost first.
    fn shape(&self) -> Vec<usize> {
        self.lengths.iter().map_while(|length| *length).collect()
    }
}

/// The shape as an error tells it: `a single value`, `5 values`, `shape [2, 3]`.
fn described(shape: &[usize]) -> String {
    match shape {
        [] => "a single value".to_owned(),
        [length] => format!("{length} values"),
        shape => format!("values of shape {shape:?}"),
    }
}

/// A row whose nesting is not that of the first row.
#[derive(Debug)]
pub(super) struct Unlike {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Unlike {
    pub(super) fn misfit(self, column: &str, row: usize) -> Misfit {
        let Unlike { expected, found } = self;
        let sentence =
            format!("column `{column}`, row {row} has {found}, the first row {expected}");
        let misfit = Misfit::new(MisfitKind::WrongShape, sentence).column(column).row(row);
        misfit.expected(expected, found)
    }
}

impl Filling {
    pub(super) fn new(name: String, element: ElementType) -> Filling {
        let (extents, cells) = (Extents::default(), Cells::of(element));
        Filling { name, element, rows: 0, extents, cells }
    }

    /// Values of all rows so far.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Makes room for as many values as `rows` more rows like the first have.
    pub(super) fn reserve_rows(&mut self, rows: usize) {
        self.cells.reserve(self.len().saturating_mul(rows));
    }

    /// Reads the next row's value of at most `room` elements. The inner result tells a row that
    /// is sound but unlike the first.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        room: usize,
    ) -> Result<Result<(), Unlike>, Fault> {
        let extents = self.cells.read(cursor, room)?;
        if self.rows == 0 {
            self.extents = extents;
        } else if self.extents != extents {
            let expected = described(&self.extents.shape());
            return Ok(Err(Unlike { expected, found: described(&extents.shape()) }));
        }
        self.rows += 1;
        Ok(Ok(()))
    }

    /// The shape of each row and the values of all.
    pub(super) fn finish(self) -> (RowShape, Data<'static>) {
        let shape = self.extents.shape();
        let row_shape = match shape[..] {
            [length] => RowShape::Flat(length),
            [] | [_, ..] => RowShape::Told(shape),
        };
        (row_shape, self.cells.into_data())
    }
}
