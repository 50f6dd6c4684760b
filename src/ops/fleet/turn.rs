//! Whose turn it is: which process goes on with a session, and which one is a copy.

use crate::fleet::{Code, Contact};
use crate::ops::store::{InstanceRecord, SessionRecord};

/// How long a serial is used before the next is given out: half a day, so that a device writes its
/// session twice a day and spares its SD card.
pub(super) const SERIAL_LIFE_MS: i64 = 12 * 3600 * 1000;

/// So many reports must stay out until a process counts as gone that did not say that it stops: one
/// may be lost, and the next one late.
pub(super) const REPORTS_MISSED: i64 = 5;

/// A process says something.
#[derive(Debug)]
pub(super) struct Said<'a> {
    /// Who speaks, and when by its clocks.
    pub contact: &'a Contact,
    /// On which device; `None` when this is not a report, `Some(None)` where the device has no mark.
    pub fingerprint: Option<Option<&'a str>>,
    /// What is known of that process.
    pub known: Option<InstanceRecord>,
    /// The process that goes on with the session.
    pub incumbent: Option<InstanceRecord>,
    /// Whether a process on the same device was told that it is a copy.
    pub is_copy: bool,
    /// The ops center's clock.
    pub now_ms: i64,
    /// After how much silence a process counts as gone.
    pub gone_after_ms: i64,
}

/// What comes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It goes on, and what it says is new or was said before.
    Goes { is_new: bool },
    /// It goes on in the place of the process that did, which is a copy or is gone.
    TakesOver { from_copy: bool },
    /// It is refused, and remembered as a copy.
    IsCopy,
    /// It is refused and remembered as one that spoke after another had taken over.
    Again,
    /// It is refused, and nothing is remembered.
    Refused(Code),
}

/// Whose turn it is. `serial` is what the session has come to, with what this very contact shows.
///
/// A process that restarts shows the current serial on the same device. A copy shows an old one, or
/// another device, or it has taken over from a process that still lives, which tells by speaking
/// twice: what a dead process had sent before may arrive late, but not two things one after the other.
/// Of two that live the one on the device that joined goes on, else the one that was there first.
pub(super) fn turn(session: &SessionRecord, serial: i64, said: &Said<'_>) -> Turn {
    let instance = said.contact.instance.to_string();
    let mono_ms = i64::try_from(said.contact.monotonic_ms).unwrap_or(i64::MAX);
    if instance == session.instance {
        let before = said.known.as_ref().map(|known| known.mono_ms);
        return Turn::Goes { is_new: before.is_none_or(|before| before < mono_ms) };
    }
    let Some(fingerprint) = said.fingerprint.or_else(|| {
        let known = said.known.as_ref()?;
        Some(known.fingerprint.as_deref())
    }) else {
        return Turn::Refused(Code::ReportFirst);
    };
    // Of long ago, and forgotten.
    let Some(incumbent) = &said.incumbent else { return Turn::TakesOver { from_copy: false } };
    let joined = session.fingerprint.as_deref();
    let is_original = |mark: Option<&str>| mark.is_some() && mark == joined;
    let is_preferred = is_original(fingerprint) && !is_original(incumbent.fingerprint.as_deref());
    let is_gone =
        incumbent.has_left || said.now_ms.saturating_sub(incumbent.seen_ms) >= said.gone_after_ms;
    match &said.known {
        Some(known) if known.copied_ms.is_some() => {
            // Whoever spoke since is alive beside it.
            let is_proven = known.copied_ms.is_some_and(|at| at < incumbent.seen_ms);
            match is_gone && !is_proven {
                true => Turn::TakesOver { from_copy: false },
                false => Turn::IsCopy,
            }
        }
        Some(known) => {
            let is_late = known.boot == incumbent.boot && mono_ms <= incumbent.first_mono_ms;
            match known.again_mono_ms {
                _ if is_late => Turn::Refused(Code::SayAgain),
                Some(once) if once < mono_ms => {
                    let is_first =
                        is_original(fingerprint) || !is_original(incumbent.fingerprint.as_deref());
                    match is_first {
                        true => Turn::TakesOver { from_copy: true },
                        false => Turn::IsCopy,
                    }
                }
                Some(_) => Turn::Refused(Code::SayAgain),
                None => Turn::Again,
            }
        }
        None if said.fingerprint.is_none() => Turn::Refused(Code::ReportFirst),
        None if is_preferred => Turn::TakesOver { from_copy: !is_gone },
        None => {
            let is_behind = i64::try_from(said.contact.serial).unwrap_or(i64::MAX) < serial;
            let is_restart = fingerprint == incumbent.fingerprint.as_deref() && !is_behind;
            let is_known_copy = said.is_copy && !is_original(fingerprint);
            match is_restart || (is_gone && !is_known_copy) {
                true => Turn::TakesOver { from_copy: false },
                false => Turn::IsCopy,
            }
        }
    }
}
