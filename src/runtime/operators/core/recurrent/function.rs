//! The functions of one value that a recurrent layer may have at its gates.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::internal::{TractResult, bail};

/// A function with its parameters, as ONNX's recurrent layers define them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Affine { alpha: f32, beta: f32 },
    Elu { alpha: f32 },
    HardSigmoid { alpha: f32, beta: f32 },
    LeakyRelu { alpha: f32 },
    Relu,
    ScaledTanh { alpha: f32, beta: f32 },
    Sigmoid,
    Softplus,
    Softsign,
    Tanh,
    ThresholdedRelu { alpha: f32 },
}

impl Function {
    /// The function's value.
    pub(super) fn of(self, x: f32) -> f32 {
        match self {
            Function::Affine { alpha, beta } => alpha * x + beta,
            Function::Elu { alpha } if x < 0.0 => alpha * (x.exp() - 1.0),
            Function::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Function::LeakyRelu { alpha } if x < 0.0 => alpha * x,
            Function::Relu => x.max(0.0),
            Function::ScaledTanh { alpha, beta } => alpha * (beta * x).tanh(),
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            // The larger half apart, so that no exponential overflows.
            Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Tanh => x.tanh(),
            Function::ThresholdedRelu { alpha } if x <= alpha => 0.0,
            Function::Elu { .. }
            | Function::LeakyRelu { .. }
            | Function::ThresholdedRelu { .. } => x,
        }
    }
}

/// The functions of `node`, one list after the other for each direction; `usual` where it names none.
///
/// The lists of parameters have a value for each function that takes one, in the order of the
/// functions, as onnxruntime reads them.
pub(super) fn functions(
    node: &NodeProto,
    usual: &[Function],
    directions: usize,
) -> TractResult<Vec<Function>> {
    let attribute = |name: &str| node.attribute.iter().find(|one| one.name == name);
    let floats = |name: &str| attribute(name).map(|one| one.floats.clone()).unwrap_or_default();
    let Some(names) = attribute("activations").filter(|names| !names.strings.is_empty()) else {
        return Ok(usual.iter().copied().cycle().take(usual.len() * directions).collect());
    };
    if names.strings.len() != usual.len() * directions {
        let (found, wanted) = (names.strings.len(), usual.len() * directions);
        bail!("it names {found} functions where it has {wanted} places for them");
    }
    let (mut alphas, mut betas) =
        (floats("activation_alpha").into_iter(), floats("activation_beta").into_iter());
    let mut alpha = |usual: f32| alphas.next().unwrap_or(usual);
    let mut beta = |usual: f32| betas.next().unwrap_or(usual);
    let named = names.strings.iter().map(|name| {
        let name = String::from_utf8_lossy(name).to_lowercase();
        Ok(match name.as_str() {
            "affine" => Function::Affine { alpha: alpha(1.0), beta: beta(0.0) },
            "elu" => Function::Elu { alpha: alpha(1.0) },
            "hardsigmoid" => Function::HardSigmoid { alpha: alpha(0.2), beta: beta(0.5) },
            "leakyrelu" => Function::LeakyRelu { alpha: alpha(0.01) },
            "relu" => Function::Relu,
            "scaledtanh" => Function::ScaledTanh { alpha: alpha(1.0), beta: beta(1.0) },
            "sigmoid" => Function::Sigmoid,
            "softplus" => Function::Softplus,
            "softsign" => Function::Softsign,
            "tanh" => Function::Tanh,
            "thresholdedrelu" => Function::ThresholdedRelu { alpha: alpha(1.0) },
            other => bail!("it names the function `{other:.40}`, which no recurrent layer has"),
        })
    });
    named.collect()
}
