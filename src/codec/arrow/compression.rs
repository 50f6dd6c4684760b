//! How many bytes compressed buffers may become, agreed to before any of them is decompressed.

use super::unreadable;
use crate::codec::limits::DECOMPRESSED_BYTES_MAX;
use crate::tensor::{Misfit, MisfitKind};
use arrow_ipc::{BodyCompression, BodyCompressionMethod, CompressionType};

/// The decompressed length before each buffer.
const PREFIX_BYTES: usize = 8;

/// The length that says: what follows is not compressed.
pub(super) const STORED: i64 = -1;

/// What one byte can become in LZ4: each further byte of a match's length adds 255.
const LZ4_RATIO_MAX: usize = 255;

/// What one byte can become in Zstandard: a block of four bytes repeats one for 128 KiB
/// (RFC 8878, section 3.1.1.2).
const ZSTD_RATIO_MAX: usize = 32 << 10;

/// The compressions of the format (Arrow columnar format, "Compression").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Lz4,
    Zstd,
}

/// What of a request's limits on decompression is left.
#[derive(Debug)]
pub(super) struct Compression {
    bytes_left: usize,
}

impl Compression {
    pub(super) fn new() -> Compression {
        Compression { bytes_left: DECOMPRESSED_BYTES_MAX }
    }

    /// The bytes that may still come to be.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes_left
    }

    /// The codec of a batch, if it is compressed.
    pub(super) fn of(batch: arrow_ipc::RecordBatch<'_>) -> Result<Option<Codec>, Misfit> {
        batch.compression().map(Compression::codec).transpose()
    }

    fn codec(compression: BodyCompression<'_>) -> Result<Codec, Misfit> {
        if compression.method() != BodyCompressionMethod::BUFFER {
            return Err(unreadable("it is compressed in a way that the format does not have"));
        }
        match compression.codec() {
            CompressionType::LZ4_FRAME => Ok(Codec::Lz4),
            CompressionType::ZSTD => Ok(Codec::Zstd),
            other => Err(unreadable(format!("it is compressed with codec {}", other.0))),
        }
    }

    /// Agrees to the decompression of one buffer; how many bytes it says it becomes.
    ///
    /// A decoder believes the prefix and makes room at once, so it is held against the limit and
    /// against what the codec could at most make of the bytes that are there.
    pub(super) fn agree(&mut self, codec: Codec, buffer: &[u8]) -> Result<usize, Misfit> {
        let length = length_of(buffer)?;
        let data = buffer.len().saturating_sub(PREFIX_BYTES);
        if length == 0 || buffer.starts_with(&STORED.to_le_bytes()) {
            return Ok(length);
        }
        let ratio = match codec {
            Codec::Lz4 => LZ4_RATIO_MAX,
            Codec::Zstd => ZSTD_RATIO_MAX,
        };
        if data.saturating_mul(ratio) < length {
            return Err(unreadable("a compressed buffer is too short for its length"));
        }
        self.spend(length)?;
        Ok(length)
    }

    /// Takes from the bytes that may come to be.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Misfit> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
            let sentence =
                format!("the Arrow data are over {DECOMPRESSED_BYTES_MAX} bytes decompressed");
            Misfit::new(MisfitKind::OverLimit, sentence)
        })?;
        Ok(())
    }
}

/// The bytes that a buffer says it becomes.
pub(super) fn length_of(buffer: &[u8]) -> Result<usize, Misfit> {
    if buffer.is_empty() {
        return Ok(0);
    }
    let (prefix, data) = buffer
        .split_first_chunk::<PREFIX_BYTES>()
        .ok_or_else(|| unreadable("a compressed buffer has no length"))?;
    match i64::from_le_bytes(*prefix) {
        STORED => Ok(data.len()),
        length => usize::try_from(length)
            .map_err(|_| unreadable("a compressed buffer's length is not possible")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(length: i64, data: &[u8]) -> Vec<u8> {
        [&length.to_le_bytes(), data].concat()
    }

    #[test]
    fn a_length_is_held_against_the_bytes_that_are_there() {
        let mut left = Compression::new();
        assert_eq!(left.agree(Codec::Lz4, &buffer(2550, &[0; 10])), Ok(2550));
        let misfit = left.agree(Codec::Lz4, &buffer(2551, &[0; 10])).unwrap_err();
        assert!(misfit.sentence.ends_with("too short for its length"), "{misfit}");
        let lie = buffer(i64::MAX, &[0; 100]);
        assert_eq!(left.agree(Codec::Zstd, &lie).unwrap_err().kind, MisfitKind::Unreadable);
        assert!(left.agree(Codec::Zstd, &buffer(-2, &[0; 100])).is_err());
        assert!(left.agree(Codec::Zstd, &[0; 7]).is_err());
    }

    #[test]
    fn stored_and_empty_buffers_cost_nothing() {
        let mut left = Compression { bytes_left: 0 };
        assert_eq!(left.agree(Codec::Lz4, &buffer(-1, &[1, 2, 3])), Ok(3));
        assert_eq!(left.agree(Codec::Lz4, &buffer(0, &[])), Ok(0));
        assert_eq!(left.agree(Codec::Zstd, &[]), Ok(0));
    }

    #[test]
    fn all_buffers_together_are_limited() {
        let mut left = Compression::new();
        let half = buffer(DECOMPRESSED_BYTES_MAX as i64 / 2, &[0; 1 << 20]);
        assert!(left.agree(Codec::Zstd, &half).is_ok());
        assert!(left.agree(Codec::Zstd, &half).is_ok());
        let over = left.agree(Codec::Zstd, &buffer(1, &[0; 9])).unwrap_err();
        assert_eq!(over.kind, MisfitKind::OverLimit);
    }
}
