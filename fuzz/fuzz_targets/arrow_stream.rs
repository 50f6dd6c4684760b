//! Any bytes as Arrow streams.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use potoroo::codec::InputFormat;

fuzz_target!(|body: &[u8]| walk::every_model(InputFormat::ArrowStream, body));
