//! The Open Inference Protocol v2 over REST, with the binary tensor extension: bodies to tables
//! and back.

mod batch;
mod binary;
#[cfg(test)]
mod damage;
mod datatype;
mod given;
mod head;
mod request;
mod response;
mod service;
#[cfg(test)]
mod tests;

pub use request::{InferRequest, read_infer};
pub use response::{CHOSEN_MODEL, challenger_output, write_infer};
pub use service::{
    Readiness, error_body, model_metadata, model_ready, server_live, server_metadata, server_ready,
};

/// The request and answer header that tells the bytes of JSON before tensors in binary form.
pub const HEADER_LENGTH_NAME: &str = "Inference-Header-Content-Length";

/// The `Content-Type` of a body with tensors in binary form; without, it is JSON's.
pub const CONTENT_TYPE_BINARY: &str = "application/octet-stream";
