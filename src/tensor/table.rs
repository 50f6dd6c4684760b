//! The rows that a client sends, column by column, before they are bound to a model.

use super::{Data, ElementType, value::elements_in};
use std::borrow::Cow;

/// The shape of one row of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowShape {
    /// The client told the shape: nested lists, or `tensor_type` metadata. A scalar is empty.
    Told(Vec<usize>),
    /// A flat list of so many values: the model's input gives the shape.
    Flat(usize),
}

impl RowShape {
    /// Values in one row.
    pub fn elements(&self) -> usize {
        match self {
            RowShape::Told(shape) => elements_in(shape),
            RowShape::Flat(length) => *length,
        }
    }
}

/// One column: the same shape in each row, all rows' values in one flat run.
#[derive(Debug, Clone, PartialEq)]
pub struct Column<'a> {
    /// The name the client gave.
    pub name: Cow<'a, str>,
    /// The shape of each row.
    pub row_shape: RowShape,
    /// Row after row, each row-major.
    pub data: Data<'a>,
}

impl Column<'_> {
    /// The type of the values.
    pub fn element(&self) -> ElementType {
        self.data.element()
    }

    /// The same column without a copy.
    pub fn borrow(&self) -> Column<'_> {
        Column {
            name: Cow::Borrowed(&self.name),
            row_shape: self.row_shape.clone(),
            data: self.data.borrow(),
        }
    }
}

/// Columns of equally many rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<'a> {
    rows: usize,
    columns: Vec<Column<'a>>,
}

/// A column does not have the rows of its table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column `{column}` has {found} values where {rows} rows need {wanted}")]
pub struct TableError {
    /// The column at fault.
    pub column: String,
    /// The rows of the table.
    pub rows: usize,
    /// The values that so many rows need.
    pub wanted: usize,
    /// The values there are.
    pub found: usize,
}

impl<'a> Table<'a> {
    /// A table of these columns, all with `rows` rows.
    ///
    /// # Errors
    /// When a column's values are not `rows` times its row's.
    pub fn new(rows: usize, columns: Vec<Column<'a>>) -> Result<Table<'a>, TableError> {
        for column in &columns {
            let wanted = rows.saturating_mul(column.row_shape.elements());
            if column.data.len() != wanted {
                let (column, found) = (column.name.to_string(), column.data.len());
                return Err(TableError { column, rows, wanted, found });
            }
        }
        Ok(Table { rows, columns })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in the client's order.
    pub fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column<'a>> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn a_column_with_too_few_values_is_refused() {
        let column = Column {
            name: "tensor".into(),
            row_shape: RowShape::Flat(2),
            data: Data::F32(Cow::Borrowed(&[1.0, 2.0, 3.0])),
        };
        let error = Table::new(2, vec![column]).unwrap_err();
        assert_eq!(error.to_string(), "column `tensor` has 3 values where 2 rows need 4");
    }
}
