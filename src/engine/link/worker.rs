//! The link's thread: joins, reports when it is time, and says once what is the matter.

use super::identity::{Identity, IdentityError, Session, directory_of_edge};
use super::keys::{KeysError, fresh_id};
use super::line::{Line, LineError, Of, Sent};
use super::sending::Speaker;
use super::status::Phase;
use super::{Call, Shared, device};
use crate::clock::Clock;
use crate::engine::config::{Config, LinkConfig};
use crate::engine::journal;
use crate::exit;
use crate::fleet::{
    Code, Counters, Device, JOIN_PATH, JoinRequest, Joined, JournalState, KEPT_TOKEN, REPORT_PATH,
    Report, ReportAnswer, Running, SessionFacts,
};
use crate::http::client::Patience;
use crate::logging::{AT_LINK, quoted};
use crate::registry::Retry;
use serde::Serialize;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// When an ops center that did not answer is asked again: soon at first, since a router comes up
/// later than the board, then ever less, and every five minutes for as long as it takes.
pub(super) const RETRY: Retry =
    Retry { wait: Duration::from_secs(1), wait_max: Duration::from_secs(300), ..Retry::EDGE };

/// When an ops center is asked again that has refused for good: a person may have helped meanwhile.
const REFUSED_WAIT: Duration = Duration::from_secs(120);

/// The least and the most that an ops center may set as the pace of reports.
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// How often is told how an assignment goes that is on its way: a rollout waits for it.
const ASSIGNED_INTERVAL: Duration = Duration::from_secs(5);

/// Where the kernel's and the board's own files are.
const ROOT: &str = "/";

pub(super) struct Worker {
    config: Arc<Config>,
    link: LinkConfig,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    started: Instant,
    device: Device,
    /// Who this device may be, the likeliest first; empty before it was looked.
    identities: VecDeque<Identity>,
    line: Option<Arc<Line>>,
    interval: Duration,
    failures: u32,
    /// Refusals for good in a row: each identity is tried before it is waited.
    refused: usize,
    /// Whether the line was said by which a user knows that it works.
    is_attested: bool,
}

/// Why a contact did not come about.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(
        "the bundle keeps the identity that a device has, and there is none in {0}: mount the volume \
         that it was on, or remove the edge and add it again for a bundle with a join token"
    )]
    NoIdentity(String),
}

impl Worker {
    pub(super) fn new(
        config: Arc<Config>,
        link: LinkConfig,
        shared: Arc<Shared>,
        clock: Arc<dyn Clock>,
    ) -> Worker {
        Worker {
            config,
            link,
            shared,
            clock,
            started: Instant::now(),
            device: device::device(Path::new(ROOT)),
            identities: VecDeque::new(),
            line: None,
            interval: RETRY.wait,
            failures: 0,
            refused: 0,
            is_attested: false,
        }
    }

