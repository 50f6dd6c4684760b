//! The check of a schema before it is taken over: its size, and which dictionaries it refers to.

use super::{columns, unreadable};
use crate::codec::limits::{COLUMNS_MAX, NAME_BYTES_MAX};
use crate::tensor::{Misfit, MisfitKind};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Endianness, KeyValue};
use arrow_schema::{DataType, Field, Schema};
use std::collections::HashMap;
use std::sync::Arc;

/// Names, time zones and key-value metadata in a schema. One string can be referred to many
/// times, so the length of what holds the schema does not bound what it takes.
const SCHEMA_TEXT_BYTES_MAX: usize = 4 << 20;

/// Fields with all their children.
const FIELDS_MAX: usize = 4 * COLUMNS_MAX;

/// Fields within fields, wanted or not: bounds the recursion.
pub(super) const FIELD_NESTING_MAX: usize = 32;

/// Takes over a schema once it is known to need neither much memory nor deep recursion.
///
/// # Errors
/// When it is over a limit, big-endian or contradicts itself.
pub(super) fn taken_over(schema: arrow_ipc::Schema<'_>) -> Result<Schema, Misfit> {
    if schema.endianness() != Endianness::Little {
        let sentence = "the Arrow data are big-endian; write them on a little-endian machine";
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    let fields = schema.fields().ok_or_else(|| unreadable("its schema has no columns"))?;
    if COLUMNS_MAX < fields.len() {
        let sentence = format!("there are more than {COLUMNS_MAX} columns");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    let mut budget = Budget { fields: FIELDS_MAX, bytes: SCHEMA_TEXT_BYTES_MAX };
    budget.spend_pairs(schema.custom_metadata().into_iter().flatten())?;
    for field in fields {
        budget.spend_field(field, FIELD_NESTING_MAX)?;
    }
    try_fb_to_schema(schema).map_err(unreadable)
}

/// The dictionaries that columns refer to, by their ids, with the type of their values.
///
/// # Errors
/// When one id stands for dictionaries of two types.
pub(super) fn dictionaries(
    written: arrow_ipc::Schema<'_>,
    schema: &Schema,
    chosen: &[usize],
) -> Result<HashMap<i64, DataType>, Misfit> {
    let mut types = HashMap::new();
    let fields = written.fields().ok_or_else(|| unreadable("its schema has no columns"))?;
    for index in chosen {
        let mut field = fields.get(*index);
        let mut data_type = schema.field(*index).data_type();
        while let Some(child) = columns::child(data_type) {
            let children = field.children().filter(|children| children.len() == 1);
            field = children.ok_or_else(|| unreadable("a list without its values"))?.get(0);
            data_type = child.data_type();
        }
        if let DataType::Dictionary(_, values) = data_type {
            let id = field.dictionary().map(|dictionary| dictionary.id());
            let id = id.ok_or_else(|| unreadable("a dictionary without an id"))?;
            let values = read_as(values);
            if types.insert(id, values.clone()).is_some_and(|other| other != values) {
                return Err(unreadable("one dictionary's id is given to two types"));
            }
        }
    }
    Ok(types)
}

/// The schema for Arrow's decoder, with the columns of text views as views of bytes.
///
/// The decoder checks the text of each view, and a million views may show the same megabyte. We
/// check text where it is copied, within a budget.
pub(super) fn for_decoder(schema: &Schema, chosen: &[usize]) -> Schema {
    let field = |(index, field): (usize, &Arc<Field>)| match chosen.contains(&index) {
        true => read_as_field(field),
        false => field.clone(),
    };
    let fields: Vec<Arc<Field>> = schema.fields().iter().enumerate().map(field).collect();
    Schema::new(fields)
}

fn read_as_field(field: &Arc<Field>) -> Arc<Field> {
    let data_type = read_as(field.data_type());
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only what leads to a text view changes")]
fn read_as(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::BinaryView,
        DataType::List(child) => DataType::List(read_as_field(child)),
        DataType::LargeList(child) => DataType::LargeList(read_as_field(child)),
        DataType::FixedSizeList(child, length) => {
            DataType::FixedSizeList(read_as_field(child), *length)
        }
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(read_as(values)))
        }
        other => other.clone(),
    }
}

