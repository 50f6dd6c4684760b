//! Joins, renewals, copies and refusals at moments that a test sets, over real records and real signatures.

use super::FleetView;
use super::accept::{Accepted, Heard, accept_at};
use super::join::join_at;
use super::turn::SERIAL_LIFE_MS;
use crate::fleet::{
    Code, Contact, Counters, Device, EngineFacts, Id, JOIN_PATH, JoinRequest, Joined, PublicKey,
    REPORT_PATH, Report, SESSION_LIFE_MS, Signature,
};
use crate::ops::access::hashed;
use crate::ops::edges::{JOIN_TOKEN_LIFE_MS, State};
use crate::ops::store::{
    EdgesAsked, NewEdge, NewPipelineVersion, NewPublish, Store, StoreError, User,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::cell::Cell;
use tempfile::TempDir;

/// The test's time at its beginning.
const START_MS: i64 = 1_764_345_600_000;

/// A process that is silent for so long counts as gone.
const GONE_MS: i64 = 300_000;

struct Fleet {
    store: Store,
    now_ms: Cell<i64>,
    _directory: TempDir,
}

/// An engine on a device, and what it has on its disk.
#[derive(Clone)]
struct Engine {
    seed: u8,
    instance: u8,
    boot: u8,
    mark: Option<String>,
    mono_ms: u64,
    session: Option<Id>,
    serial: u64,
}

fn id(number: u8) -> Id {
    Id::of_random([number; 16])
}

impl Engine {
    fn new(seed: u8, mark: &str) -> Engine {
        let mark = Some(mark.to_owned());
        Engine { seed, instance: seed, boot: 1, mark, mono_ms: 1000, session: None, serial: 0 }
    }

    /// Another process over the same disk, a little later.
    fn restarted(&self, instance: u8) -> Engine {
        Engine { instance, mono_ms: self.mono_ms + 5000, ..self.clone() }
    }

    /// A process on another device with a copy of the disk.
    fn copied(&self, instance: u8, mark: &str) -> Engine {
        let (mark, boot) = (Some(mark.to_owned()), instance);
        Engine { instance, boot, mark, mono_ms: 77, ..self.clone() }
    }

    fn contact(&mut self) -> Contact {
        self.mono_ms += 10;
        Contact {
            session: self.session,
            serial: self.serial,
            instance: id(self.instance),
            boot: id(self.boot),
            monotonic_ms: self.mono_ms,
            time_ms: 5,
        }
    }

    fn device(&self) -> Device {
        Device { fingerprint: self.mark.clone(), host: self.mark.clone() }
    }

    fn report(&self) -> Report {
        Report {
            device: self.device(),
            engine: facts(),
            uptime_s: 1,
            running: None,
            counters: Counters::default(),
            journal: None,
            disk: None,
            memory: None,
            temperature_c: None,
            assignment: None,
            leaving: false,
        }
    }

    fn sign(&self, text: &str) -> Signature {
        let keys = Ed25519KeyPair::from_seed_unchecked(&[self.seed; 32]).unwrap();
        Signature(keys.sign(text.as_bytes()).as_ref().try_into().unwrap())
    }
}

fn facts() -> EngineFacts {
    let text = str::to_owned;
    EngineFacts { version: text("0.1.0"), arch: text("x86_64"), os: text("linux") }
}

impl Fleet {
    fn new() -> Fleet {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("records")).unwrap();
        let made: Result<(), StoreError> = store.write(|tx| {
            let (id, email) = ("ann".to_owned(), "ann@example.com".to_owned());
            let (is_admin, is_enabled) = (false, true);
            tx.add_user(&User { id, email, is_admin, is_enabled, created_ms: 1 }, None)?;
            let workspace = tx.add_workspace("ann's", "ann", 1)?;
            let pipeline = tx.pipeline_named(workspace, "fraud", "ann", 1)?;
            let version_id = tx.add_pipeline_version(&NewPipelineVersion {
                pipeline,
                version: "3b49fba8-94d8-4fca-aecc-c75257fd16c6",
                definition: "{}",
                config: "{}",
                by: "ann",
                now_ms: 1,
            })?;
            let (by, engine_config, now_ms) = ("ann", "{}", 1);
            tx.add_publish(&NewPublish { version_id, by, engine_config, replaces: &[], now_ms })?;
            Ok(())
        });
        made.unwrap();
        Fleet { store, now_ms: Cell::new(START_MS), _directory: directory }
    }

    /// Adds an edge whose token is its name.
    fn add(&self, name: &str) {
        let now_ms = self.now_ms.get();
        let edge_id = format!("{name} of {now_ms}");
        let added: Result<(), StoreError> = self.store.write(|tx| {
            tx.add_edge(&NewEdge {
                id: &edge_id,
                name,
                publish_id: 1,
                tags: &[],
                cpus: 1.0,
                memory: "1Gi",
                by: "ann",
                now_ms,
            })?;
            let expires_ms = now_ms + JOIN_TOKEN_LIFE_MS;
            tx.add_join_token(&hashed(&edge_id), &edge_id, now_ms, expires_ms)
        });
        added.unwrap();
    }

    fn passes(&self, ms: i64) {
        self.now_ms.set(self.now_ms.get() + ms);
    }

    /// Sends a join with that token, and keeps what is answered.
    fn join(&self, engine: &mut Engine, token: &str) -> Result<Joined, Code> {
        let keys = Ed25519KeyPair::from_seed_unchecked(&[engine.seed; 32]).unwrap();
        let request = JoinRequest {
            token: token.to_owned(),
            edge: "press".to_owned(),
            public_key: PublicKey(keys.public_key().as_ref().try_into().unwrap()),
            device: engine.device(),
            engine: facts(),
        };
        let body = serde_json::to_vec(&request).unwrap();
        let contact = Contact { session: None, serial: 0, ..engine.contact() };
        let signature = engine.sign(&contact.message("POST", JOIN_PATH, &body));
        let joined = join_at(&self.store, self.now_ms.get(), &contact, &signature, &body);
        let joined = joined.map_err(|error| error.code())?;
        (engine.session, engine.serial) = (Some(joined.session), joined.facts.serial);
        Ok(joined)
    }

    /// The same for the edge `press` that was added at the beginning.
    fn joined(&self, engine: &mut Engine) {
        self.join(engine, &format!("press of {START_MS}")).unwrap();
    }

    /// Sends a report of which the answer is lost.
    fn reported_in_vain(&self, engine: &mut Engine) -> Result<Accepted, Code> {
        let report = engine.report();
        self.sends(engine, Some(&report))
    }

    /// Sends a report, and keeps what is answered.
    fn reported(&self, engine: &mut Engine) -> Result<u64, Code> {
        let accepted = self.reported_in_vain(engine)?;
        engine.serial = accepted.facts.serial;
        Ok(engine.serial)
    }

    fn sends(&self, engine: &mut Engine, report: Option<&Report>) -> Result<Accepted, Code> {
        let body = report.map_or_else(Vec::new, |report| serde_json::to_vec(report).unwrap());
        let contact = engine.contact();
        let signature = engine.sign(&contact.message("POST", REPORT_PATH, &body));
        let heard = Heard {
            contact: &contact,
            signature: &signature,
            path: REPORT_PATH,
            body: &body,
            report,
        };
        let accepted = accept_at(&self.store, self.now_ms.get(), GONE_MS, &heard);
        accepted.map_err(|error| error.code())
    }

    fn remove(&self) {
        let removed: Result<(), StoreError> = self.store.write(|tx| {
            let edge = tx.edge_by_name("press")?.unwrap();
            tx.remove_edge(&edge.id, self.now_ms.get())
        });
        removed.unwrap();
    }
}

