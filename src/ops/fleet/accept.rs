//! Contacts: each request of an edge is verified, its session renewed, and its clock learned.

use super::LinkError;
use super::faring::gone_after_ms;
use super::join::{facts, has_ended, malformed};
use super::turn::{SERIAL_LIFE_MS, Said, Turn, turn};
use super::verify::is_signed;
use crate::fleet::{Code, Contact, PublicKey, Report, SessionFacts, Signature};
use crate::logging::AT_SERVE;
use crate::ops::center::Center;
use crate::ops::store::{InstanceRecord, SessionRecord, Store, Tx};

/// How much newer a contact must be to be written down, where nothing else changes: an edge that sends
/// its journal speaks many times a second, and each write is a sync.
const SEEN_STEP_MS: i64 = 10_000;

/// What an edge sends.
#[derive(Debug)]
pub(in crate::ops) struct Heard<'a> {
    /// Who speaks.
    pub contact: &'a Contact,
    /// Its signature.
    pub signature: &'a Signature,
    /// The path that was asked, which is signed too.
    pub path: &'a str,
    /// The body, which is signed too.
    pub body: &'a [u8],
    /// What is in it, if it is a report.
    pub report: Option<&'a Report>,
}

/// An edge that may speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Accepted {
    /// The edge by id.
    pub edge_id: String,
    /// The edge by name.
    pub edge: String,
    /// Where the zero of its boot's clock lies, milliseconds since the epoch: what that boot has at so
    /// many milliseconds after its beginning was at this and so many by the ops center's clock.
    pub zero_ms: i64,
    /// How its session stands.
    pub facts: SessionFacts,
    /// The ops center's clock, milliseconds since the epoch.
    pub now_ms: i64,
}

/// Verifies that an edge speaks which may, renews its session, and learns its clock.
///
/// # Errors
/// Why it may not, or what is wrong with the records.
pub(in crate::ops) fn accept(center: &Center, heard: &Heard<'_>) -> Result<Accepted, LinkError> {
    accept_at(&center.store, center.now_ms(), gone_after_ms(&center.settings), heard)
}

