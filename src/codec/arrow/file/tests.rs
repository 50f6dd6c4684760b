//! Files whose metadata lie, made by overwriting single fields of a sound one.

use super::super::schema::FIELD_NESTING_MAX;
use super::super::{Container, decode};
use super::*;
use crate::codec::limits::COLUMNS_MAX;
use crate::tensor::{ElementType, Port};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::Schema;
use std::sync::Arc;

/// A number that stands nowhere else in the file.
const ROWS: i64 = 1234;

fn sound() -> Vec<u8> {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let batch = RecordBatch::try_from_iter([("tensor", values)]).unwrap();
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn refused(file: Vec<u8>) -> Misfit {
    let port = Port { name: "tensor".into(), element: ElementType::I64, dimensions: vec![] };
    decode(Container::File, file, &[port], &[]).unwrap_err()
}

/// The bytes of the file's only block as the footer has them.
fn block_bytes(file: &[u8]) -> [u8; 24] {
    let footer = arrow_ipc::root_as_footer(&file[footer_range(file).unwrap()]).unwrap();
    footer.recordBatches().unwrap().get(0).0
}

fn place_of(file: &[u8], bytes: &[u8]) -> usize {
    let places: Vec<usize> =
        (0..file.len() - bytes.len()).filter(|at| file[*at..].starts_with(bytes)).collect();
    assert_eq!(places.len(), 1, "the field is found by its bytes");
    places[0]
}

fn overwritten(at: usize, value: i64) -> Misfit {
    let mut file = sound();
    file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    refused(file)
}

#[test]
fn a_block_must_lie_in_the_file() {
    let file = sound();
    let at = place_of(&file, &block_bytes(&file));
    let length = file.len() as i64;
    // Offset, then the metadata's length with padding, then the body's length.
    for (field, value) in [
        (0, i64::MAX),
        (0, -8),
        (0, length),
        (0, 12),
        (8, i64::from(i32::MAX)),
        (8, i64::from(u32::MAX)),
        (8, 0),
        (8, 12),
        (16, i64::MAX),
        (16, -1),
        (16, length),
    ] {
        let misfit = overwritten(at + field, value);
        assert!(misfit.sentence.contains("a batch "), "{field} as {value}: {misfit}");
    }
}

#[test]
fn counts_in_a_batch_are_believed_only_as_far_as_they_are_possible() {
    let file = sound();
    // The only node: so many values, no null.
    let node = place_of(&file, &[ROWS.to_le_bytes(), 0_i64.to_le_bytes()].concat());
    for (field, value) in [(0, i64::MAX), (0, -1), (8, -1), (8, ROWS + 1)] {
        let misfit = overwritten(node + field, value);
        assert!(misfit.sentence.contains("is not possible"), "{field} as {value}: {misfit}");
    }
    // The values' buffer, of eight bytes each.
    let length = place_of(&file, &(8 * ROWS).to_le_bytes());
    for (field, value) in [(0, i64::MAX), (0, -1), (0, 1 << 20)] {
        let misfit = overwritten(length + field, value);
        assert!(misfit.sentence.contains("a buffer lies outside"), "{value}: {misfit}");
    }
}

#[test]
fn offsets_must_be_whole() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"; 999]));
    let batch = RecordBatch::try_from_iter([("tensor", texts)]).unwrap();
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let mut file = writer.into_inner().unwrap();
    let at = place_of(&file, &4000_i64.to_le_bytes());
    file[at] -= 1;
    let misfit = refused(file);
    assert!(
        misfit.sentence.ends_with("a run of offsets, keys or views ends within one"),
        "{misfit}"
    );
}

#[test]
fn a_block_may_not_be_counted_twice() {
    let block = Block::new(64, 64, 64);
    let mut left = 200;
    assert_eq!(block_range(&block, 1000, &mut left).unwrap(), 64..192);
    assert!(block_range(&block, 1000, &mut left).is_err());
}

#[test]
fn columns_and_nesting_are_limited() {
    let leaf = arrow_schema::Field::new("x", arrow_schema::DataType::Null, true);
    let deep = (0..FIELD_NESTING_MAX).fold(leaf.clone(), |field, _| {
        arrow_schema::Field::new("x", arrow_schema::DataType::Struct(vec![field].into()), true)
    });
    for fields in [vec![leaf; COLUMNS_MAX + 1], vec![deep]] {
        let schema = Schema::new(fields);
        let file = FileWriter::try_new(Vec::new(), &schema).unwrap().into_inner().unwrap();
        assert_eq!(refused(file).kind, MisfitKind::OverLimit);
    }
}