#[test]
fn a_token_is_bound_to_one_key_and_that_key_is_answered_again() {
    let fleet = Fleet::new();
    fleet.add("press");
    let token = format!("press of {START_MS}");
    let mut engine = Engine::new(1, "board 1");
    let first = fleet.join(&mut engine, &token).unwrap();
    let again = fleet.join(&mut engine.restarted(2), &token).unwrap();
    assert_eq!((first.session, first.facts.serial), (again.session, again.facts.serial));
    // A day later the same key is still answered, and another one never.
    fleet.passes(JOIN_TOKEN_LIFE_MS + 1);
    assert_eq!(fleet.join(&mut engine, &token).unwrap().session, first.session);
    assert_eq!(fleet.join(&mut Engine::new(9, "board 9"), &token), Err(Code::TokenUsed));
}

#[test]
fn each_wrong_token_is_told_by_its_code() {
    let fleet = Fleet::new();
    fleet.add("press");
    let token = format!("press of {START_MS}");
    let mut engine = Engine::new(1, "board 1");
    assert_eq!(fleet.join(&mut engine, "another"), Err(Code::TokenUnknown));
    fleet.passes(JOIN_TOKEN_LIFE_MS);
    assert_eq!(fleet.join(&mut engine, &token), Err(Code::TokenExpired));
    fleet.remove();
    assert_eq!(fleet.join(&mut engine, &token), Err(Code::TokenRevoked));
    fleet.add("press");
    let token = format!("press of {}", fleet.now_ms.get());
    fleet.join(&mut engine, &token).unwrap();
    // A key that has not signed it proves nothing.
    let body = br#"{"token":"t"}"#;
    let contact = engine.contact();
    let error = join_at(&fleet.store, START_MS, &contact, &Signature([1; 64]), body).unwrap_err();
    assert_eq!(error.code(), Code::Malformed);
}

