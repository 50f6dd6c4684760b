//! How a program ends that a registry or a layout has stopped.

use super::Error;
use crate::exit::{Exit, Failure};

impl Error {
    /// The exit code for it: both programs end alike.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::RateLimited { .. }
            | Self::Server { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. } => Exit::Unreachable,
            Self::CredentialsMissing { .. }
            | Self::CredentialsWrong { .. }
            | Self::Denied { .. } => Exit::CredentialsRefused,
            Self::UnknownRepository { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownBlob { .. } => Exit::NotFound,
            Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::Ended { .. }
            | Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::NotAManifest { .. } => Exit::Corrupt,
            Self::NotALayout { .. } => Exit::Usage,
            Self::Archive { source, .. } => source.exit(),
            Self::Disk(_) | Self::Sink { .. } => Exit::Disk,
            Self::Source { .. } => Exit::Failed,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let hint = error.hint();
        Failure::new(error.exit(), error).hint(hint)
    }
}
