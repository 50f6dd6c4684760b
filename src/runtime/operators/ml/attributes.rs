//! The attributes of a node: read by name and type, where tract would take one for the other.

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::tract_core::internal::*;

/// A node's attributes.
#[derive(Clone, Copy)]
pub(in super::super) struct Attributes<'n> {
    pub(in super::super) node: &'n NodeProto,
    pub(in super::super) context: &'n ParsingContext<'n>,
}

/// A list of numbers, and whether the file has it in double precision.
#[derive(Debug, Default)]
pub(in super::super) struct Numbers {
    pub(in super::super) values: Vec<f64>,
    pub(in super::super) wide: bool,
}

impl<'n> Attributes<'n> {
    fn of_type(self, name: &str, kind: AttributeType) -> TractResult<Option<&'n AttributeProto>> {
        let Some(found) = self.node.attribute.iter().find(|attribute| attribute.name == name)
        else {
            return Ok(None);
        };
        // The first version of the format had no field for the type.
        ensure!(
            found.r#type == kind as i32 || found.r#type == AttributeType::Undefined as i32,
            "attribute `{name}` should be {}",
            kind.as_str_name()
        );
        Ok(Some(found))
    }

    /// A list of integers, empty when the attribute is not there.
    pub(in super::super) fn ints(self, name: &str) -> TractResult<&'n [i64]> {
        Ok(self.of_type(name, AttributeType::Ints)?.map_or(&[], |found| &found.ints))
    }

    /// A list of floats, empty when the attribute is not there.
    pub(in super::super) fn floats(self, name: &str) -> TractResult<&'n [f32]> {
        Ok(self.of_type(name, AttributeType::Floats)?.map_or(&[], |found| &found.floats))
    }

    /// A list of texts, empty when the attribute is not there.
    pub(in super::super) fn texts(self, name: &str) -> TractResult<Vec<String>> {
        let texts: &[Vec<u8>] =
            self.of_type(name, AttributeType::Strings)?.map_or(&[], |found| &found.strings);
        texts.iter().map(|text| utf8(name, text)).collect()
    }

    pub(in super::super) fn int(self, name: &str) -> TractResult<Option<i64>> {
        Ok(self.of_type(name, AttributeType::Int)?.map(|found| found.i))
    }

    pub(in super::super) fn float(self, name: &str) -> TractResult<Option<f32>> {
        Ok(self.of_type(name, AttributeType::Float)?.map(|found| found.f))
    }

    pub(in super::super) fn text(self, name: &str) -> TractResult<Option<String>> {
        self.of_type(name, AttributeType::String)?.map(|found| utf8(name, &found.s)).transpose()
    }

    pub(in super::super) fn tensor(self, name: &str) -> TractResult<Option<Tensor>> {
        let Some(found) = self.of_type(name, AttributeType::Tensor)? else { return Ok(None) };
        let proto = found.t.as_ref().with_context(|| format!("attribute `{name}` is empty"))?;
        Ok(Some(self.context.load_tensor(proto)?))
    }

    /// A tensor of numbers as a list.
    pub(in super::super) fn tensor_numbers(
        self,
        name: &str,
    ) -> TractResult<Option<(Tensor, Vec<f64>)>> {
        let Some(tensor) = self.tensor(name)? else { return Ok(None) };
        let values = tensor.cast_to::<f64>()?.try_as_plain_ram()?.as_slice::<f64>()?.to_vec();
        Ok(Some((tensor, values)))
    }

    /// A list of numbers that is floats under `name`, or doubles under `name` with `_as_tensor`.
    pub(in super::super) fn numbers(self, name: &str) -> TractResult<Numbers> {
        if let Some((tensor, values)) = self.tensor_numbers(&format!("{name}_as_tensor"))? {
            return Ok(Numbers { values, wide: tensor.datum_type() == DatumType::F64 });
        }
        let values = self.floats(name)?.iter().map(|value| f64::from(*value)).collect();
        Ok(Numbers { values, wide: false })
    }
}

fn utf8(name: &str, text: &[u8]) -> TractResult<String> {
    let text = std::str::from_utf8(text);
    Ok(text.with_context(|| format!("attribute `{name}` should be text in UTF-8"))?.to_owned())
}