#[test]
fn a_session_ends_after_seven_days_of_silence_and_with_its_edge() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board 1");
    fleet.joined(&mut engine);
    let life_ms = i64::try_from(SESSION_LIFE_MS).unwrap();
    for _ in 0..3 {
        fleet.passes(life_ms - 1);
        fleet.reported(&mut engine).unwrap();
    }
    let mut other_key = Engine { seed: 2, ..engine.clone() };
    assert_eq!(fleet.reported(&mut other_key), Err(Code::Signature));
    let mut strange = Engine { session: Some(id(99)), ..engine.clone() };
    assert_eq!(fleet.reported(&mut strange), Err(Code::SessionUnknown));
    fleet.passes(life_ms);
    assert_eq!(fleet.reported(&mut engine), Err(Code::SessionExpired));
    assert_eq!(
        fleet.join(&mut engine.clone(), &format!("press of {START_MS}")),
        Err(Code::SessionExpired)
    );
    fleet.remove();
    assert_eq!(fleet.reported(&mut engine), Err(Code::EdgeRemoved));
}

#[test]
fn a_serial_moves_at_a_start_and_each_half_day_and_not_with_each_report() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board 1");
    fleet.joined(&mut engine);
    assert_eq!(fleet.reported(&mut engine), Ok(1));
    // The answer of the next start is lost, and the process killed before it has written it.
    let mut next = engine.restarted(2);
    assert_eq!(fleet.reported_in_vain(&mut next).unwrap().facts.serial, 2);
    assert_eq!(fleet.reported(&mut next), Ok(2));
    let mut third = engine.restarted(3);
    assert_eq!(fleet.reported(&mut third), Ok(2), "as if the second had never been");
    assert_eq!(fleet.reported(&mut third), Ok(2));
    // Killed after it was written, and before it was used.
    let mut fourth = Engine { serial: 3, ..third.restarted(4) };
    assert_eq!(fleet.reported(&mut third.restarted(5)).unwrap(), 3);
    assert_eq!(fleet.reported(&mut fourth), Ok(4));
    assert_eq!(fleet.reported(&mut fourth), Ok(4));
    fleet.passes(SERIAL_LIFE_MS);
    assert_eq!(fleet.reported(&mut fourth), Ok(5));
    assert_eq!(fleet.reported(&mut fourth), Ok(5));
}

