//! An inference that has the columns of those before it, on the short way: checked, and appended to them.

use super::column::Column;
use super::gathered::{ANOMALY, Entry, INPUTS, OUTPUTS};
use crate::tensor::{Data, ElementType, NamedTensor, RowShape};
use std::borrow::Cow;

/// What the columns of a challenger's outputs are called before its name.
const SHADOW: &str = "out_";

/// Appends an inference to the columns of others, and tells the bytes of it. `None` when it has other
/// columns, another shape of rows, or more bytes than `room`: nothing is appended then, and the long
/// way by names and cells tells what to do with it.
///
/// Most that a device infers is like what it inferred before: here no name is copied and nothing
/// allocated but what the columns grow by.
pub(super) fn append(columns: &mut [Column], entry: &Entry<'_>, room: usize) -> Option<usize> {
    let bytes = bytes_if_alike(columns, entry).filter(|bytes| *bytes <= room)?;
    let Entry { record, input, .. } = entry;
    let rows = input.rows();
    let inputs = input.columns().iter().map(|column| column.data.borrow());
    let shadows = record.shadows.iter().flat_map(|shadow| &shadow.outputs);
    let outputs = record.outputs.iter().chain(shadows).map(|it| it.tensor.data().borrow());
    let failed = record.findings.iter().map(|it| Data::Bool(Cow::Borrowed(it.failed.as_slice())));
    let count = |row: usize| record.findings.iter().filter(|it| it.failed[row]).count();
    let counts = (0..rows).map(|row| u32::try_from(count(row)).unwrap_or(u32::MAX)).collect();
    let counts = std::iter::once(Data::U32(Cow::Owned(counts)));
    let all = inputs.chain(outputs).chain(counts).chain(failed);
    columns.iter_mut().zip(all).for_each(|(column, data)| column.append_alike(data));
    Some(bytes)
}

/// The bytes of an inference, where each of its columns is one of these, in this order.
pub(super) fn bytes_if_alike(columns: &[Column], entry: &Entry<'_>) -> Option<usize> {
    let Entry { record, input, .. } = entry;
    // Which model each row went to is made into texts, on the long way.
    if record.chosen.is_some() {
        return None;
    }
    let rows = input.rows();
    let mut left = columns.iter();
    let mut bytes = 0;
    for column in input.columns() {
        let extents: (Option<usize>, &[usize]) = match &column.row_shape {
            RowShape::Told(shape) => (None, shape),
            RowShape::Flat(length) => (Some(*length), &[]),
        };
        let here = left.next().filter(|here| here.group == INPUTS)?;
        is_alike(here, &column.name, &column.data, extents).then_some(())?;
        bytes += column.data.bytes();
    }
    let mut outputs = |group: &str, name: &str, outputs: &[NamedTensor<'_>]| {
        for output in outputs {
            let is_of = |here: &&Column| here.group.strip_prefix(group) == Some(name);
            let here = left.next().filter(is_of)?;
            let extents = extents(output.tensor.shape(), rows)?;
            is_alike(here, &output.name, output.tensor.data(), extents).then_some(())?;
            bytes += output.tensor.data().bytes();
        }
        Some(())
    };
    outputs(OUTPUTS, "", &record.outputs)?;
    for shadow in &record.shadows {
        outputs(SHADOW, &shadow.model_name, &shadow.outputs)?;
    }
    let mut anomaly = |name: &str, element: ElementType, expression: Option<&str>| {
        let here = left.next().filter(|here| here.group == ANOMALY)?;
        let is_it = here.name == name
            && here.data.element() == element
            && here.expression.as_deref() == expression;
        is_it.then_some(())
    };
    anomaly("count", ElementType::U32, None)?;
    for finding in &record.findings {
        anomaly(&finding.name, ElementType::Bool, Some(&finding.text))?;
    }
    bytes += rows * (size_of::<u32>() + record.findings.len());
    left.next().is_none().then_some(bytes)
}

fn is_alike(
    here: &Column,
    name: &str,
    data: &Data<'_>,
    (first, rest): (Option<usize>, &[usize]),
) -> bool {
    let extents = first.iter().chain(rest).map(|extent| Some(*extent));
    here.name == name
        && here.data.element() == data.element()
        && here.shape.iter().copied().eq(extents)
}

/// The shape of one row of an output, as `codec/rows` has it, in two parts.
fn extents(shape: &[usize], rows: usize) -> Option<(Option<usize>, &[usize])> {
    let extents = match shape.split_first() {
        Some((first, rest)) if *first == rows => (None, rest),
        Some(_) | None if rows == 1 => (None, shape),
        Some((first, rest)) if 0 < rows && first % rows == 0 => (Some(first / rows), rest),
        Some(_) | None => return None,
    };
    Some(if extents == (None, &[]) { (Some(1), &[]) } else { extents })
}
