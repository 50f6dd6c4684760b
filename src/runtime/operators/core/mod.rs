//! Operators of ONNX's own domain and of `com.microsoft` that tract lacks or computes otherwise.
//!
//! Most are put together from tract's typed operators; those that compute themselves follow the
//! specification, and onnxruntime where it leaves something open.

mod body;
mod branch;
mod cast;
mod compress;
mod dynamic;
mod gemm;
mod grams;
mod pool;
mod prelu;
mod recurrent;
mod regions;
mod repeat;
mod scaling;
mod slice;
mod sound;
mod spread;
mod steps;
mod texts;
mod whole;
mod within;
mod words;

use super::ml;
pub(super) use branch::Choice;
pub(in crate::runtime) use branch::stepwise;
pub(super) use dynamic::DynamicQuantize;
pub(super) use recurrent::Layer as Recurrent;
pub(in crate::runtime) use recurrent::prepare;
pub(super) use sound::Sound;
pub(in super::super) use spread::{Integers, spread_stored};
pub(in super::super) use steps::Steps;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::prelude::TractResult;
use tract_onnx::tract_core::internal::TractErrorContext;
use tract_onnx::tract_hir::internal::InferenceOp;
pub(in super::super) use whole::{Counting, counting, is_of_single_values, mean_step, sum_ratios};
pub(in super::super) use words::Words;

/// How the names end under which tract's own operators are kept where ours take theirs.
pub(in super::super) const ASIDE: &str = " of tract";

/// Where tract's `Cast` is kept.
const TRACTS_CAST: &str = "Cast of tract";
const TRACTS_GRU: &str = "GRU of tract";
const TRACTS_LSTM: &str = "LSTM of tract";
const TRACTS_PRELU: &str = "PRelu of tract";
const TRACTS_RNN: &str = "RNN of tract";
const TRACTS_SLICE: &str = "Slice of tract";

/// Operators that `onnx/whole` makes of those that files have.
pub(in super::super) const REQUANTIZE: &str = "Requantize of whole numbers";
pub(in super::super) const QUANTIZED_SUM: &str = "Sum of whole numbers";
pub(in super::super) const QUANTIZED_MEAN: &str = "Mean of whole numbers";
pub(in super::super) const SPREAD: &str = "DequantizeLinear of stored integers";

/// Puts ours into the register, over tract's where it has one of the name.
pub(super) fn register(onnx: &mut Onnx) {
    let register = &mut onnx.op_register;
    let kept = [
        ("Cast", TRACTS_CAST),
        ("GRU", TRACTS_GRU),
        ("LSTM", TRACTS_LSTM),
        ("PRelu", TRACTS_PRELU),
        ("RNN", TRACTS_RNN),
        ("Slice", TRACTS_SLICE),
    ];
    for (name, kept) in kept {
        if let Some(tracts) = register.0.remove(name) {
            register.insert(kept, tracts);
        }
    }
    within::register(register);
    register.insert("Cast", cast::cast);
    register.insert("Compress", compress::compress);
    register.insert("DequantizeLinear", scaling::dequantize_linear);
    register.insert("DynamicQuantizeLinear", dynamic::dynamic_quantize_linear);
    register.insert("DynamicQuantizeLSTM", recurrent::dynamic_quantize_lstm);
    register.insert("Gemm", gemm::gemm);
    register.insert("GlobalLpPool", pool::global_lp_pool);
    register.insert("GRU", recurrent::gru);
    register.insert("If", branch::branch);
    register.insert("Loop", repeat::repeat);
    register.insert("LSTM", recurrent::lstm);
    register.insert("PRelu", prelu::prelu);
    register.insert("QuantizeLinear", scaling::quantize_linear);
    register.insert("ReverseSequence", |context, node| {
        ml::kernel(context, node, regions::reverse_sequence)
    });
    register.insert("RNN", recurrent::rnn);
    register.insert("RoiAlign", |context, node| ml::kernel(context, node, regions::roi_align));
    register.insert("Slice", slice::slice);
    register.insert("StringNormalizer", |context, node| {
        ml::kernel(context, node, texts::string_normalizer)
    });
    register.insert("TfIdfVectorizer", |context, node| {
        ml::kernel(context, node, grams::tf_idf_vectorizer)
    });
    register.insert("Upsample", upsample);
    register.insert(REQUANTIZE, whole::requantize);
    register.insert(QUANTIZED_SUM, whole::sum);
    register.insert(QUANTIZED_MEAN, whole::mean);
    register.insert(SPREAD, scaling::spread);
}

/// An integer attribute, or what holds without it.
fn integer(node: &NodeProto, name: &str, otherwise: i64) -> i64 {
    node.attribute.iter().find(|one| one.name == name).map_or(otherwise, |one| one.i)
}

/// A float attribute, or what holds without it.
fn float(node: &NodeProto, name: &str, otherwise: f32) -> f32 {
    node.attribute.iter().find(|one| one.name == name).map_or(otherwise, |one| one.f)
}

/// `Upsample` is the `Resize` of operator set 10, which takes the pixel before.
fn upsample(
    context: &ParsingContext<'_>,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let mut node = node.clone();
    node.attribute.push(AttributeProto {
        name: "nearest_mode".into(),
        r#type: AttributeType::String as i32,
        s: b"floor".to_vec(),
        ..AttributeProto::default()
    });
    let context = ParsingContext { onnx_operator_set_version: 10, ..context.clone() };
    tracts(&context, &node, "Resize")
}

/// What tract makes of the node.
fn tracts(
    context: &ParsingContext<'_>,
    node: &NodeProto,
    name: &str,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let build = context.framework.op_register.0.get(name);
    build.with_context(|| format!("{name} is not registered"))?(context, node)
}
