//! What a token is for: each kind is shown in another place and lives another time.

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ops) enum TokenKind {
    /// Made by name for a program, and shown as `Authorization: Bearer`.
    Api,
    /// Got for a password, and shown the same way.
    Bearer,
    /// Exchanged for the next bearer token, once.
    Refresh,
    /// A browser's, in a cookie.
    Session,
    /// Makes the first administrator.
    FirstRun,
}

impl TokenKind {
    /// Its name in the records.
    pub(in crate::ops) fn name(self) -> &'static str {
        match self {
            TokenKind::Api => "api",
            TokenKind::Bearer => "bearer",
            TokenKind::Refresh => "refresh",
            TokenKind::Session => "session",
            TokenKind::FirstRun => "first_run",
        }
    }

    /// What its text begins with, so that a leaked one is recognised.
    pub(in crate::ops) fn prefix(self) -> &'static str {
        match self {
            TokenKind::Api => "ptr_",
            TokenKind::Bearer => "ptrb_",
            TokenKind::Refresh => "ptrr_",
            TokenKind::Session => "ptrs_",
            TokenKind::FirstRun => "ptrf_",
        }
    }
}
