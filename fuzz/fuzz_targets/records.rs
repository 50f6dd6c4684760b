//! Any bytes as JSON, as a list of rows or an object of columns.
#![no_main]

mod walk;

use libfuzzer_sys::fuzz_target;
use potoroo::codec::InputFormat;

fuzz_target!(|body: &[u8]| walk::every_model(InputFormat::PandasRecords, body));
