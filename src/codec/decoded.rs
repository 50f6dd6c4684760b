//! A request's columns, held so that they can be lent out as a table.

use super::journal::hashed;
use crate::pipeline::{LogPolicy, Treatment};
use crate::tensor::{Column, Data, Misfit, MisfitKind, RowShape, Table};
use arrow_buffer::ScalarBuffer;
use half::f16;
use std::borrow::Cow;

/// The rows of one request, owning their bytes: parsed values, or the body itself where its
/// layout is that of the values.
#[derive(Debug)]
pub struct Decoded {
    rows: usize,
    columns: Vec<Held>,
}

/// Bytes of a body that are kept unused rather than copied from: a schema and a footer.
const SLACK_BYTES: usize = 16 << 10;

/// One column with its bytes.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) row_shape: RowShape,
    pub(super) values: Values,
}

/// Values parsed into memory of their own, or a window on the request's body.
#[derive(Debug)]
pub(super) enum Values {
    Owned(Data<'static>),
    F16(ScalarBuffer<f16>),
    F32(ScalarBuffer<f32>),
    F64(ScalarBuffer<f64>),
    I8(ScalarBuffer<i8>),
    I16(ScalarBuffer<i16>),
    I32(ScalarBuffer<i32>),
    I64(ScalarBuffer<i64>),
    U8(ScalarBuffer<u8>),
    U16(ScalarBuffer<u16>),
    U32(ScalarBuffer<u32>),
    U64(ScalarBuffer<u64>),
}

impl Decoded {
    /// Columns of `rows` rows each.
    ///
    /// # Errors
    /// When a column's values are not those of so many rows.
    pub(super) fn new(rows: usize, columns: Vec<Held>) -> Result<Decoded, Misfit> {
        let lent = columns.iter().map(Held::lend).collect();
        match Table::new(rows, lent) {
            Ok(_) => Ok(Decoded { rows, columns }),
            Err(error) => {
                let misfit = Misfit::new(MisfitKind::WrongShape, error.to_string());
                Err(misfit.column(error.column))
            }
        }
    }

    /// The same for one who keeps it long, by a policy: hashes stand in the place of some columns,
    /// others are left out, as are those whose rows take more than `value_bytes_max` bytes each,
    /// and the rest of a body of which little is used. What is left out is named beside it.
    pub fn kept(mut self, policy: &LogPolicy, value_bytes_max: usize) -> (Decoded, Vec<String>) {
        let rows = self.rows.max(1);
        let mut dropped = Vec::new();
        for held in &mut self.columns {
            if policy.of_input(&held.name) == Treatment::Hash {
                let texts = hashed(&held.values.lend(), self.rows, &policy.salt);
                held.row_shape = RowShape::Told(Vec::new());
                held.values = Values::Owned(Data::String(Cow::Owned(texts)));
            }
        }
        self.columns.retain(|held| {
            let is_kept = policy.of_input(&held.name) != Treatment::Drop
                && held.values.lend().bytes() / rows <= value_bytes_max;
            if !is_kept {
                dropped.push(held.name.clone());
            }
            is_kept
        });
        let used: usize = self.columns.iter().map(|held| held.values.lend().bytes()).sum();
        for held in &mut self.columns {
            let behind = held.values.bytes_behind();
            if used.saturating_mul(2).saturating_add(SLACK_BYTES) < behind {
                let values = std::mem::replace(&mut held.values, Values::nothing());
                held.values = Values::Owned(values.into_owned());
            }
        }
        (self, dropped)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|held| held.values.lend().bytes()).sum()
    }

    /// The rows as a table, without a copy of any value.
    #[expect(clippy::expect_used, reason = "`new` made the same table, and nothing changes it")]
    pub fn table(&self) -> Table<'_> {
        let columns = self.columns.iter().map(Held::lend).collect();
        Table::new(self.rows, columns).expect("the columns were checked against the rows")
    }
}

impl Held {
    fn lend(&self) -> Column<'_> {
        Column {
            name: Cow::Borrowed(&self.name),
            row_shape: self.row_shape.clone(),
            data: self.values.lend(),
        }
    }
}

impl Values {
    fn nothing() -> Values {
        Values::Owned(Data::U8(Cow::Owned(Vec::new())))
    }

    /// Bytes of the body that a window keeps in memory; none of values that have their own.
    fn bytes_behind(&self) -> usize {
        match self {
            Values::Owned(_) => 0,
            Values::F16(values) => values.inner().capacity(),
            Values::F32(values) => values.inner().capacity(),
            Values::F64(values) => values.inner().capacity(),
            Values::I8(values) => values.inner().capacity(),
            Values::I16(values) => values.inner().capacity(),
            Values::I32(values) => values.inner().capacity(),
            Values::I64(values) => values.inner().capacity(),
            Values::U8(values) => values.inner().capacity(),
            Values::U16(values) => values.inner().capacity(),
            Values::U32(values) => values.inner().capacity(),
            Values::U64(values) => values.inner().capacity(),
        }
    }

    /// The values without a copy.
    pub(super) fn lend(&self) -> Data<'_> {
        match self {
            Values::Owned(data) => data.borrow(),
            Values::F16(values) => Data::F16(Cow::Borrowed(values)),
            Values::F32(values) => Data::F32(Cow::Borrowed(values)),
            Values::F64(values) => Data::F64(Cow::Borrowed(values)),
            Values::I8(values) => Data::I8(Cow::Borrowed(values)),
            Values::I16(values) => Data::I16(Cow::Borrowed(values)),
            Values::I32(values) => Data::I32(Cow::Borrowed(values)),
            Values::I64(values) => Data::I64(Cow::Borrowed(values)),
            Values::U8(values) => Data::U8(Cow::Borrowed(values)),
            Values::U16(values) => Data::U16(Cow::Borrowed(values)),
            Values::U32(values) => Data::U32(Cow::Borrowed(values)),
            Values::U64(values) => Data::U64(Cow::Borrowed(values)),
        }
    }

    /// The values in memory of their own.
    pub(super) fn into_owned(self) -> Data<'static> {
        let Values::Owned(data) = self else { return self.lend().into_owned() };
        data
    }
}
