//! Distrust: no blob passes here whose size or digest is not the one that was promised.

use std::io::{self, Read, Write};

use crate::oci::{Descriptor, Digest, Hasher};

/// How many bytes are moved at once: few for a small device, enough to keep the hash busy.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// The proof that bytes with this digest and this size went by; only this room makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Verified {
    digest: Digest,
    size: u64,
}

impl Verified {
    /// The digest that the bytes have.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many bytes there were.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }
}

/// A reader of one blob that reaches its end only when size and digest are right.
///
/// It never gives more bytes than the descriptor has, and it asks for at most one more, to see
/// that there is none. Its own errors hold a [`Mismatch`]. Bytes given before the end are not
/// yet verified: use them only once the end was reached.
#[derive(Debug)]
pub struct VerifyReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    got: u64,
}

impl<R: Read> VerifyReader<R> {
    /// A reader of the blob that the descriptor describes.
    pub fn new(inner: R, blob: &Descriptor) -> Self {
        let hasher = Some(Hasher::new());
        Self { inner, hasher, digest: blob.digest, size: blob.size, got: 0 }
    }

    /// Sees that the source is at its end and that the digest is right, once.
    ///
    /// For who knows the size and stops there; who reads to the end has it done.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found = hasher.finish();
        if found != self.digest {
            return Err(Mismatch::Digest { expected: self.digest, found }.into());
        }
        loop {
            match self.inner.read(&mut [0]) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(Mismatch::TooLong { expected: self.size }.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<R: Read> Read for VerifyReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size - self.got;
        if left == 0 {
            return self.finish().map(|()| 0);
        }
        let room = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if room == 0 {
            return Ok(0);
        }
        let ended = Mismatch::Ended { got: self.got, expected: self.size };
        let count = match self.inner.read(&mut buffer[..room]) {
            Ok(0) => return Err(ended.into()),
            // A connection that is cut says so in its own way; to the blob it is the same.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ended.into()),
            Err(error) => return Err(error),
            Ok(count) => count,
        };
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        self.got += count as u64;
        Ok(count)
    }
}

/// Copies one blob, telling `progress` the bytes so far, and gives the proof that it is right.
///
/// # Errors
/// [`CopyError::Read`] when the source fails or the blob is wrong, [`CopyError::Write`] when
/// `into` fails; what went `into` by then must not be used.
pub fn copy(
    from: impl Read,
    blob: &Descriptor,
    into: &mut dyn Write,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, CopyError> {
    let mut reader = VerifyReader::new(from, blob);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                into.write_all(&chunk[..count]).map_err(CopyError::Write)?;
                progress(reader.got);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(match error.downcast::<Mismatch>() {
                    Ok(mismatch) => CopyError::Mismatch(mismatch),
                    Err(error) => CopyError::Read(error),
                });
            }
        }
    }
    into.flush().map_err(CopyError::Write)?;
    Ok(Verified { digest: blob.digest, size: blob.size })
}

/// Why a blob was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source failed.
    #[error("cannot read the blob")]
    Read(#[source] io::Error),
    /// The destination failed.
    #[error("cannot write the blob")]
    Write(#[source] io::Error),
    /// The bytes are not the blob.
    #[error(transparent)]
    Mismatch(Mismatch),
}

/// How bytes differ from the blob they were to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Fewer bytes.
    #[error("the blob ended after {got} of {expected} bytes")]
    Ended {
        /// The bytes that came.
        got: u64,
        /// The bytes that were promised.
        expected: u64,
    },
    /// More bytes.
    #[error("the blob goes on after its {expected} bytes")]
    TooLong {
        /// The bytes that were promised.
        expected: u64,
    },
    /// Other bytes.
    #[error("the blob has the digest {found}, expected {expected}")]
    Digest {
        /// The digest that was promised.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
}

impl From<Mismatch> for io::Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::new(io::ErrorKind::InvalidData, mismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::{CopyError, Mismatch, copy};
    use crate::oci::{Descriptor, Digest, media_type};

    fn copied(blob: &Descriptor, from: &[u8]) -> (Result<(), Mismatch>, Vec<u8>, Vec<u64>) {
        let (mut into, mut steps) = (Vec::new(), Vec::new());
        let result = match copy(from, blob, &mut into, &mut |so_far| steps.push(so_far)) {
            Ok(verified) => {
                assert_eq!((verified.digest(), verified.size()), (&blob.digest, blob.size));
                Ok(())
            }
            Err(CopyError::Mismatch(mismatch)) => Err(mismatch),
            Err(error) => panic!("{error:?}"),
        };
        (result, into, steps)
    }

    #[test]
    fn the_right_bytes_pass_and_progress_ends_at_the_size() {
        let bytes = vec![7; 200_000];
        let (result, into, steps) =
            copied(&Descriptor::of(media_type::OCTET_STREAM, &bytes), &bytes);
        assert_eq!((result, into), (Ok(()), bytes));
        assert_eq!(steps.last(), Some(&200_000));
        assert!(steps.is_sorted());
    }

    #[test]
    fn a_blob_of_no_bytes_is_a_blob() {
        assert_eq!(copied(&Descriptor::of(media_type::OCTET_STREAM, b""), b"").0, Ok(()));
    }

    #[test]
    fn each_wrong_blob_is_refused_and_no_byte_too_many_passes() {
        let blob = Descriptor::of(media_type::OCTET_STREAM, b"hello");
        let digest =
            |bytes: &[u8]| Mismatch::Digest { expected: blob.digest, found: Digest::of(bytes) };
        for (from, expected) in [
            (b"hell".as_slice(), Mismatch::Ended { got: 4, expected: 5 }),
            (b"", Mismatch::Ended { got: 0, expected: 5 }),
            (b"hello!", Mismatch::TooLong { expected: 5 }),
            (b"hallo", digest(b"hallo")),
            (b"hallo!", digest(b"hallo")),
        ] {
            let (result, into, _) = copied(&blob, from);
            assert_eq!(result, Err(expected));
            assert!(into.len() <= 5);
        }
    }
}