    /// Works until it is told to leave.
    pub(super) fn run(&mut self, calls: &Receiver<Call>) {
        let mut is_leaving = false;
        loop {
            let contact = self.contact(is_leaving);
            if is_leaving {
                return;
            }
            let wait = match contact {
                Ok(()) => {
                    (self.failures, self.refused) = (0, 0);
                    self.until_next()
                }
                Err(error) => self.failed(&error),
            };
            match calls.recv_timeout(wait) {
                Ok(Call::Leave) => is_leaving = true,
                Ok(Call::Report) => {
                    // Several in a row are one wish.
                    is_leaving = calls.try_iter().any(|call| call == Call::Leave);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long until the next report: devices that joined together do not stay together.
    fn until_next(&self) -> Duration {
        let is_on_its_way = self.shared.orders.report().is_some_and(|it| !it.state.is_ended());
        let whole = match is_on_its_way {
            true => self.interval.min(ASSIGNED_INTERVAL),
            false => self.interval,
        };
        whole * 4 / 5 + Retry { wait: whole / 5, ..RETRY }.wait_after(1, None)
    }

    /// Joins where that is to do yet, and reports.
    fn contact(&mut self, is_leaving: bool) -> Result<(), WorkerError> {
        if self.line.is_none() {
            let boot = device::boot(fresh_id()?);
            let who = (fresh_id()?, boot);
            let line = Line::new(&self.link, &self.config.network, who, self.clock.clone());
            self.line = Some(Arc::new(line));
        }
        if self.identities.is_empty() {
            self.identities = self.look()?;
        }
        let is_joined = self.identities.front().is_some_and(|it| it.session.is_some());
        if !is_joined {
            if is_leaving {
                return Ok(());
            }
            self.join()?;
        }
        let answer = self.report(is_leaving)?;
        self.interval = Duration::from_secs(answer.interval_s).clamp(INTERVAL_MIN, INTERVAL_MAX);
        if let Some(wanted) = answer.wanted {
            self.shared.orders.want(wanted);
        }
        Ok(())
    }

    /// Who this device may be: whoever has joined before, then whoever the bundle's token makes it. A
    /// session that holds is not given up for a bundle, which may be an old one.
    fn look(&self) -> Result<VecDeque<Identity>, WorkerError> {
        let directory = directory_of_edge(&self.config.persist, &self.link.edge);
        let mut found = VecDeque::from(Identity::joined(&directory));
        for session in found.iter().filter_map(|it| it.session.as_ref()) {
            let heard_ms = session.heard_ms.unwrap_or(session.joined_ms);
            self.config.network.heard.heard(Duration::from_millis(heard_ms));
        }
        let token = self.link.token.reveal();
        if token != KEPT_TOKEN {
            let of_token = Identity::of_token(&directory, token)?;
            if !found.iter().any(|it| it.keys.public() == of_token.keys.public()) {
                found.push_back(of_token);
            }
        }
        match found.is_empty() {
            true => Err(WorkerError::NoIdentity(self.config.persist.display().to_string())),
            false => Ok(found),
        }
    }

    fn join(&mut self) -> Result<(), WorkerError> {
        let (Some(identity), Some(line)) = (self.identities.front_mut(), &self.line) else {
            return Ok(());
        };
        let request = JoinRequest {
            token: self.link.token.reveal().to_owned(),
            edge: self.link.edge.clone(),
            public_key: identity.keys.public(),
            device: self.device.clone(),
            engine: device::engine(),
        };
        let of = Of { session: None, serial: 0 };
        let joined: Joined = ask(line, identity, of, JOIN_PATH, &request)?;
        // On the disk first: what is not there has not happened.
        identity.keep(Session {
            edge: joined.edge,
            session: joined.session,
            serial: joined.facts.serial,
            joined_ms: joined.facts.time_ms,
            heard_ms: Some(joined.facts.time_ms),
        })?;
        identity.forget_others();
        self.identities.truncate(1);
        self.heard(joined.facts);
        Ok(())
    }

    fn report(&mut self, leaving: bool) -> Result<ReportAnswer, WorkerError> {
        let report = self.facts(leaving);
        let (Some(identity), Some(line)) = (self.identities.front_mut(), &self.line) else {
            return Err(WorkerError::NoIdentity(self.config.persist.display().to_string()));
        };
        let Some(session) = identity.session.clone() else {
            return Err(WorkerError::NoIdentity(self.config.persist.display().to_string()));
        };
        let of = Of { session: Some(session.session), serial: session.serial };
        let answer: ReportAnswer = ask(line, identity, of, REPORT_PATH, &report)?;
        if answer.facts.serial > session.serial {
            let heard_ms = Some(answer.facts.time_ms);
            identity.keep(Session { serial: answer.facts.serial, heard_ms, ..session.clone() })?;
        }
        let serial = answer.facts.serial.max(session.serial);
        let speaker = Speaker {
            line: line.clone(),
            keys: identity.keys.clone(),
            of: Of { session: of.session, serial },
        };
        self.shared.set_speaker(Some(speaker));
        self.heard(answer.facts);
        Ok(answer)
    }

    fn facts(&self, leaving: bool) -> Report {
        let live = self.shared.live.get().map(|live| live.now());
        let running = live.as_ref().map(|serving| {
            let slot = &serving.inferences.slot;
            Running {
                pipeline_url: slot.url.clone(),
                pipeline: slot.definition.name.clone(),
                version: slot.definition.version.clone(),
                digest: slot.digest.to_string(),
            }
        });
        let counters = live.map_or_else(Counters::default, |it| it.inferences.metrics.counters());
        Report {
            device: self.device.clone(),
            engine: device::engine(),
            uptime_s: self.started.elapsed().as_secs(),
            running,
            counters,
            journal: self.shared.journal.get().map(|journal| journal_state(&journal.state())),
            disk: device::disk(&self.config.persist),
            memory: device::memory(),
            temperature_c: device::temperature(Path::new(ROOT)),
            assignment: self.shared.orders.report(),
            leaving,
        }
    }

    /// The ops center has answered.
    fn heard(&mut self, facts: SessionFacts) {
        self.config.network.heard.heard(Duration::from_millis(facts.time_ms));
        let mut status = self.shared.status();
        let before = status.phase;
        status.phase = Phase::Joined;
        status.sentence.clear();
        status.contact_ms = Some(facts.time_ms);
        status.expires_ms = Some(facts.expires_ms);
        status.contacts += 1;
        drop(status);
        let (edge, host) = (&self.link.edge, &self.link.host);
        if !self.is_attested {
            self.is_attested = true;
            log::info!(target: AT_LINK, "edge={edge:?} ops={host} msg=\"Node attestation was successful\"");
        } else if before != Phase::Joined {
            log::info!(target: AT_LINK, "edge={edge:?} ops={host} msg=\"in touch with the ops center again\"");
        }
    }

    /// The next of the identities has its turn, and how long to wait for it.
    fn next_identity(&mut self) -> Duration {
        let count = self.identities.len().max(1);
        self.refused += 1;
        self.identities.rotate_left(1 % count);
        // All of them were refused: whichever is next, it takes a person.
        if self.refused.is_multiple_of(count) { REFUSED_WAIT } else { Duration::ZERO }
    }

    /// Tells what is the matter, and how long to wait.
    fn failed(&mut self, error: &WorkerError) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let (phase, sentence) = match error {
            WorkerError::Line(error) => (Phase::of(error), error.sentence()),
            WorkerError::Identity(_) | WorkerError::Keys(_) => (Phase::Disk, exit::chain(error)),
            WorkerError::NoIdentity(_) => (Phase::NoIdentity, exit::chain(error)),
        };
        let (code, asked) = match error {
            WorkerError::Line(error) => (error.code(), error.wait()),
            WorkerError::Identity(_) | WorkerError::Keys(_) | WorkerError::NoIdentity(_) => {
                (None, None)
            }
        };
        if code == Some(Code::SayAgain) {
            log::debug!(target: AT_LINK, "{}", quoted("msg", &sentence));
            return asked.unwrap_or(RETRY.wait);
        }
        self.shared.set_speaker(None);
        let count = self.identities.len().max(1);
        if matches!(phase, Phase::Refused(_)) && !self.refused.is_multiple_of(count) {
            // What the likeliest identity was told is what a person should see.
            log::debug!(target: AT_LINK, "{}", quoted("msg", &sentence));
            return self.next_identity();
        }
        let mut status = self.shared.status();
        let is_news = status.sentence != sentence;
        status.phase = phase;
        status.sentence = sentence;
        status.failures += 1;
        let sentence = status.sentence.clone();
        drop(status);
        let line = format!("edge={:?} {}", self.link.edge, quoted("msg", &sentence));
        match is_news {
            true => log::warn!(target: AT_LINK, "{line}"),
            false => log::debug!(target: AT_LINK, "{line}"),
        }
        match phase {
            // Another identity of this edge is tried at once: it was removed, and added again.
            Phase::Refused(_) => self.next_identity(),
            Phase::Joining
            | Phase::Joined
            | Phase::Unreached
            | Phase::Clock
            | Phase::Disk
            | Phase::NoIdentity => RETRY.wait_after(self.failures, asked),
        }
    }
}

/// The journal's state as reports have it.
fn journal_state(state: &journal::State) -> JournalState {
    JournalState {
        journal: state.journal,
        waiting_records: state.waiting_records,
        waiting_bytes: state.waiting_bytes,
        lost: state.lost_records(),
        oldest_ms: state.oldest_ms,
    }
}

fn ask<T: serde::de::DeserializeOwned>(
    line: &Line,
    identity: &Identity,
    of: Of,
    path: &'static str,
    message: &impl Serialize,
) -> Result<T, LineError> {
    let body = serde_json::to_vec(message).unwrap_or_default();
    let sent =
        Sent { path, content_type: "application/json", body: &body, patience: Patience::Answer };
    line.ask(&identity.keys, of, &sent)
}
