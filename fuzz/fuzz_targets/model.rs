//! Bytes as an ONNX file: loaded, and if it loads, run once on zeros of the smallest sizes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use potoroo::runtime::{Deadline, Model};
use potoroo::tensor::{Dimension, Tensor};
use std::sync::Once;
use std::time::{Duration, Instant};

/// Values that an input may have here: the fuzzer is after the loader, and its memory is bounded.
const VALUES_MAX: usize = 1 << 20;

/// The fuzzer ends at each panic, those that the runtime contains too; what is not contained ends
/// it still.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Ok(model) = Model::from_bytes(bytes.to_vec()) else { return };
    let inputs = model.inputs().iter().map(|port| {
        let extent = |dimension: &Dimension| match dimension {
            Dimension::Fixed(extent) => *extent,
            Dimension::Free(_) => 1,
        };
        let shape: Vec<usize> = port.dimensions.iter().map(extent).collect();
        let values = shape.iter().fold(1_usize, |values, extent| values.saturating_mul(*extent));
        if values > VALUES_MAX {
            return None;
        }
        Tensor::new(shape, port.element.zeros(values)).ok()
    });
    let Some(inputs) = inputs.collect::<Option<Vec<_>>>() else { return };
    let _ = model.compute(&inputs, Deadline::at(Instant::now() + Duration::from_secs(2)));
});
