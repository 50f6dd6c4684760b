//! Any bytes as requests of the Open Inference Protocol: JSON, and tensors in binary form behind it.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use potoroo::codec::open_inference::read_infer;
use potoroo::tensor::{Dimension, ElementType, Port};

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (kind, length, body) = input;
    // Where the JSON ends: as the body itself shows, nowhere, at its beginning, or anywhere.
    let header_length = match kind & 3 {
        0 => body.iter().rposition(|byte| *byte == b'}').map(|at| at + 1),
        1 => None,
        2 => Some(0),
        _ => Some(usize::from(length)),
    };
    let port = |name: &str, element, dimensions: usize| Port {
        name: name.into(),
        element,
        dimensions: (0..dimensions).map(|at| Dimension::Free(at.to_string())).collect(),
    };
    let models = [
        vec![
            port("x", ElementType::F32, 2),
            port("n", ElementType::I64, 1),
            port("s", ElementType::F16, 0),
            port("t", ElementType::String, 1),
        ],
        vec![port("x", ElementType::F32, 2)],
        vec![port("t", ElementType::String, 1)],
        vec![port("b", ElementType::Bool, 2)],
    ];
    for inputs in models {
        match read_infer(body.to_vec(), header_length, &inputs, &[]) {
            Ok(request) => walk::every_value(&request.table(), inputs.len()),
            Err(misfit) => assert!(!misfit.sentence.is_empty()),
        }
    }
});
