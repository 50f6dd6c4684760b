//! The parts of rows that are asked for: leaves of the columns' tree, under one name each or nested.

use super::LogsError;
use crate::codec::rows::Dataset;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields};
use std::sync::Arc;

/// Columns of ours that no answer has.
const HIDDEN: char = '_';

/// A value of a row: the names that lead to it, its type, and its values.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    pub(super) field: Field,
    pub(super) values: ArrayRef,
}

/// All leaves of a batch, in its order.
pub(super) fn leaves(batch: &RecordBatch) -> Vec<Leaf> {
    let mut found = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !field.name().starts_with(HIDDEN) {
            grow(&mut found, Vec::new(), field, column);
        }
    }
    found
}

fn grow(found: &mut Vec<Leaf>, mut path: Vec<String>, field: &Field, values: &ArrayRef) {
    path.push(field.name().clone());
    match values.as_struct_opt() {
        Some(group) => {
            for (field, values) in group.fields().iter().zip(group.columns()) {
                grow(found, path.clone(), field, values);
            }
        }
        None => found.push(Leaf { path, field: field.clone(), values: values.clone() }),
    }
}

/// The columns that `dataset` asks for.
pub(super) fn selected(
    batch: &RecordBatch,
    dataset: &Dataset,
) -> Result<Vec<(Field, ArrayRef)>, LogsError> {
    let leaves = leaves(batch);
    let paths: Vec<&[String]> = leaves.iter().map(|leaf| leaf.path.as_slice()).collect();
    let kept = dataset.kept(&paths)?;
    let leaves: Vec<Leaf> =
        leaves.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(leaf, _)| leaf).collect();
    if let Some(separator) = dataset.flat_separator() {
        return Ok(flat(leaves, separator));
    }
    let mut nested = nested(leaves, 0, batch.num_rows())?;
    // One group that is all that is left gives its members its place.
    if let [(_, only)] = nested.as_slice()
        && let Some(group) = only.as_struct_opt()
    {
        let fields = group.fields().iter().map(|field| field.as_ref().clone());
        nested = fields.zip(group.columns().iter().cloned()).collect();
    }
    Ok(nested)
}

/// Each leaf as a column of the names that lead to it, joined.
pub(super) fn flat(leaves: Vec<Leaf>, separator: &str) -> Vec<(Field, ArrayRef)> {
    let column = |leaf: Leaf| (leaf.field.with_name(leaf.path.join(separator)), leaf.values);
    leaves.into_iter().map(column).collect()
}

/// Leaves under the names that they have at a depth; those of one group stand together.
fn nested(
    leaves: Vec<Leaf>,
    depth: usize,
    rows: usize,
) -> Result<Vec<(Field, ArrayRef)>, LogsError> {
    let mut columns = Vec::new();
    let mut left = leaves.into_iter().peekable();
    while let Some(leaf) = left.next() {
        if leaf.path.len() == depth + 1 {
            columns.push((leaf.field, leaf.values));
            continue;
        }
        let name = leaf.path[depth].clone();
        let mut group = vec![leaf];
        while let Some(next) =
            left.next_if(|next| depth + 1 < next.path.len() && next.path[depth] == name)
        {
            group.push(next);
        }
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
            nested(group, depth + 1, rows)?.into_iter().unzip();
        let fields = Fields::from(fields);
        let array = StructArray::try_new_with_length(fields.clone(), arrays, None, rows)?;
        columns
            .push((Field::new(name, DataType::Struct(fields), false), Arc::new(array) as ArrayRef));
    }
    Ok(columns)
}