#[test]
fn a_copy_on_another_device_is_refused_while_the_original_lives_and_for_good() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut original = Engine::new(1, "board 1");
    fleet.joined(&mut original);
    fleet.reported(&mut original).unwrap();
    let mut copy = original.copied(2, "board 2");
    assert_eq!(fleet.reported(&mut copy), Err(Code::SessionCopied));
    fleet.passes(60_000);
    fleet.reported(&mut original).unwrap();
    // The original is away for a night: a copy that was proven one does not get its place.
    fleet.passes(GONE_MS * 10);
    assert_eq!(fleet.reported(&mut copy), Err(Code::SessionCopied));
    assert_eq!(fleet.reported(&mut copy.copied(3, "board 2")), Err(Code::SessionCopied));
    fleet.reported(&mut original).unwrap();
}

#[test]
fn a_disk_that_was_put_into_another_device_goes_on_there() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board 1");
    fleet.joined(&mut engine);
    fleet.reported(&mut engine).unwrap();
    let mut moved = engine.copied(2, "board 2");
    // At once it might be a copy; once the other has been silent it is none.
    assert_eq!(fleet.reported(&mut moved), Err(Code::SessionCopied));
    fleet.passes(GONE_MS);
    assert_eq!(fleet.reported(&mut moved), Ok(2));
    assert_eq!(fleet.reported(&mut moved), Ok(2));
    // It is shown, with both devices by name.
    let shown = || {
        let edge: Result<_, StoreError> = fleet.store.read(|tx| tx.edge_by_name("press"));
        let (edge, now_ms) = (edge.unwrap().unwrap(), fleet.now_ms.get());
        let view = FleetView::of(edge.faring.as_ref(), now_ms);
        (State::of(&edge, now_ms, GONE_MS), view.joined_host, view.host)
    };
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(shown(), (State::Copied, name("board 1"), name("board 2")));
    // The one that joined comes back after all: it is the original.
    assert_eq!(fleet.reported(&mut engine), Err(Code::SayAgain));
    assert!(fleet.reported(&mut engine).is_ok());
    assert_eq!(fleet.reported(&mut moved), Err(Code::SessionCopied));
}

#[test]
fn of_two_devices_that_look_alike_the_one_that_was_there_first_goes_on() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut first = Engine::new(1, "a virtual machine");
    fleet.joined(&mut first);
    fleet.reported(&mut first).unwrap();
    // It looks like a restart, until the first one speaks twice.
    let mut clone = first.copied(2, "a virtual machine");
    fleet.reported(&mut clone).unwrap();
    assert_eq!(fleet.reported(&mut first), Err(Code::SayAgain));
    assert_eq!(fleet.reported(&mut first), Ok(3));
    assert_eq!(fleet.reported(&mut clone), Err(Code::SessionCopied));
    fleet.passes(1000);
    assert_eq!(fleet.reported(&mut first), Ok(3));
}

#[test]
fn what_a_dead_process_had_sent_is_no_sign_of_life() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut dead = Engine::new(1, "board 1");
    fleet.joined(&mut dead);
    fleet.reported(&mut dead).unwrap();
    let mut next = dead.restarted(2);
    fleet.reported(&mut next).unwrap();
    // Two requests of before, late by a bad link: older than the next process by the boot's clock.
    for _ in 0..2 {
        assert_eq!(fleet.reported_in_vain(&mut dead), Err(Code::SayAgain));
    }
    fleet.reported(&mut next).unwrap();
    let known: Result<_, StoreError> =
        fleet.store.read(|tx| tx.edge_session(&next.session.unwrap().to_string()));
    assert_eq!(known.unwrap().unwrap().copied_ms, None);
}

