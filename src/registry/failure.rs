//! What follows from an error: whether to try again, and how a program ends that it has stopped.

use std::time::Duration;

use super::Error;
use crate::exit::{Exit, Failure};

impl Error {
    /// Whether it may pass by itself: the network or the registry may recover.
    ///
    /// A connection without trust counts among these: the clock of a device that lost power is
    /// wrong until the network has set it, and no certificate holds before that.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::RateLimited { .. }
            | Self::NoThread { .. }
            | Self::Ended { .. } => true,
            // Not implemented, and a version of HTTP that is not spoken: it will not learn them.
            Self::Server { status, .. } => !matches!(status, 501 | 505),
            Self::CredentialsMissing { .. }
            | Self::CredentialsWrong { .. }
            | Self::Denied { .. }
            | Self::UnknownRepository { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownBlob { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::NotAManifest { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::NotALayout { .. }
            | Self::NoSpace { .. }
            | Self::Disk(_)
            | Self::Source { .. }
            | Self::Sink { .. } => false,
        }
    }

    /// How long the registry asks to wait before it is asked again.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => {
                *retry_after
            }
            Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::NoThread { .. }
            | Self::Ended { .. }
            | Self::CredentialsMissing { .. }
            | Self::CredentialsWrong { .. }
            | Self::Denied { .. }
            | Self::UnknownRepository { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownBlob { .. }
            | Self::DigestMismatch { .. }
            | Self::SizeMismatch { .. }
            | Self::TooLong { .. }
            | Self::TooLarge { .. }
            | Self::NotAManifest { .. }
            | Self::Refused { .. }
            | Self::Protocol { .. }
            | Self::NotALayout { .. }
            | Self::NoSpace { .. }
            | Self::Disk(_)
            | Self::Source { .. }
            | Self::Sink { .. } => None,
        }
    }

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
            Self::NoSpace { .. } | Self::Disk(_) | Self::Sink { .. } => Exit::Disk,
            Self::NoThread { .. } | Self::Source { .. } => Exit::Failed,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let hint = error.hint();
        Failure::new(error.exit(), error).hint(hint)
    }
}
