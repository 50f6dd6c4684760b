//! What a request hands over for the journal once it is answered.

use super::{Inference, Journal};
use crate::clock::since_boot_ms;
use crate::codec::Decoded;
use crate::codec::journal::Origin;
use crate::pipeline::Record;
use std::sync::Arc;

/// Bytes of an inference beside its values: names, numbers, and the record's own.
const FRAME_BYTES: usize = 1024;

/// Records what one pipeline answers.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Recorder {
    journal: Arc<Journal>,
    origin: Arc<Origin>,
}

impl Recorder {
    pub(in crate::engine) fn new(journal: Arc<Journal>, origin: Origin) -> Recorder {
        Recorder { journal, origin: Arc::new(origin) }
    }

    /// The same for another pipeline.
    pub(in crate::engine) fn beside(&self, origin: Origin) -> Recorder {
        Recorder::new(self.journal.clone(), origin)
    }

    pub(in crate::engine) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Keeps an inference that was answered; values that are too long are left out, and named.
    pub(in crate::engine) fn keep(&self, mut record: Record<'static>, input: Decoded) {
        let value_bytes_max = self.journal.settings().value_bytes_max;
        let rows = input.rows().max(1);
        let (input, dropped) = input.kept(value_bytes_max);
        let mut dropped: Vec<String> =
            dropped.into_iter().map(|name| format!("in.{name}")).collect();
        let mut bytes = FRAME_BYTES + input.bytes();
        record.outputs.retain(|output| {
            let taken = output.tensor.data().bytes();
            let is_wide = value_bytes_max < taken / rows;
            if is_wide {
                dropped.push(format!("out.{}", output.name));
            } else {
                bytes += taken;
            }
            !is_wide
        });
        for shadow in &mut record.shadows {
            let model = &shadow.model_name;
            shadow.outputs.retain(|output| {
                let taken = output.tensor.data().bytes();
                let is_wide = value_bytes_max < taken / rows;
                if is_wide {
                    dropped.push(format!("out_{model}.{}", output.name));
                } else {
                    bytes += taken;
                }
                !is_wide
            });
        }
        let (origin, mono_ms) = (self.origin.clone(), since_boot_ms());
        self.journal.record(Inference { origin, record, input, dropped, mono_ms, bytes });
    }
}