/// What of the schema's limits is left.
struct Budget {
    fields: usize,
    bytes: usize,
}

impl Budget {
    fn spend_field(&mut self, field: arrow_ipc::Field<'_>, nesting: usize) -> Result<(), Misfit> {
        self.fields = self.fields.checked_sub(1).ok_or_else(too_large)?;
        let nesting = nesting.checked_sub(1).ok_or_else(too_large)?;
        let name = field.name().unwrap_or_default();
        if NAME_BYTES_MAX < name.len() {
            let sentence = format!("a column's name is over {NAME_BYTES_MAX} bytes long");
            return Err(Misfit::new(MisfitKind::OverLimit, sentence));
        }
        let zone = field.type_as_timestamp().and_then(|timestamp| timestamp.timezone());
        let ids = field.type_as_union().and_then(|union| union.typeIds());
        let ids_bytes = ids.map_or(0, |ids| ids.len().saturating_mul(size_of::<i32>()));
        self.spend(name.len() + zone.unwrap_or_default().len() + ids_bytes)?;
        // Arrow's decoder stops with a panic at such a width.
        let width = field.type_as_fixed_size_binary().map(|binary| binary.byteWidth());
        let length = field.type_as_fixed_size_list().map(|list| list.listSize());
        if width.or(length).is_some_and(i32::is_negative) {
            return Err(unreadable("a column has values of fewer than no bytes"));
        }
        self.spend_pairs(field.custom_metadata().into_iter().flatten())?;
        for child in field.children().into_iter().flatten() {
            self.spend_field(child, nesting)?;
        }
        Ok(())
    }

    fn spend_pairs<'a>(&mut self, pairs: impl Iterator<Item = KeyValue<'a>>) -> Result<(), Misfit> {
        for pair in pairs {
            self.spend(pair.key().unwrap_or_default().len())?;
            self.spend(pair.value().unwrap_or_default().len())?;
        }
        Ok(())
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Misfit> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }
}

fn too_large() -> Misfit {
    Misfit::new(MisfitKind::OverLimit, "the Arrow data's schema is too large")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_ipc::convert::IpcSchemaEncoder;

    #[test]
    fn a_schema_of_endless_text_is_refused() {
        let mut budget = Budget { fields: 1, bytes: 10 };
        assert!(budget.spend(10).is_ok());
        assert_eq!(budget.spend(1).unwrap_err().kind, MisfitKind::OverLimit);
    }

    #[test]
    fn a_negative_width_is_refused() {
        let item = Arc::new(Field::new("item", DataType::UInt8, true));
        let list = DataType::FixedSizeList(item, -1);
        let within = Arc::new(Field::new("item", DataType::FixedSizeBinary(-1), true));
        for data_type in [DataType::FixedSizeBinary(-1), list, DataType::List(within)] {
            let schema = Schema::new(vec![Field::new("tensor", data_type, true)]);
            let written = IpcSchemaEncoder::new().schema_to_fb(&schema);
            let read = flatbuffers::root::<arrow_ipc::Schema<'_>>(written.finished_data()).unwrap();
            let misfit = taken_over(read).unwrap_err();
            assert!(misfit.sentence.ends_with("fewer than no bytes"), "{schema}: {misfit}");
        }
    }

    #[test]
    fn text_views_are_given_to_the_decoder_as_bytes() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8View, true)));
        let schema = Schema::new(vec![
            Field::new("wanted", list, true),
            Field::new("other", DataType::Utf8View, true),
        ]);
        let given = for_decoder(&schema, &[0]);
        let DataType::List(item) = given.field(0).data_type() else { panic!("{given}") };
        assert_eq!(item.data_type(), &DataType::BinaryView);
        assert_eq!(given.field(1), schema.field(1));
    }
}
