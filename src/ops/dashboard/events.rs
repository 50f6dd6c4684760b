//! Server-sent events: how far a publish is, and that edges changed, for as many readers as there is room.

use super::get;
use crate::http::server::{Content, Response};
use crate::ops::access::Role;
use crate::ops::api::publishes::visible;
use crate::ops::api::{Asked, Problem, Route};
use crate::ops::center::Center;
use crate::ops::store::{PublishStatus, StoreError};
use serde_json::json;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) const ROUTES: &[Route] = &[get("/events", events)];

/// Readers at once: an eighth of all connections. Who finds no room loads the page again instead.
const STREAMS_MAX: usize = 64;

/// How often it is looked whether there is news: a person takes it for at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The same for the edges of a workspace, of which there may be ten thousand.
const EDGES_EVERY: Duration = Duration::from_secs(5);

/// How often something is sent without news, so that a reader who has left is noticed.
const SIGN_EVERY: Duration = Duration::from_secs(10);

/// How long one stream lives; browsers open another one by themselves.
const LIFE: Duration = Duration::from_secs(600);

/// Bytes of one stream, for the server's own bound: a line of at most some hundred for each look.
const BYTES_MAX: u64 = 4 << 20;

/// How many read, and whether they are to stop.
#[derive(Debug, Default)]
pub(in crate::ops) struct Streams {
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    is_stopping: bool,
}

impl Streams {
    /// Ends all streams: the ops center stops, and does not wait for who only listens.
    pub(in crate::ops) fn stop(&self) {
        self.state().is_stopping = true;
        self.stop.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more reader, if there is one.
    fn enter(&self) -> bool {
        let mut state = self.state();
        let has_room = state.open < STREAMS_MAX && !state.is_stopping;
        state.open += usize::from(has_room);
        has_room
    }

    fn leave(&self) {
        self.state().open -= 1;
    }

    /// Waits that long, or less when all are to stop; tells whether to go on.
    fn wait(&self, time: Duration) -> bool {
        let waited = self.stop.wait_timeout_while(self.state(), time, |state| !state.is_stopping);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_stopping
    }
}

/// What a reader wants to hear of.
#[derive(Debug, Clone, Copy)]
enum Subject {
    /// A publish, by its number.
    Publish(i64),
    /// The edges of a workspace.
    Edges(i64),
}

impl Subject {
    fn every(self) -> Duration {
        match self {
            Subject::Publish(_) => LOOK_EVERY,
            Subject::Edges(_) => EDGES_EVERY,
        }
    }
}

/// News as they come, in the form of server-sent events (HTML, section 9.2.6).
struct News {
    center: Arc<Center>,
    subject: Subject,
    /// What was sent last.
    told: String,
    told_at: Instant,
    ends_at: Instant,
    /// What is to be sent before anything else.
    waiting: Vec<u8>,
    is_over: bool,
}

impl Drop for News {
    fn drop(&mut self) {
        self.center.streams.leave();
    }
}

impl News {
    /// What there is to say now, and whether it is the last of it.
    fn look(&self) -> Result<(String, bool), StoreError> {
        match self.subject {
            Subject::Publish(id) => {
                let publish = self.center.store.read(|tx| tx.publish(id))?;
                let Some(publish) = publish else { return Ok(("{}".to_owned(), true)) };
                let progress = self.center.desk.progress(id);
                let is_over =
                    matches!(publish.status, PublishStatus::Published | PublishStatus::Error);
                let news = json!({
                    "status": publish.status.name(),
                    "error": publish.error,
                    "bytes_done": progress.map_or(0, |it| it.bytes_done),
                    "bytes_total": progress.map_or(0, |it| it.bytes_total),
                });
                Ok((news.to_string(), is_over))
            }
            Subject::Edges(workspace) => {
                let seen = self.center.store.read(|tx| tx.edge_tally(workspace))?;
                Ok((json!({ "edges": seen }).to_string(), false))
            }
        }
    }
}

impl Read for News {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.waiting.is_empty() {
            if self.is_over || Instant::now() >= self.ends_at {
                return Ok(0);
            }
            let (news, is_last) = self.look().map_err(io::Error::other)?;
            self.is_over = is_last;
            if news != self.told {
                self.waiting = format!("data: {news}\n\n").into_bytes();
                (self.told, self.told_at) = (news, Instant::now());
            } else if self.told_at.elapsed() >= SIGN_EVERY {
                self.waiting = b": still here\n\n".to_vec();
                self.told_at = Instant::now();
            } else if !self.center.streams.wait(self.subject.every()) {
                return Ok(0);
            }
        }
        let count = self.waiting.len().min(into.len());
        into[..count].copy_from_slice(&self.waiting[..count]);
        self.waiting.drain(..count);
        Ok(count)
    }
}

fn events(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let (publish, edges) = (asked.query_number("publish")?, asked.query_number("edges")?);
    let subject = match (publish, edges) {
        (Some(id), None) => Subject::Publish(id),
        (None, Some(workspace)) => Subject::Edges(workspace),
        (Some(_), Some(_)) | (None, None) => {
            let sentence = "name one `publish` or the `edges` of one workspace, by its number";
            return Err(Problem::bad("query", sentence));
        }
    };
    center.store.read(|tx| match subject {
        Subject::Publish(id) => visible(tx, asked, id, Role::Viewer).map(drop),
        Subject::Edges(workspace) => asked.may(tx, workspace, Role::Viewer),
    })?;
    if !center.streams.enter() {
        let sentence =
            format!("{STREAMS_MAX} browsers listen already: load the page again instead");
        return Err(Problem::new(503, "busy", sentence).with_header("Retry-After", "5".to_owned()));
    }
    let now = Instant::now();
    let news = News {
        center: asked.shared_center(),
        subject,
        told: String::new(),
        told_at: now,
        ends_at: now + LIFE,
        waiting: Vec::new(),
        is_over: false,
    };
    Ok(Response::new(200, "text/event-stream", Content::stream(news, BYTES_MAX))
        .with_header("Cache-Control", "no-store".to_owned()))
}