/// The same at a moment, where a process that is silent for so long counts as gone.
pub(super) fn accept_at(
    store: &Store,
    now_ms: i64,
    gone_after_ms: i64,
    heard: &Heard<'_>,
) -> Result<Accepted, LinkError> {
    let refused = |code| LinkError::Refused(code);
    let Heard { contact, signature, path, body, report } = heard;
    let id = contact.session.ok_or(refused(Code::SessionUnknown))?.to_string();
    let found = store.read(|tx| tx.edge_session(&id))?;
    let session: SessionRecord = found.ok_or(refused(Code::SessionUnknown))?;
    let key =
        <[u8; 32]>::try_from(session.public_key.as_slice()).map_err(|_| malformed("a key"))?;
    // Before a word of it counts, and outside of any transaction.
    if !is_signed(&PublicKey(key), &contact.message("POST", path, body), signature) {
        return Err(refused(Code::Signature));
    }
    if report.is_none() {
        let quick = store.read(|tx| unchanged(tx, &id, contact, now_ms))?;
        if let Some(accepted) = quick {
            return Ok(accepted);
        }
    }
    store.write(|tx| -> Result<Result<Accepted, LinkError>, LinkError> {
        let mut session = tx.edge_session(&id)?.ok_or(refused(Code::SessionUnknown))?;
        if session.is_removed {
            return Err(refused(Code::EdgeRemoved));
        }
        if has_ended(&session, now_ms) {
            return Err(refused(Code::SessionExpired));
        }
        let (mono_ms, serial) = (signed(contact.monotonic_ms), signed(contact.serial));
        let mark = report.map(|report| report.device.fingerprint.as_deref());
        let instance = contact.instance.to_string();
        let known = tx.edge_instance(&id, &instance)?;
        let incumbent = tx.edge_instance(&id, &session.instance)?;
        let is_copy = match mark.flatten() {
            Some(mark) => tx.is_copy(&id, mark)?,
            None => false,
        };
        // A serial that is used is on the device's disk; one that we do not know comes from a time
        // that our records do not reach to, since they were restored from a backup.
        let reached = session.serial.max(serial);
        let said = Said { contact, fingerprint: mark, known, incumbent, is_copy, now_ms, gone_after_ms };
        let turn = turn(&session, reached, &said);
        let Said { known, incumbent, .. } = said;
        let mut speaker = known.unwrap_or_else(|| speaks_first(contact, mark.flatten(), now_ms));
        let edge = session.edge.clone();
        match turn {
            Turn::Goes { is_new: false } => return Ok(Ok(accepted(&session, contact, now_ms))),
            Turn::Goes { is_new: true } => {}
            Turn::TakesOver { from_copy } => {
                if let Some(mut copy) = incumbent.filter(|_| from_copy) {
                    log::warn!(target: AT_SERVE, "edge={edge:?} instance={} msg=\"a copy of this edge's session spoke: the original goes on\"", copy.instance);
                    copy.copied_ms = Some(now_ms);
                    session.copied_ms = Some(now_ms);
                    tx.put_edge_instance(&id, &copy)?;
                }
                session.instance = instance;
                session.serial = reached;
                // What a copy was given stays behind for good; what a restart was given and did not
                // write down is given again.
                let given = session.next_serial.filter(|_| from_copy).unwrap_or(reached);
                session.next_serial = Some(given.max(reached).saturating_add(1));
                (speaker.again_mono_ms, speaker.copied_ms) = (None, None);
            }
            Turn::IsCopy => {
                log::warn!(target: AT_SERVE, "edge={edge:?} instance={instance} msg=\"a copy of this edge's session spoke and was refused\"");
                speaker.copied_ms.get_or_insert(now_ms);
                session.copied_ms = Some(now_ms);
                tx.put_edge_instance(&id, &speaker)?;
                tx.change_edge_session(&session)?;
                return Ok(Err(refused(Code::SessionCopied)));
            }
            Turn::Again => {
                speaker.again_mono_ms = Some(mono_ms);
                tx.put_edge_instance(&id, &speaker)?;
                return Ok(Err(refused(Code::SayAgain)));
            }
            Turn::Refused(code) => return Ok(Err(refused(code))),
        }
        if reached > session.serial {
            (session.serial, session.next_serial, session.serial_ms) = (reached, None, now_ms);
        }
        if session.next_serial.is_none() && now_ms - session.serial_ms >= SERIAL_LIFE_MS {
            session.next_serial = Some(session.serial + 1);
        }
        session.seen_ms = now_ms;
        (speaker.seen_ms, speaker.mono_ms) = (now_ms, mono_ms);
        if let Some(report) = report {
            speaker.has_left = report.leaving;
            if let Some(mark) = &report.device.fingerprint {
                speaker.fingerprint = Some(mark.clone());
            }
            let text = serde_json::to_string(report).map_err(|_| malformed("a report"))?;
            let ahead_ms = signed(contact.time_ms).saturating_sub(now_ms);
            tx.put_edge_report(&session.edge_id, &text, ahead_ms, now_ms)?;
        }
        tx.change_edge_session(&session)?;
        tx.put_edge_instance(&id, &speaker)?;
        let accepted = accepted(&session, contact, now_ms);
        tx.put_edge_boot(&session.edge_id, &contact.boot.to_string(), accepted.zero_ms, now_ms)?;
        Ok(Ok(accepted))
    })?
}

/// The answer where a contact changes nothing that is worth a write.
fn unchanged(
    tx: &Tx<'_>,
    id: &str,
    contact: &Contact,
    now_ms: i64,
) -> Result<Option<Accepted>, LinkError> {
    let Some(session) = tx.edge_session(id)? else { return Ok(None) };
    let is_same = !session.is_removed
        && session.instance == contact.instance.to_string()
        && session.next_serial.is_none()
        && session.serial == signed(contact.serial)
        && now_ms - session.seen_ms < SEEN_STEP_MS;
    Ok(is_same.then(|| accepted(&session, contact, now_ms)))
}

fn accepted(session: &SessionRecord, contact: &Contact, now_ms: i64) -> Accepted {
    Accepted {
        edge_id: session.edge_id.clone(),
        edge: session.edge.clone(),
        zero_ms: now_ms.saturating_sub(signed(contact.monotonic_ms)),
        facts: facts(session, now_ms),
        now_ms,
    }
}

/// A process that speaks for the first time, on such a device.
pub(super) fn speaks_first(
    contact: &Contact,
    fingerprint: Option<&str>,
    now_ms: i64,
) -> InstanceRecord {
    let mono_ms = signed(contact.monotonic_ms);
    InstanceRecord {
        instance: contact.instance.to_string(),
        boot: contact.boot.to_string(),
        fingerprint: fingerprint.map(str::to_owned),
        first_ms: now_ms,
        first_mono_ms: mono_ms,
        seen_ms: now_ms,
        mono_ms,
        again_mono_ms: None,
        copied_ms: None,
        has_left: false,
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
