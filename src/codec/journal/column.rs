//! One column of values on its way into a frame, record by record.

use super::gathered::{EXPRESSION, GatherError, plain};
use crate::codec::arrow::shape::TENSOR_TYPE;
use crate::codec::arrow::{lists, values};
use crate::codec::rows::{Cells, Source};
use crate::tensor::Data;
use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::Field;
use std::collections::HashMap;
use std::sync::Arc;

/// One column of values, whose rows may differ in length where a shape is free.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) data: Data<'static>,
    /// The shape of a row; an extent that differs from row to row is not known.
    pub(super) shape: Vec<Option<usize>>,
    /// Values in each row, record by record: rows of one record are alike.
    lengths: Vec<usize>,
    source: Source,
    pub(super) expression: Option<String>,
}

/// A column of one record.
pub(super) struct Piece<'a> {
    pub(super) group: String,
    pub(super) name: String,
    pub(super) cells: Cells<'a>,
    pub(super) expression: Option<String>,
}

impl Column {
    pub(super) fn new(piece: Piece<'_>) -> Column {
        let Piece { group, name, cells, expression } = piece;
        let Cells { data, row_shape, source } = cells;
        let lengths = vec![row_shape.iter().product()];
        let shape = row_shape.into_iter().map(Some).collect();
        Column { group, name, data: data.into_owned(), shape, lengths, source, expression }
    }

    /// Whether rows of this shape can stand in the column, with one extent unknown at most.
    pub(super) fn fits(&self, piece: &Piece<'_>) -> bool {
        let cells = &piece.cells;
        self.group == piece.group
            && self.name == piece.name
            && self.data.element() == cells.data.element()
            && self.shape.len() == cells.row_shape.len()
            && self.expression == piece.expression
            && self.merged(&cells.row_shape).filter(Option::is_none).count() <= 1
    }

    fn merged<'a>(&'a self, shape: &'a [usize]) -> impl Iterator<Item = Option<usize>> + 'a {
        self.shape.iter().zip(shape).map(|(known, extent)| known.filter(|known| known == extent))
    }

    pub(super) fn add(&mut self, piece: Piece<'_>) {
        let Cells { data, row_shape, .. } = piece.cells;
        self.lengths.push(row_shape.iter().product());
        self.shape = self.merged(&row_shape).collect();
        // `fits` has seen that the types are the same.
        let _ = self.data.append(data);
    }

    /// Takes rows of the type and the shape that it has, of which no extent is unknown.
    pub(super) fn append_alike(&mut self, data: Data<'_>) {
        self.begin_alike();
        let _ = self.data.append(data);
    }

    /// Makes room for one more record with rows of the shape that it has; how many values each has.
    pub(super) fn begin_alike(&mut self) -> usize {
        let length = self.lengths.last().copied().unwrap_or_default();
        self.lengths.push(length);
        length
    }

    /// The column as Arrow has it; its values are moved there.
    pub(super) fn array(&mut self, rows_of: &[usize]) -> Result<(Field, ArrayRef), GatherError> {
        let nothing = self.data.element().zeros(0);
        let data = std::mem::replace(&mut self.data, nothing);
        let values = values(&self.name, data).map_err(GatherError::Answer)?;
        let rows: usize = rows_of.iter().sum();
        let (item, nullable) = match self.source {
            Source::Request => ("item", true),
            Source::Model => ("inner", false),
        };
        let array = match (self.shape.as_slice(), self.lengths.first()) {
            ([], _) => values,
            (shape, Some(length)) if shape.iter().all(Option::is_some) => {
                lists(item, nullable, values, *length, rows).map_err(GatherError::Answer)?
            }
            _ => {
                let lengths = self.lengths.iter().zip(rows_of);
                let lengths =
                    lengths.flat_map(|(length, rows)| std::iter::repeat_n(*length, *rows));
                let item = Arc::new(Field::new(item, values.data_type().clone(), nullable));
                let offsets = OffsetBuffer::from_lengths(lengths);
                Arc::new(ListArray::try_new(item, offsets, values, None)?)
            }
        };
        let mut metadata = HashMap::from([(TENSOR_TYPE.to_owned(), self.tensor_type())]);
        if let Some(expression) = &self.expression {
            metadata.insert(EXPRESSION.to_owned(), expression.clone());
        }
        let (field, array) = plain(&self.name, array);
        Ok((field.with_metadata(metadata), array))
    }

    fn tensor_type(&self) -> String {
        let extents = self.shape.iter().map(|extent| match extent {
            Some(extent) => extent.to_string(),
            None => "null".to_owned(),
        });
        format!("{{\"shape\":[{}]}}", extents.collect::<Vec<_>>().join(", "))
    }
}
