//! The verification of a pipeline's files, which goes on while its models are loaded.

use crate::exit::{Exit, Failure};
use crate::oci::Descriptor;
use crate::registry::Shelf;
use std::thread::JoinHandle;

/// Whether files are the bytes that their digests name. A large model is read through for as long as
/// it takes to load, so both are done at once; nothing runs before this is waited for.
#[derive(Debug)]
pub(super) struct Verification(Option<JoinHandle<Result<(), Failure>>>);

impl Verification {
    /// All were verified before.
    pub(super) const fn right() -> Verification {
        Verification(None)
    }

    /// Reads these blobs through on a thread of its own.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn on(shelf: Shelf, blobs: Vec<Descriptor>) -> Result<Verification, Failure> {
        let read = move || {
            for blob in &blobs {
                let _proof = shelf.verify_blob(blob)?;
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("verify".into()).spawn(read);
        thread
            .map(|thread| Verification(Some(thread)))
            .map_err(|error| Failure::new(Exit::Failed, error))
    }

    /// Waits for it.
    ///
    /// # Errors
    /// When a blob is missing or damaged.
    pub(super) fn wait(self) -> Result<(), Failure> {
        match self.0.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(verdict)) => verdict,
            Some(Err(_)) => Err(Failure::new(Exit::Failed, "the thread that verifies broke")),
        }
    }
}
