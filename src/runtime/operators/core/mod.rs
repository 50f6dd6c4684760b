//! Operators of ONNX's own domain and of `com.microsoft` that tract lacks or computes otherwise.

use tract_onnx::Onnx;

/// Puts ours into the register, over tract's where it has one of the name.
pub(super) fn register(_onnx: &mut Onnx) {}
