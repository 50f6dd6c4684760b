//! The tables, and how a file of an earlier version becomes one of this.

use super::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// From each schema to the next; a file has as many behind it as its `user_version` says.
/// What is released here is never changed, only followed.
const MIGRATIONS: [&[&str]; 1] = [&[
    include_str!("schema/access.sql"),
    include_str!("schema/models.sql"),
    include_str!("schema/side_files.sql"),
    include_str!("schema/pipelines.sql"),
    include_str!("schema/publishes.sql"),
    include_str!("schema/edges.sql"),
    include_str!("schema/rollouts.sql"),
    include_str!("schema/logs.sql"),
    include_str!("schema/fleet.sql"),
    include_str!("schema/drift.sql"),
]];

/// The schema of this version.
const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Makes what is missing; each step is a transaction of its own, so a kill leaves a whole schema.
pub(super) fn bring_up_to_date(connection: &mut Connection) -> Result<(), StoreError> {
    loop {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > KNOWN {
            return Err(StoreError::Newer { found, known: KNOWN });
        }
        let Some(tables) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found))
        else {
            return Ok(());
        };
        for table in *tables {
            step.execute_batch(table)?;
        }
        step.pragma_update(None, "user_version", found + 1)?;
        step.commit()?;
    }
}

/// Sees that a file has a schema of ours that is not a later one's.
pub(super) fn of_a_known_version(connection: &Connection) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        1..=KNOWN => Ok(()),
        ..1 => Err(StoreError::Malformed { what: "the schema" }),
        _ => Err(StoreError::Newer { found, known: KNOWN }),
    }
}
