//! What the protocol's other endpoints answer: metadata, readiness, errors.

use super::datatype::datatype;
use crate::tensor::{Dimension, Port};
use serde::Serialize;

/// What of the protocol's extensions is known here.
const EXTENSIONS: [&str; 1] = ["binary_tensor_data"];

/// The platform of an ONNX model, as the protocol's specification spells it.
const PLATFORM: &str = "onnx_onnxv1";

/// How the protocol tells a free dimension.
const FREE: i64 = -1;

/// Whether a server or model takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It does: answered with status 200.
    Ready,
    /// It does not yet, or no more: answered with status 503.
    NotReady,
}

#[derive(Serialize)]
struct ServerWire<'a> {
    name: &'a str,
    version: &'a str,
    extensions: [&'a str; 1],
}

#[derive(Serialize)]
struct ModelWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    versions: Option<[&'a str; 1]>,
    platform: &'a str,
    inputs: Vec<PortWire<'a>>,
    outputs: Vec<PortWire<'a>>,
}

#[derive(Serialize)]
struct PortWire<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: Vec<i64>,
}

#[derive(Serialize)]
struct LiveWire {
    live: bool,
}

#[derive(Serialize)]
struct ServerReadyWire {
    live: bool,
    ready: bool,
}

#[derive(Serialize)]
struct ModelReadyWire<'a> {
    name: &'a str,
    ready: bool,
}

#[derive(Serialize)]
struct ErrorWire<'a> {
    error: &'a str,
}

/// The body of `GET /v2`: the server's name and version, and the extensions known here.
pub fn server_metadata(name: &str, version: &str) -> Vec<u8> {
    json(&ServerWire { name, version, extensions: EXTENSIONS })
}

/// The body of `GET /v2/models/{model}`: a free dimension is -1; an empty version is left out.
pub fn model_metadata(name: &str, version: &str, inputs: &[Port], outputs: &[Port]) -> Vec<u8> {
    let versions = if version.is_empty() { None } else { Some([version]) };
    let (inputs, outputs) = (inputs.iter().map(port).collect(), outputs.iter().map(port).collect());
    json(&ModelWire { name, versions, platform: PLATFORM, inputs, outputs })
}

fn port(port: &Port) -> PortWire<'_> {
    let shape = port.dimensions.iter().map(|dimension| match dimension {
        Dimension::Fixed(extent) => i64::try_from(*extent).unwrap_or(i64::MAX),
        Dimension::Free(_) => FREE,
    });
    PortWire { name: &port.name, datatype: datatype(port.element), shape: shape.collect() }
}

/// The body of `GET /v2/health/live`.
pub fn server_live() -> Vec<u8> {
    json(&LiveWire { live: true })
}

/// The body of `GET /v2/health/ready`, with the key that the specification's text has (`live`)
/// and the one that its servers have (`ready`). Clients look at the status.
pub fn server_ready(readiness: Readiness) -> Vec<u8> {
    json(&ServerReadyWire { live: true, ready: readiness == Readiness::Ready })
}

/// The body of `GET /v2/models/{model}/ready`.
pub fn model_ready(name: &str, readiness: Readiness) -> Vec<u8> {
    json(&ModelReadyWire { name, ready: readiness == Readiness::Ready })
}

/// The body of every answer that is not 200: the sentence under `error`.
pub fn error_body(sentence: &str) -> Vec<u8> {
    json(&ErrorWire { error: sentence })
}

#[expect(clippy::expect_used, reason = "memory does not refuse a write, nor these types a form")]
fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a plain value is written to memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::ElementType;

    fn text(body: Vec<u8>) -> String {
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn every_body_is_that_of_the_protocol() {
        let input = Port {
            name: "x".into(),
            element: ElementType::F32,
            dimensions: vec![Dimension::Free("n".into()), Dimension::Fixed(29)],
        };
        let output = Port { name: "s".into(), element: ElementType::String, dimensions: vec![] };
        let cases = [
            (
                server_metadata("potoroo", "0.1.0"),
                r#"{"name":"potoroo","version":"0.1.0","extensions":["binary_tensor_data"]}"#,
            ),
            (
                model_metadata("m", "v", &[input], &[output]),
                concat!(
                    r#"{"name":"m","versions":["v"],"platform":"onnx_onnxv1","#,
                    r#""inputs":[{"name":"x","datatype":"FP32","shape":[-1,29]}],"#,
                    r#""outputs":[{"name":"s","datatype":"BYTES","shape":[]}]}"#
                ),
            ),
            (
                model_metadata("m", "", &[], &[]),
                r#"{"name":"m","platform":"onnx_onnxv1","inputs":[],"outputs":[]}"#,
            ),
            (server_live(), r#"{"live":true}"#),
            (server_ready(Readiness::NotReady), r#"{"live":true,"ready":false}"#),
            (model_ready("m", Readiness::Ready), r#"{"name":"m","ready":true}"#),
            (error_body("a \"b\""), r#"{"error":"a \"b\""}"#),
        ];
        for (body, expected) in cases {
            assert_eq!(text(body), expected);
        }
    }
}
