//! The line to the ops center: one signed request after the other, and what comes back.

use super::keys::Keys;
use crate::clock::{Clock, since_boot_ms, unix_ms};
use crate::engine::config::LinkConfig;
use crate::exit;
use crate::fleet::{Code, Contact, Id, MESSAGE_BYTES_MAX, Refusal, header};
use crate::http::client::{Answer, Call, Client, Method, Network, Patience, Timeouts, Uri};
use crate::oci::excerpt;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait that an ops center may ask for, so that it cannot put an edge to sleep.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(600);

/// Who asks, in every request alike.
pub(super) struct Line {
    client: Client,
    base: String,
    instance: Id,
    boot: Id,
    clock: Arc<dyn Clock>,
}

/// Why there is no answer that helps.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// The ops center says why not.
    #[error("{msg}")]
    Refused {
        /// Its code, where we know it.
        code: Option<Code>,
        /// Its sentence, or ours.
        msg: String,
        /// How long it asks to wait.
        wait: Option<Duration>,
    },
    /// It is not reached.
    #[error("the ops center is not reached")]
    Unreached(#[source] crate::http::client::Error),
    /// Its certificate does not hold now, or the device's clock is wrong.
    #[error(
        "the ops center is not reached, since its certificate does not hold by this device's clock"
    )]
    Clock(#[source] crate::http::client::Error),
    /// What it says is not what an ops center says.
    #[error("{0} does not answer as an ops center: check OPSCENTER_HOST of the bundle")]
    Strange(String),
}

/// The session that a request is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of {
    /// None while joining.
    pub session: Option<Id>,
    /// What it has come to.
    pub serial: u64,
}

/// What is sent.
pub(super) struct Sent<'a> {
    pub path: &'static str,
    pub content_type: &'static str,
    pub body: &'a [u8],
    pub patience: Patience,
}

impl Line {
    pub(super) fn new(
        config: &LinkConfig,
        network: &Network,
        (instance, boot): (Id, Id),
        clock: Arc<dyn Clock>,
    ) -> Line {
        let client = Client::through(Timeouts::EDGE, network);
        let scheme = if config.is_plain { "http" } else { "https" };
        let base = format!("{scheme}://{}", config.host);
        Line { client, base, instance, boot, clock }
    }

    /// Asks, and reads the answer.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        keys: &Keys,
        of: Of,
        sent: &Sent<'_>,
    ) -> Result<T, LineError> {
        let Sent { path, content_type, body, patience } = *sent;
        let strange = || LineError::Strange(self.base.clone());
        let contact = Contact {
            session: of.session,
            serial: of.serial,
            instance: self.instance,
            boot: self.boot,
            monotonic_ms: since_boot_ms(),
            time_ms: unix_ms(&*self.clock),
        };
        let signature = keys.sign(&contact.message("POST", path, body)).to_string();
        let values = contact.headers();
        let mut headers: Vec<(&'static str, &str)> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push((header::SIGNATURE, &signature));
        headers.push(("Content-Type", content_type));
        let uri: Uri = format!("{}{path}", self.base).parse().map_err(|_| strange())?;
        let call = Call {
            method: Method::POST,
            uri: &uri,
            headers: &headers,
            authorization: None,
            patience,
        };
        let size = body.len() as u64;
        let mut body = body;
        let answer = self.client.send(&call, &mut body, size).map_err(unreached)?;
        if answer.status == 200 {
            let bytes = answer.read(MESSAGE_BYTES_MAX).map_err(unreached)?.ok_or_else(strange)?;
            return serde_json::from_slice(&bytes).map_err(|_| strange());
        }
        Err(self.refused(answer))
    }

    fn refused(&self, answer: Answer) -> LineError {
        let status = answer.status;
        let wait = answer.header("Retry-After").and_then(|text| text.trim().parse().ok());
        let wait = wait.map(|seconds| Duration::from_secs(seconds).min(ASKED_WAIT_MAX));
        let bytes = match answer.read(MESSAGE_BYTES_MAX) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return unreached(error),
        };
        let refusal: Option<Refusal> = serde_json::from_slice(&bytes).ok();
        match refusal.map(|it| (Code::of_name(&it.code), it.msg)) {
            // Our own words for what we know: an ops center's are text from outside.
            Some((Some(code), _)) => {
                let msg = code.sentence().to_owned();
                LineError::Refused { code: Some(code), msg, wait }
            }
            Some((None, msg)) => LineError::Refused { code: None, msg: excerpt(&msg), wait },
            None => {
                let msg = format!(
                    "the ops center answered with status {status} and no word of ours: look at what is \
                     in front of it, and at its log"
                );
                LineError::Refused { code: None, msg, wait }
            }
        }
    }
}

fn unreached(error: crate::http::client::Error) -> LineError {
    use crate::http::client::Error;
    match &error {
        Error::Untrusted { distrust, .. } if distrust.is_of_time() => LineError::Clock(error),
        Error::Untrusted { .. }
        | Error::UnknownHost { .. }
        | Error::Refused { .. }
        | Error::TimedOut { .. }
        | Error::Tls { .. }
        | Error::Proxy { .. }
        | Error::Broken { .. }
        | Error::NotHttp { .. }
        | Error::TooManyRedirects { .. }
        | Error::NoLocation { .. }
        | Error::Location { .. } => LineError::Unreached(error),
    }
}

impl LineError {
    /// The code of the refusal.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            LineError::Refused { code, .. } => *code,
            LineError::Unreached(_) | LineError::Clock(_) | LineError::Strange(_) => None,
        }
    }

    /// How long it asks to wait.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            LineError::Refused { wait, .. } => *wait,
            LineError::Unreached(_) | LineError::Clock(_) | LineError::Strange(_) => None,
        }
    }

    /// What is the matter, in one line, with what a person does next.
    pub(super) fn sentence(&self) -> String {
        let hint = match self {
            LineError::Unreached(error) | LineError::Clock(error) => error.hint(),
            LineError::Refused { .. } | LineError::Strange(_) => None,
        };
        let chain = exit::chain(self);
        hint.map_or_else(|| chain.clone(), |hint| format!("{chain}; {hint}"))
    }
}
