//! The operators of the domain `ai.onnx.ml`, in place of the few that tract has.
//!
//! Each is written after its page in ONNX's `Operators-ml`; where that leaves something open, as
//! onnxruntime has it, because that is what people test their models with. `DictVectorizer` and
//! `CastMap` are not here: they take maps, which no request can hold.

mod attributes;
mod columns;
mod coupling;
mod kernel;
mod labels;
mod linear;
mod lookup;
mod post;
mod scaling;
mod support_vectors;
mod trees;

pub(super) use attributes::Attributes;
use kernel::MlOp;
pub(super) use kernel::{Kernel, Wire, elements, tensor};
use std::sync::Arc;
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_hir::internal::{InferenceOp, expand};

/// Puts the operators into tract's register, over its own.
pub(super) fn register(onnx: &mut Onnx) {
    macro_rules! operators {
        ($($name:literal => $read:path),* $(,)?) => {
            $(onnx.op_register.insert($name, |context, node| operator(context, node, $read));)*
        };
    }
    operators! {
        "ArrayFeatureExtractor" => columns::array_feature_extractor,
        "Binarizer" => scaling::binarizer,
        "CategoryMapper" => lookup::category_mapper,
        "FeatureVectorizer" => columns::feature_vectorizer,
        "Imputer" => scaling::imputer,
        "LabelEncoder" => lookup::label_encoder,
        "LinearClassifier" => linear::classifier,
        "LinearRegressor" => linear::regressor,
        "Normalizer" => scaling::normalizer,
        "OneHotEncoder" => columns::one_hot_encoder,
        "SVMClassifier" => support_vectors::classifier,
        "SVMRegressor" => support_vectors::regressor,
        "Scaler" => scaling::scaler,
        "TreeEnsemble" => trees::tree_ensemble,
        "TreeEnsembleClassifier" => trees::classifier,
        "TreeEnsembleRegressor" => trees::regressor,
        "ZipMap" => columns::zip_map,
    }
}

pub(super) type Read = fn(Attributes<'_>) -> TractResult<Arc<dyn Kernel>>;

fn operator(
    context: &ParsingContext<'_>,
    node: &NodeProto,
    read: Read,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    ensure!(node.domain == "ai.onnx.ml", "the domain `{}` is not one that we have", node.domain);
    kernel(context, node, read)
}

/// The operator that a kernel is, with the outputs that its node names.
pub(super) fn kernel(
    context: &ParsingContext<'_>,
    node: &NodeProto,
    read: Read,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let kernel = read(Attributes { node, context })?;
    let kept = (0..node.output.len()).filter(|index| !node.output[*index].is_empty()).collect();
    Ok((expand(MlOp { kernel, kept }), Vec::new()))
}
