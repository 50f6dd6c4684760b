//! What is known of edges from what they say, as records: sessions, processes, boots and last reports.

use super::{StoreError, Tx};
use rusqlite::{OptionalExtension, Row, params};

/// Processes that are remembered of a session: a device that restarts each minute fills them in
/// half an hour, and none of those before is still alive then.
const INSTANCES_MAX: i64 = 32;

/// Boots that are remembered of an edge: a journal that has waited longer than so many boots is
/// told by the device's own clock.
const BOOTS_MAX: i64 = 64;

/// A join token, with the edge that it is for.
#[derive(Debug)]
pub(in crate::ops) struct JoinToken {
    /// The edge by id.
    pub edge_id: String,
    /// The edge by name.
    pub edge: String,
    /// Until when it holds, milliseconds since the epoch.
    pub expires_ms: i64,
    /// The key of the device that used it.
    pub public_key: Option<Vec<u8>>,
    /// Whether it was revoked, or its edge removed.
    pub is_revoked: bool,
}

/// A session, with the edge that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct SessionRecord {
    /// A UUID.
    pub id: String,
    /// The edge by id.
    pub edge_id: String,
    /// The edge by name.
    pub edge: String,
    /// Whether the edge was removed.
    pub is_removed: bool,
    /// Ed25519, 32 bytes.
    pub public_key: Vec<u8>,
    /// Of the device that joined.
    pub fingerprint: Option<String>,
    /// What that device is called.
    pub host: Option<String>,
    /// What the edge has come to.
    pub serial: i64,
    /// What was given out and not used yet.
    pub next_serial: Option<i64>,
    /// Since when `serial` is used.
    pub serial_ms: i64,
    /// The process that goes on with it.
    pub instance: String,
    /// The last contact.
    pub seen_ms: i64,
    /// When a copy of it spoke last.
    pub copied_ms: Option<i64>,
}

/// A process that spoke for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct InstanceRecord {
    /// Which.
    pub instance: String,
    /// In which boot it runs.
    pub boot: String,
    /// On which device it runs, as far as that is told.
    pub fingerprint: Option<String>,
    /// When it spoke first.
    pub first_ms: i64,
    /// The same since its boot.
    pub first_mono_ms: i64,
    /// When it spoke last.
    pub seen_ms: i64,
    /// The same since its boot.
    pub mono_ms: i64,
    /// When it spoke after another had taken over, since its boot.
    pub again_mono_ms: Option<i64>,
    /// When it was told that it is a copy.
    pub copied_ms: Option<i64>,
    /// Whether it stopped in good order.
    pub has_left: bool,
}

/// What is known of an edge beside its record.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ops) struct Faring<T = String> {
    /// When its session was made.
    pub joined_ms: i64,
    /// The last contact.
    pub seen_ms: i64,
    /// When a copy of it spoke last.
    pub copied_ms: Option<i64>,
    /// Whether its process stopped in good order.
    pub has_left: bool,
    /// Whether another device goes on with its session than the one that joined.
    pub is_elsewhere: bool,
    /// What the device that joined is called.
    pub joined_host: Option<T>,
    /// How far its clock was ahead at its last report, milliseconds.
    pub clock_ms: Option<i64>,
    /// Its last report, JSON.
    pub report: Option<T>,
}

const SESSION: &str = "SELECT s.id, s.edge_id, e.name, e.removed_ms IS NOT NULL, s.public_key,
     s.fingerprint, s.serial, s.next_serial, s.serial_ms, s.instance, s.seen_ms, s.copied_ms,
     s.host FROM edge_sessions s JOIN edges e ON e.id = s.edge_id";

const INSTANCE: &str =
    "SELECT instance, boot, fingerprint, first_ms, first_mono_ms, seen_ms, mono_ms,
     again_mono_ms, copied_ms, has_left FROM edge_instances";

