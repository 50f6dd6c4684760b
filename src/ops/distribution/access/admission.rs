//! Who is asked which login may pull what; the ops center knows, this room does not.

use std::fmt;

use crate::oci::Repository;
use crate::registry::Secret;

/// Knows the logins of edges and people; asked from many threads at once.
pub trait Admission: fmt::Debug + Send + Sync {
    /// Judges a login about one repository, or, without one, about being a login at all.
    ///
    /// A user name that is unknown must take as long as a password that is wrong, and secrets are
    /// to be compared by their hashes or in constant time. Failed logins are throttled before it is
    /// asked.
    fn admit(&self, username: &str, password: &Secret, repository: Option<&Repository>) -> Verdict;
}

/// What is said of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may pull.
    Admitted,
    /// It is a login, and not for this repository.
    Denied,
    /// There is no such login, or it has ended.
    Unknown,
    /// The store of logins cannot be asked just now.
    Unavailable,
}
