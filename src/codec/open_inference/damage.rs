//! Damage done to good requests: none may panic, nor make a table that the body cannot hold.

use super::read_infer;
use crate::random::Random;
use crate::tensor::{Dimension, ElementType, Port};
use std::panic::catch_unwind;

/// Mutants of each request.
const MUTANTS: usize = 6000;

const HEAD: &str = r#"{"id":"a","inputs":[
{"name":"x","shape":[2,3],"datatype":"FP32","parameters":{"binary_data_size":24}},
{"name":"n","shape":[2],"datatype":"INT64","data":[1,-2e1]},
{"name":"s","shape":[],"datatype":"FP16","data":0.5},
{"name":"t","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":11}}],
"outputs":[{"name":"y","parameters":{"binary_data":true}}],"parameters":{"binary_data_output":false}}"#;

const TEXTS: [u8; 11] = [1, 0, 0, 0, b'a', 2, 0, 0, 0, 0xc3, 0xa9];

/// Changes one to three bytes: to a limit, by a bit, or to what is of weight in the format.
fn hurt(random: &mut Random, body: &mut [u8]) {
    for _ in 0..=random.below(3) {
        let at = random.below(body.len());
        body[at] = match random.below(4) {
            0 => [0, 0xff][random.below(2)],
            1 => body[at] ^ (1 << random.below(8)),
            2 => b"0123456789-.,[]{}\":e "[random.below(21)],
            _ => random.below(256) as u8,
        };
    }
}

fn ports() -> Vec<Port> {
    let port = |name: &str, element, dimensions: usize| Port {
        name: name.into(),
        element,
        dimensions: (0..dimensions).map(|at| Dimension::Free(at.to_string())).collect(),
    };
    vec![
        port("x", ElementType::F32, 2),
        port("n", ElementType::I64, 1),
        port("s", ElementType::F16, 0),
        port("t", ElementType::String, 1),
    ]
}

/// Whether the body can be read; never more values than its bytes, once for each row.
fn is_readable(body: Vec<u8>, header_length: Option<usize>, ports: &[Port]) -> bool {
    let room = 64 * body.len() + 1024;
    let inputs = ports.to_vec();
    let shown = format!("{header_length:?} {}", String::from_utf8_lossy(&body));
    let beside = ["u".to_owned(), "v".to_owned()];
    let outcome = catch_unwind(move || read_infer(body, header_length, &inputs, &beside));
    let Ok(outcome) = outcome else { panic!("a panic at {shown}") };
    match outcome {
        Ok(request) => {
            let table = request.table();
            let values: usize = table.columns().iter().map(|column| column.data.len()).sum();
            assert!(values <= room, "{values} values from {shown}");
            true
        }
        Err(misfit) => {
            assert!(!misfit.sentence.is_empty());
            false
        }
    }
}

#[test]
fn no_damage_to_a_request_panics() {
    let good = [HEAD.as_bytes(), &[1; 24], &TEXTS].concat();
    let (head, ports) = (HEAD.len(), ports());
    assert!(is_readable(good.clone(), Some(head), &ports));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut readable = 0;
    for end in 0..good.len() {
        let is_readable = is_readable(good[..end].to_vec(), Some(head.min(end)), &ports);
        assert!(!is_readable, "cut at {end}");
    }
    for _ in 0..MUTANTS {
        let mut body = good.clone();
        hurt(&mut random, &mut body);
        let length = match random.below(10) {
            0 => None,
            1 => Some(random.below(good.len() + 2)),
            _ => Some(head),
        };
        readable += usize::from(is_readable(body, length, &ports));
    }
    assert!((1..MUTANTS).contains(&readable), "{readable} readable: not much was damaged");
}

#[test]
fn any_bytes_as_one_tensor_do_not_panic() {
    let mut random = Random(7);
    for _ in 0..MUTANTS {
        let mut body: Vec<u8> = TEXTS.repeat(1 + random.below(3));
        hurt(&mut random, &mut body);
        body.truncate(random.below(34));
        for port in ports() {
            is_readable(body.clone(), Some(0), &[port]);
        }
    }
}