#[test]
fn only_who_has_reported_sends_its_journal_and_a_repeat_changes_nothing() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board 1");
    fleet.joined(&mut engine);
    let mut next = engine.restarted(2);
    assert_eq!(fleet.sends(&mut next, None), Err(Code::ReportFirst));
    fleet.reported(&mut next).unwrap();
    let sent = fleet.sends(&mut next, None).unwrap();
    assert_eq!(sent.zero_ms, START_MS - i64::try_from(next.mono_ms).unwrap());
    // The same request again, an hour later: the boot's clock has not moved by it.
    fleet.passes(3_600_000);
    next.mono_ms -= 10;
    fleet.reported_in_vain(&mut next).unwrap();
    let learned: Result<_, StoreError> =
        fleet.store.read(|tx| tx.edge_boot(&sent.edge_id, &id(1).to_string()));
    assert_eq!(learned.unwrap(), Some(sent.zero_ms));
}

#[test]
fn an_ops_center_that_was_restored_from_a_backup_goes_on_from_the_edges_serial() {
    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board 1");
    fleet.joined(&mut engine);
    let mut later = Engine { serial: 41, ..engine.restarted(2) };
    assert_eq!(fleet.reported(&mut later), Ok(42));
    assert_eq!(fleet.reported(&mut later), Ok(42));
}

/// How the edge `press` fares; each state finds it by bounds of times if it is told so, and else not.
fn told(fleet: &Fleet) -> &'static str {
    let now_ms = fleet.now_ms.get();
    let edges = |fares| {
        let asked = EdgesAsked { fares, count_max: 9, ..EdgesAsked::default() };
        let found: Result<_, StoreError> = fleet.store.read(|tx| tx.edges(&asked));
        found.unwrap()
    };
    let press = edges(None).pop().unwrap();
    let told = State::of(&press, now_ms, GONE_MS);
    for name in State::names().split(", ") {
        let state = State::of_name(name).unwrap();
        let found = edges(Some(state.fares(now_ms, GONE_MS))).pop();
        assert_eq!(found.is_some(), state == told, "{name} where it is {}", told.name());
    }
    told.name()
}

#[test]
fn an_edge_is_found_by_the_state_that_is_told_of_it_at_each_bound_of_time() {
    let fleet = Fleet::new();
    fleet.add("press");
    fleet.passes(JOIN_TOKEN_LIFE_MS - 1);
    assert_eq!(told(&fleet), "waiting");
    fleet.passes(1);
    assert_eq!(told(&fleet), "expired");

    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board");
    fleet.joined(&mut engine);
    fleet.reported(&mut engine).unwrap();
    fleet.passes(GONE_MS - 1);
    assert_eq!(told(&fleet), "joined");
    fleet.passes(1);
    assert_eq!(told(&fleet), "vanished");
    fleet.reported(&mut engine).unwrap();
    let _ = fleet.reported(&mut engine.copied(2, "another board"));
    fleet.reported(&mut engine).unwrap();
    assert_eq!(told(&fleet), "copied");
    let leaving = Report { leaving: true, ..engine.report() };
    fleet.sends(&mut engine, Some(&leaving)).unwrap();
    assert_eq!(told(&fleet), "stopped");
    fleet.passes(i64::try_from(SESSION_LIFE_MS).unwrap() - 1);
    assert_eq!(told(&fleet), "stopped");
    fleet.passes(1);
    assert_eq!(told(&fleet), "lost");

    let fleet = Fleet::new();
    fleet.add("press");
    let mut engine = Engine::new(1, "board");
    fleet.joined(&mut engine);
    fleet.reported(&mut engine).unwrap();
    fleet.passes(GONE_MS);
    let mut moved = engine.copied(2, "another board");
    fleet.reported(&mut moved).unwrap();
    assert_eq!(told(&fleet), "copied");
}
