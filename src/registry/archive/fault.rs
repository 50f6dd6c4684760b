//! What is wrong with a tar file, each with its sentence.

use std::io;

use super::entries::{ENTRIES_MAX, EXTENSION_BYTES_MAX};
use crate::exit::Exit;

/// Why a file is not taken as a tar file with a layout.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// A pipe, a device or the like.
    #[error("it is not a regular file")]
    NotAFile,
    /// A packed tar file, in which nothing can be read where it lies.
    #[error("it is compressed ({with})")]
    Compressed {
        /// The compression, as `gzip`.
        with: &'static str,
    },
    /// Something else.
    #[error("it does not begin with the header of a tar file")]
    NotATar,
    /// A header that is none.
    #[error("the header at byte {at} is broken: {why}")]
    Header {
        /// Where the header begins.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A header for another header that is larger than any honest one.
    #[error(
        "the header at byte {at} announces {bytes} bytes of names and notes, and at most \
         {EXTENSION_BYTES_MAX} are read"
    )]
    LongHeader {
        /// Where the header begins.
        at: u64,
        /// The bytes announced.
        bytes: u64,
    },
    /// An entry that goes on after the end of the file.
    #[error("`{name}` should go on to byte {end}, and the file ends at {found}: it was cut short")]
    Truncated {
        /// The entry.
        name: String,
        /// Where it should end.
        end: u64,
        /// Where the file ends.
        found: u64,
    },
    /// No block that says it is the end.
    #[error("the file ends without the mark of a tar file's end: it was cut short")]
    NoEnd,
    /// A name that leads elsewhere.
    #[error("the name `{name}` {why}")]
    Name {
        /// The name, shortened.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something that is neither file nor directory.
    #[error("`{name}` is {kind}, and a layout has files and directories only")]
    Kind {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// Two entries of one name: which one counts would be anyone's guess.
    #[error("`{name}` is in it twice")]
    Twice {
        /// The entry.
        name: String,
    },
    /// More entries than any layout has.
    #[error("it has more than {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// The disk.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
}

impl ArchiveFault {
    /// What a person does next.
    pub(in crate::registry) const fn hint(&self) -> &'static str {
        match self {
            Self::NotAFile | Self::NotATar => {
                "name a directory or an uncompressed tar file, as `potoroo-ops export` writes it"
            }
            Self::Compressed { .. } => "unpack it first, with `gunzip` or `zstd -d`",
            Self::Truncated { .. } | Self::NoEnd => "copy the file again, or export it again",
            Self::Header { .. }
            | Self::LongHeader { .. }
            | Self::Name { .. }
            | Self::Kind { .. }
            | Self::Twice { .. }
            | Self::TooManyEntries => "make the file again with `potoroo-ops export`",
            Self::Unreadable(_) => "check that the file is there and readable",
        }
    }

    /// The exit code for it.
    pub(in crate::registry) const fn exit(&self) -> Exit {
        match self {
            Self::NotAFile | Self::NotATar | Self::Compressed { .. } => Exit::Usage,
            Self::Header { .. }
            | Self::LongHeader { .. }
            | Self::Truncated { .. }
            | Self::NoEnd
            | Self::Name { .. }
            | Self::Kind { .. }
            | Self::Twice { .. }
            | Self::TooManyEntries => Exit::Corrupt,
            Self::Unreadable(_) => Exit::Disk,
        }
    }
}
