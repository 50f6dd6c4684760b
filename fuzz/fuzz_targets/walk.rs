//! What each target does with a body: it is read for several models, and every value is looked at.

#![allow(dead_code, reason = "each target takes one of the two")]

use potoroo::codec::{InputFormat, decode};
use potoroo::tensor::{Data, ElementType, Port, Table};
use std::hint::black_box;

/// Reads `body` as tables for models of each kind of input.
pub fn every_model(format: InputFormat, body: &[u8]) {
    let port = |name: &str, element| Port { name: name.into(), element, dimensions: vec![] };
    let models = [
        vec![port("tensor", ElementType::F32)],
        vec![port("tensor", ElementType::U8)],
        vec![port("tensor", ElementType::I64), port("name", ElementType::String)],
    ];
    for inputs in models {
        match decode(format, body.to_vec(), &inputs, &[]) {
            Ok(decoded) => every_value(&decoded.table(), inputs.len()),
            Err(misfit) => assert!(!misfit.sentence.is_empty()),
        }
    }
}

/// Looks at each value of a table that has these columns.
pub fn every_value(table: &Table<'_>, columns: usize) {
    assert_eq!(table.columns().len(), columns);
    assert!(0 < table.rows());
    for column in table.columns() {
        walk(&column.data);
    }
}

fn walk(data: &Data<'_>) {
    match data {
        Data::Bool(values) => values.iter().for_each(look),
        Data::F16(values) => values.iter().for_each(look),
        Data::F32(values) => values.iter().for_each(look),
        Data::F64(values) => values.iter().for_each(look),
        Data::I8(values) => values.iter().for_each(look),
        Data::I16(values) => values.iter().for_each(look),
        Data::I32(values) => values.iter().for_each(look),
        Data::I64(values) => values.iter().for_each(look),
        Data::String(values) => values.iter().for_each(|text| {
            look(&text.chars().count());
        }),
        Data::U8(values) => values.iter().for_each(look),
        Data::U16(values) => values.iter().for_each(look),
        Data::U32(values) => values.iter().for_each(look),
        Data::U64(values) => values.iter().for_each(look),
    }
}

fn look<T>(value: &T) {
    black_box(value);
}
