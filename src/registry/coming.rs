//! One blob on its way: fetched, cut, gone on with, and given up only when nothing comes any more.

use std::io::{ErrorKind, Read};
use std::time::Instant;

use super::pace::{PROGRESS_BYTES_MIN, Pace, WINDOW};
use super::partial::Partial;
use super::pull::{Opened, mismatched};
use super::transfer::{Arrival, Brought, Over, Transfer};
use super::verify::{CHUNK_BYTES, Mismatch};
use super::{Doing, Error, Pushed};
use crate::exit;
use crate::http::client::Answer;
use crate::logging::AT_PULL;
use crate::oci::Descriptor;

/// Why a blob does not come.
pub(super) enum End {
    /// For this reason.
    Failed(Error),
    /// Another blob failed, and so nothing more is fetched.
    Over,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// One blob of a transfer.
pub(super) struct Coming<'a> {
    transfer: &'a Transfer<'a>,
    blob: &'a Descriptor,
    over: &'a Over,
    tell: &'a dyn Fn(Arrival),
    brought: Brought,
    /// Whether the registry is asked for the rest of a blob: one that once sent another part
    /// than it was asked for, or none, is asked for all.
    asks_for_rest: bool,
}

impl<'a> Coming<'a> {
    pub(super) fn new(
        transfer: &'a Transfer<'a>,
        blob: &'a Descriptor,
        over: &'a Over,
        tell: &'a dyn Fn(Arrival),
    ) -> Self {
        Self { transfer, blob, over, tell, brought: Brought::default(), asks_for_rest: true }
    }

    /// Brings it into the layout and says what that took.
    pub(super) fn bring(mut self) -> Result<Brought, End> {
        let layout = self.transfer.layout;
        if let Some(data) = &self.blob.data {
            layout.put_blob_from(self.blob, &mut data.as_slice())?;
            return Ok(self.whole(Pushed::Sent));
        }
        let mut partial = Partial::open(layout, self.blob)?;
        // While the file was waited for, whoever held it may have brought the blob.
        if layout.has_blob(self.blob)? && layout.verify_blob(self.blob).is_ok() {
            partial.discard()?;
            return Ok(self.whole(Pushed::AlreadyThere));
        }
        self.fetch(&mut partial).inspect_err(|end| {
            // What is not the blob must not be gone on with.
            if matches!(end, End::Failed(error) if is_other(error)) {
                let _ = partial.restart();
            }
        })?;
        partial.keep(layout)?;
        Ok(self.whole(Pushed::Sent))
    }

    fn whole(mut self, pushed: Pushed) -> Brought {
        (self.tell)(Arrival::Whole(pushed));
        self.brought.blobs += usize::from(pushed == Pushed::Sent);
        self.brought
    }

    /// Tries until the partial blob is the blob.
    fn fetch(&mut self, partial: &mut Partial<'_>) -> Result<(), End> {
        let retry = self.transfer.retry;
        let (mut in_vain, mut furthest) = (0, partial.have());
        let mut is_last_mismatch = false;
        loop {
            let error = match self.attempt(partial) {
                Ok(()) => return Ok(()),
                Err(End::Failed(error)) => error,
                Err(End::Over) => return Err(End::Over),
            };
            if matches!(error, Error::DigestMismatch { .. }) && partial.is_pieced() {
                // A piece may be from a power cut, or from another answer: once more in one.
                if std::mem::replace(&mut is_last_mismatch, true) {
                    return Err(error.into());
                }
                self.warn(&error, "fetched again from its first byte");
                partial.restart()?;
                continue;
            }
            // Only bytes never had before are progress: a registry that begins anew each time
            // and is cut at the same place each time would otherwise be asked for ever.
            if partial.have() >= furthest + PROGRESS_BYTES_MIN {
                furthest = partial.have();
                in_vain = 0;
            } else {
                in_vain += 1;
            }
            if !error.is_transient() || in_vain >= retry.attempts_max {
                return Err(error.into());
            }
            let wait = retry.wait_after(in_vain.max(1), error.retry_after());
            self.brought.retries += 1;
            self.warn(&error, &format!("tried again in {} ms", wait.as_millis()));
            self.over.wait(wait);
            if self.over.is_so() {
                return Err(End::Over);
            }
        }
    }

    /// Fetches what is missing, as far as the connection holds.
    fn attempt(&mut self, partial: &mut Partial<'_>) -> Result<(), End> {
        (self.tell)(Arrival::Bytes(partial.have()));
        if partial.have() < self.blob.size {
            let answer = self.open(partial)?;
            self.receive(answer, partial)?;
        }
        Ok(partial.check()?)
    }

    /// Asks for the rest of the blob, or for all of it where that does not go.
    fn open(&mut self, partial: &mut Partial<'_>) -> Result<Answer, Error> {
        let remote = self.transfer.remote;
        if partial.have() > 0 && self.asks_for_rest {
            match remote.open_blob_at(self.blob, partial.have())? {
                Opened::Rest(answer) => return Ok(answer),
                Opened::Whole(answer) => {
                    partial.restart()?;
                    return Ok(answer);
                }
                Opened::Neither => self.asks_for_rest = false,
            }
        }
        partial.restart()?;
        remote.open_blob(self.blob)
    }

    fn receive(&mut self, answer: Answer, partial: &mut Partial<'_>) -> Result<(), End> {
        partial.next_piece();
        let size = self.blob.size;
        let mut reader = answer.into_reader();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut pace = Pace::new(Instant::now());
        while partial.have() < size {
            if self.over.is_so() {
                return Err(End::Over);
            }
            let left = usize::try_from(size - partial.have()).unwrap_or(CHUNK_BYTES);
            match reader.read(&mut chunk[..left.min(CHUNK_BYTES)]) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    partial.write(&chunk[..count])?;
                    self.brought.bytes += count as u64;
                    (self.tell)(Arrival::Bytes(partial.have()));
                    if !pace.keeps_up(Instant::now(), count as u64) {
                        return Err(self.transfer.remote.stalled(Doing::FetchBlob, WINDOW).into());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A connection that is cut says so in its own way; to the blob it is the same.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(self.transfer.remote.cut(Doing::FetchBlob, error).into()),
            }
        }
        // All bytes are here: a connection that breaks now breaks nothing.
        if matches!(reader.read(&mut [0]), Ok(1..)) {
            return Err(mismatched(self.blob, Mismatch::TooLong { expected: size }).into());
        }
        Ok(())
    }

    fn warn(&self, error: &Error, what: &str) {
        let digest = self.blob.digest;
        log::warn!(target: AT_PULL, "digest={digest} cause={:?} msg={what:?}", exit::chain(error));
    }
}

/// Whether the error says that the bytes are not the blob's.
fn is_other(error: &Error) -> bool {
    matches!(
        error,
        Error::DigestMismatch { .. } | Error::SizeMismatch { .. } | Error::TooLong { .. }
    )
}