impl Tx<'_> {
    /// The join token of that hash.
    pub(in crate::ops) fn join_token(&self, hash: &[u8]) -> Result<Option<JoinToken>, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT t.edge_id, e.name, t.expires_ms, t.public_key,
                    t.revoked_ms IS NOT NULL OR e.removed_ms IS NOT NULL
             FROM join_tokens t JOIN edges e ON e.id = t.edge_id WHERE t.hash = ?",
        )?;
        let found = look.query_row([hash], |row| {
            Ok(JoinToken {
                edge_id: row.get(0)?,
                edge: row.get(1)?,
                expires_ms: row.get(2)?,
                public_key: row.get(3)?,
                is_revoked: row.get(4)?,
            })
        });
        Ok(found.optional()?)
    }

    /// Binds a token to the key that it was used with.
    pub(in crate::ops) fn use_join_token(
        &self,
        hash: &[u8],
        public_key: &[u8],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE join_tokens SET used_ms = ?, public_key = ? WHERE hash = ?")?
            .execute(params![now_ms, public_key, hash])?;
        Ok(())
    }

    /// The session of that id, of an edge that was removed too.
    pub(in crate::ops) fn edge_session(
        &self,
        id: &str,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{SESSION} WHERE s.id = ?"))?;
        Ok(look.query_row([id], session_of).optional()?)
    }

    /// The session of that edge.
    pub(in crate::ops) fn session_of_edge(
        &self,
        edge_id: &str,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let mut look = self.0.prepare_cached(&format!("{SESSION} WHERE s.edge_id = ?"))?;
        Ok(look.query_row([edge_id], session_of).optional()?)
    }

    /// Records a session that has just begun.
    pub(in crate::ops) fn add_edge_session(&self, new: &SessionRecord) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT INTO edge_sessions (id, edge_id, public_key, fingerprint, serial, serial_ms,
                                            instance, joined_ms, seen_ms, host)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?6, ?6, ?8)",
            )?
            .execute(params![
                new.id,
                new.edge_id,
                new.public_key,
                new.fingerprint,
                new.serial,
                new.serial_ms,
                new.instance,
                new.host
            ])?;
        self.seen(&new.edge_id, new.serial_ms)
    }

    /// Records what a contact has changed of a session.
    pub(in crate::ops) fn change_edge_session(
        &self,
        session: &SessionRecord,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "UPDATE edge_sessions SET serial = ?, next_serial = ?, serial_ms = ?, instance = ?,
                                          seen_ms = ?, copied_ms = ? WHERE id = ?",
            )?
            .execute(params![
                session.serial,
                session.next_serial,
                session.serial_ms,
                session.instance,
                session.seen_ms,
                session.copied_ms,
                session.id
            ])?;
        self.seen(&session.edge_id, session.seen_ms)
    }

    fn seen(&self, edge_id: &str, at_ms: i64) -> Result<(), StoreError> {
        self.0
            .prepare_cached("UPDATE edges SET seen_ms = ? WHERE id = ?")?
            .execute(params![at_ms, edge_id])?;
        Ok(())
    }

    /// The process of that id that spoke for a session.
    pub(in crate::ops) fn edge_instance(
        &self,
        session: &str,
        instance: &str,
    ) -> Result<Option<InstanceRecord>, StoreError> {
        let of = format!("{INSTANCE} WHERE session_id = ? AND instance = ?");
        let mut look = self.0.prepare_cached(&of)?;
        Ok(look.query_row([session, instance], instance_of).optional()?)
    }

    /// Whether a process on that device was told that it is a copy.
    pub(in crate::ops) fn is_copy(
        &self,
        session: &str,
        fingerprint: &str,
    ) -> Result<bool, StoreError> {
        let mut look = self.0.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM edge_instances i JOIN edge_sessions s ON s.id = i.session_id
             JOIN edge_instances c ON c.session_id = s.id AND c.instance = s.instance
             WHERE s.id = ? AND i.fingerprint = ? AND i.copied_ms < c.seen_ms)",
        )?;
        Ok(look.query_row([session, fingerprint], |row| row.get(0))?)
    }

    /// Records a process as it is now, and forgets those of long ago.
    pub(in crate::ops) fn put_edge_instance(
        &self,
        session: &str,
        one: &InstanceRecord,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO edge_instances (session_id, instance, boot, fingerprint,
                    first_ms, first_mono_ms, seen_ms, mono_ms, again_mono_ms, copied_ms, has_left)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                session,
                one.instance,
                one.boot,
                one.fingerprint,
                one.first_ms,
                one.first_mono_ms,
                one.seen_ms,
                one.mono_ms,
                one.again_mono_ms,
                one.copied_ms,
                one.has_left
            ])?;
        self.0
            .prepare_cached(
                "DELETE FROM edge_instances WHERE session_id = ?1
                 AND instance <> (SELECT instance FROM edge_sessions WHERE id = ?1)
                 AND instance NOT IN (SELECT instance FROM edge_instances WHERE session_id = ?1
                                      ORDER BY seen_ms DESC, instance LIMIT ?2)",
            )?
            .execute(params![session, INSTANCES_MAX])?;
        Ok(())
    }

    /// Records where the zero of a boot's clock lies, and forgets boots of long ago.
    pub(in crate::ops) fn put_edge_boot(
        &self,
        edge_id: &str,
        boot: &str,
        zero_ms: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO edge_boots (edge_id, boot, zero_ms, learned_ms)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute(params![edge_id, boot, zero_ms, now_ms])?;
        self.0
            .prepare_cached(
                "DELETE FROM edge_boots WHERE edge_id = ?1 AND boot NOT IN (
                     SELECT boot FROM edge_boots WHERE edge_id = ?1
                     ORDER BY learned_ms DESC, boot LIMIT ?2)",
            )?
            .execute(params![edge_id, BOOTS_MAX])?;
        Ok(())
    }

    /// Where the zero of a boot's clock lies, as far as that was learned: milliseconds since the epoch.
    pub(in crate::ops) fn edge_boot(
        &self,
        edge_id: &str,
        boot: &str,
    ) -> Result<Option<i64>, StoreError> {
        let mut look = self
            .0
            .prepare_cached("SELECT zero_ms FROM edge_boots WHERE edge_id = ? AND boot = ?")?;
        Ok(look.query_row([edge_id, boot], |row| row.get(0)).optional()?)
    }

    /// Records what an edge says of itself, in place of what it said before.
    pub(in crate::ops) fn put_edge_report(
        &self,
        edge_id: &str,
        report: &str,
        clock_ms: i64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO edge_reports (edge_id, at_ms, clock_ms, report)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute(params![edge_id, now_ms, clock_ms, report])?;
        Ok(())
    }
}

fn session_of(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: row.get(0)?,
        edge_id: row.get(1)?,
        edge: row.get(2)?,
        is_removed: row.get(3)?,
        public_key: row.get(4)?,
        fingerprint: row.get(5)?,
        serial: row.get(6)?,
        next_serial: row.get(7)?,
        serial_ms: row.get(8)?,
        instance: row.get(9)?,
        seen_ms: row.get(10)?,
        copied_ms: row.get(11)?,
        host: row.get(12)?,
    })
}

fn instance_of(row: &Row<'_>) -> rusqlite::Result<InstanceRecord> {
    Ok(InstanceRecord {
        instance: row.get(0)?,
        boot: row.get(1)?,
        fingerprint: row.get(2)?,
        first_ms: row.get(3)?,
        first_mono_ms: row.get(4)?,
        seen_ms: row.get(5)?,
        mono_ms: row.get(6)?,
        again_mono_ms: row.get(7)?,
        copied_ms: row.get(8)?,
        has_left: row.get(9)?,
    })
}
