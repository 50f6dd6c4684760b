//! What a request hands over for the journal once it is answered, by the policy of its pipeline.

use super::promised::Turn;
use super::{Inference, Journal};
use crate::clock::since_boot_ms;
use crate::codec::Decoded;
use crate::codec::journal::{Origin, hashed};
use crate::pipeline::{LogPolicy, Record, Treatment};
use crate::tensor::{Data, NamedTensor, Tensor};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of an inference beside its values: names, numbers, and the record's own.
const FRAME_BYTES: usize = 1024;

/// Records what one pipeline answers.
#[derive(Debug)]
pub(in crate::engine) struct Recorder {
    journal: Arc<Journal>,
    origin: Arc<Origin>,
    policy: LogPolicy,
    /// Inferences so far, of which a sample is kept.
    answered: AtomicU64,
}

impl Recorder {
    pub(in crate::engine) fn new(
        journal: Arc<Journal>,
        origin: Origin,
        policy: LogPolicy,
    ) -> Recorder {
        Recorder { journal, origin: Arc::new(origin), policy, answered: AtomicU64::new(0) }
    }

    pub(in crate::engine) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Promises an inference that is about to be answered, so that whoever asks for all that was
    /// answered waits for it.
    pub(in crate::engine) fn promise(self: &Arc<Self>) -> Promise {
        Promise { turn: self.journal.promised.begin(), recorder: self.clone() }
    }

    /// Keeps an inference that was answered, if it is one of the sample. What is left out by the
    /// policy, or is too long, is named.
    pub(in crate::engine) fn keep(&self, mut record: Record<'static>, input: Decoded) {
        let sample = u64::from(self.policy.sample);
        // What all threads count in is slow to count in, so that only who needs it does.
        if 1 < sample && !self.answered.fetch_add(1, Relaxed).is_multiple_of(sample) {
            return self.journal.passed_over();
        }
        if !self.journal.admits() {
            return;
        }
        let rows = input.rows();
        let value_bytes_max = self.journal.settings().value_bytes_max;
        let (input, dropped) = input.kept(&self.policy, value_bytes_max);
        let mut dropped: Vec<String> =
            dropped.into_iter().map(|name| format!("in.{name}")).collect();
        let mut bytes = FRAME_BYTES + input.bytes();
        bytes += self.outputs(&mut record.outputs, "out", rows, &mut dropped);
        for shadow in &mut record.shadows {
            let group = format!("out_{}", shadow.model_name);
            bytes += self.outputs(&mut shadow.outputs, &group, rows, &mut dropped);
        }
        let mono_ms = since_boot_ms();
        let is_counted_alone = self.policy.summaries;
        self.journal.record(Inference {
            origin: Cow::Borrowed(&self.origin),
            record,
            input,
            dropped,
            mono_ms,
            is_counted_alone,
            bytes,
        });
    }

    /// Leaves of a model's outputs what may be kept; the bytes of that.
    fn outputs(
        &self,
        outputs: &mut Vec<NamedTensor<'static>>,
        group: &str,
        rows: usize,
        dropped: &mut Vec<String>,
    ) -> usize {
        let mut bytes = 0;
        outputs.retain_mut(|output| {
            let taken = match self.policy.of_output(&output.name) {
                Treatment::Keep => Some(output.tensor.data().bytes()),
                Treatment::Drop => None,
                Treatment::Hash => {
                    let texts = hashed(output.tensor.data(), rows, &self.policy.salt);
                    let texts = Data::String(Cow::Owned(texts));
                    let taken = texts.bytes();
                    // As many texts as rows make a tensor of that shape.
                    Tensor::new(vec![rows], texts).ok().map(|tensor| {
                        output.tensor = tensor;
                        taken
                    })
                }
            };
            let most = self.journal.settings().value_bytes_max.saturating_mul(rows.max(1));
            match taken.filter(|taken| *taken <= most) {
                Some(taken) => bytes += taken,
                None => dropped.push(format!("{group}.{}", output.name)),
            }
            taken.is_some_and(|taken| taken <= most)
        });
        bytes
    }
}

/// An inference that will be kept in a moment.
#[derive(Debug)]
pub(in crate::engine) struct Promise {
    recorder: Arc<Recorder>,
    turn: Turn,
}

impl Promise {
    /// Keeps it, as [`Recorder::keep`].
    pub(in crate::engine) fn keep(self, record: Record<'static>, input: Decoded) {
        self.recorder.keep(record, input);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.recorder.journal.promised.end(self.turn);
    }
}
