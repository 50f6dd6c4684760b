//! Who may pull from the built-in registry: an edge what it runs, and a member of a workspace what is in it.

use crate::exit;
use crate::logging::{AT_SERVE, quoted};
use crate::oci::Repository;
use crate::ops::access::hashed;
use crate::ops::center::Center;
use crate::ops::distribution::{Admission, Verdict};
use crate::ops::publishes::built_in;
use crate::ops::store::{StoreError, Tx};
use crate::registry::Secret;
use std::fmt;
use std::sync::Arc;

/// Kinds of tokens that a person or a program may show as a password, under any user name.
const TOKENS: [&str; 2] = ["api", "bearer"];

/// The logins of the ops center, as its registry asks for them.
pub(in crate::ops) struct Pullers(pub(in crate::ops) Arc<Center>);

impl fmt::Debug for Pullers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pullers")
    }
}

impl Admission for Pullers {
    fn admit(&self, username: &str, password: &Secret, repository: Option<&Repository>) -> Verdict {
        let now_ms = self.0.now_ms();
        let judged = self.0.store.read(|tx| judge(tx, username, password, repository, now_ms));
        judged.unwrap_or_else(|error| {
            log::error!(target: AT_SERVE, "{}", quoted("msg", &exit::chain(&error)));
            Verdict::Unavailable
        })
    }
}

/// Passwords are random and looked for by their hashes, so that time tells nothing of them.
fn judge(
    tx: &Tx<'_>,
    username: &str,
    password: &Secret,
    repository: Option<&Repository>,
    now_ms: i64,
) -> Result<Verdict, StoreError> {
    let hash = hashed(password.reveal());
    let grant = tx.pull_grant(username)?.filter(|grant| grant.hash == hash);
    let user = tx.user_by_token(&hash, &TOKENS, now_ms)?;
    if grant.is_none() && user.is_none() {
        return Ok(Verdict::Unknown);
    }
    let Some(repository) = repository else { return Ok(Verdict::Admitted) };
    let Some((workspace, pipeline)) = built_in(repository) else { return Ok(Verdict::Denied) };
    if let Some(grant) = grant {
        let is_its = |(its, name): &(i64, String)| *its == workspace && name == pipeline;
        if grant.pipelines.iter().any(is_its) {
            return Ok(Verdict::Admitted);
        }
    }
    if let Some(user) = user
        && (user.is_admin || tx.role(workspace, &user.id)?.is_some())
    {
        return Ok(Verdict::Admitted);
    }
    Ok(Verdict::Denied)
}
