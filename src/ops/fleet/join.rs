//! Joining: a token is bound to one key, once and for all, and whoever has that key is answered again.

use super::LinkError;
use super::accept::speaks_first;
use super::verify::is_signed;
use crate::fleet::{
    Code, Contact, JOIN_PATH, JoinRequest, Joined, SESSION_LIFE_MS, SessionFacts, Signature,
};
use crate::logging::AT_SERVE;
use crate::ops::access::{fresh_uuid, hashed};
use crate::ops::center::Center;
use crate::ops::store::{SessionRecord, Store};

/// The serial that a session begins with.
const FIRST_SERIAL: i64 = 1;

/// Lets an edge join with the token of its bundle.
///
/// # Errors
/// What is wrong with the token or the request, or with the records.
pub(in crate::ops) fn join(
    center: &Center,
    contact: &Contact,
    signature: &Signature,
    body: &[u8],
) -> Result<Joined, LinkError> {
    join_at(&center.store, center.now_ms(), contact, signature, body)
}

/// The same at a moment.
pub(super) fn join_at(
    store: &Store,
    now_ms: i64,
    contact: &Contact,
    signature: &Signature,
    body: &[u8],
) -> Result<Joined, LinkError> {
    let request: JoinRequest =
        serde_json::from_slice(body).map_err(|error| LinkError::Malformed(error.to_string()))?;
    let text = contact.message("POST", JOIN_PATH, body);
    if contact.session.is_some() || !is_signed(&request.public_key, &text, signature) {
        return Err(LinkError::Refused(Code::Signature));
    }
    let (session, is_new) = store.write(|tx| -> Result<(SessionRecord, bool), LinkError> {
        let refused = |code| Err(LinkError::Refused(code));
        let hash = hashed(&request.token);
        let token = tx.join_token(&hash)?.filter(|token| token.edge == request.edge);
        let Some(token) = token else { return refused(Code::TokenUnknown) };
        if token.is_revoked {
            return refused(Code::TokenRevoked);
        }
        if let Some(key) = &token.public_key {
            if key != &request.public_key.0 {
                return refused(Code::TokenUsed);
            }
            // The answer was lost, or the device was before it had written it down.
            let session = tx.session_of_edge(&token.edge_id)?;
            let Some(session) = session else { return refused(Code::SessionUnknown) };
            return match has_ended(&session, now_ms) {
                true => refused(Code::SessionExpired),
                false => Ok((session, false)),
            };
        }
        if token.expires_ms <= now_ms {
            return refused(Code::TokenExpired);
        }
        let session = SessionRecord {
            id: fresh_uuid()?,
            edge_id: token.edge_id,
            edge: token.edge,
            is_removed: false,
            public_key: request.public_key.0.to_vec(),
            fingerprint: request.device.fingerprint.clone(),
            host: request.device.host.clone(),
            serial: FIRST_SERIAL,
            next_serial: None,
            serial_ms: now_ms,
            instance: contact.instance.to_string(),
            seen_ms: now_ms,
            copied_ms: None,
        };
        tx.use_join_token(&hash, &session.public_key, now_ms)?;
        tx.add_edge_session(&session)?;
        let device = session.fingerprint.as_deref();
        tx.put_edge_instance(&session.id, &speaks_first(contact, device, now_ms))?;
        Ok((session, true))
    })?;
    if is_new {
        let SessionRecord { edge, id, .. } = &session;
        log::info!(target: AT_SERVE, "edge={edge:?} session={id} msg=\"an edge has joined\"");
    }
    Ok(Joined {
        edge: session.edge.clone(),
        session: session.id.parse().map_err(|_| malformed("a session"))?,
        facts: facts(&session, now_ms),
    })
}

/// A record of ours is not of the form that we write.
pub(super) fn malformed(what: &'static str) -> LinkError {
    LinkError::Store(crate::ops::store::StoreError::Malformed { what })
}

/// Whether the edge was not heard of for too long.
pub(super) fn has_ended(session: &SessionRecord, now_ms: i64) -> bool {
    session.seen_ms.saturating_add_unsigned(SESSION_LIFE_MS) <= now_ms
}

/// How a session stands after a contact.
pub(super) fn facts(session: &SessionRecord, now_ms: i64) -> SessionFacts {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
    SessionFacts {
        serial: unsigned(session.next_serial.unwrap_or(session.serial)),
        expires_ms: unsigned(session.seen_ms).saturating_add(SESSION_LIFE_MS),
        time_ms: unsigned(now_ms),
    }
}
