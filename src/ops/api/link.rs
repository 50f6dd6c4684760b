//! The edge service below `/edge/v1/`: what engines ask, each request signed by the edge's key.

use super::{Asked, Need, Problem, Route, answer};
use crate::fleet::{
    Code, Contact, JOIN_PATH, LOG_BATCH_BYTES_MAX, LOGS_PATH, LogsAnswer, MESSAGE_BYTES_MAX,
    REPORT_PATH, Report, ReportAnswer, Signature,
};
use crate::http::server::Response;
use crate::logging::AT_SERVE;
use crate::ops::center::Center;
use crate::ops::fleet::{self, Accepted, Heard, LinkError, accept};
use crate::ops::logs::{Clocks, Delivery, Taken};
use crate::ops::rollouts;

pub(super) const ROUTES: &[Route] = &[
    Route { method: "POST", path: JOIN_PATH, need: Need::Nobody, answer: join },
    Route { method: "POST", path: REPORT_PATH, need: Need::Nobody, answer: report },
    Route { method: "POST", path: LOGS_PATH, need: Need::Nobody, answer: logs },
];

fn join(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let body = asked.body(MESSAGE_BYTES_MAX, "a request to join")?;
    let joined = contact(asked)
        .and_then(|(contact, signature)| fleet::join(center, &contact, &signature, &body));
    Ok(match joined {
        Ok(joined) => answer(200, &joined),
        Err(error) => refused(center, JOIN_PATH, &error),
    })
}

fn report(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let body = asked.body(MESSAGE_BYTES_MAX, "a report")?;
    let answered = contact(asked).and_then(|(contact, signature)| {
        let report: Report = serde_json::from_slice(&body)
            .map_err(|error| LinkError::Malformed(error.to_string()))?;
        let heard = Heard {
            contact: &contact,
            signature: &signature,
            path: REPORT_PATH,
            body: &body,
            report: Some(&report),
        };
        let Accepted { facts, edge_id, now_ms, .. } = accept(center, &heard)?;
        let said = report.assignment.as_ref();
        let wanted = center.store.write(|tx| rollouts::contact(tx, &edge_id, said, now_ms))?;
        Ok(ReportAnswer { facts, wanted, interval_s: center.settings.report_seconds })
    });
    Ok(match answered {
        Ok(told) => answer(200, &told),
        Err(error) => refused(center, REPORT_PATH, &error),
    })
}

fn logs(center: &Center, asked: &mut Asked<'_, '_, '_>) -> Result<Response, Problem> {
    let body = asked.body(LOG_BATCH_BYTES_MAX as u64, "a part of a journal")?;
    let answered = contact(asked).and_then(|(contact, signature)| {
        let heard = Heard {
            contact: &contact,
            signature: &signature,
            path: LOGS_PATH,
            body: &body,
            report: None,
        };
        let Accepted { edge_id, now_ms, .. } = accept(center, &heard)?;
        let clocks =
            Clocks { boot: contact.boot, mono_ms: contact.monotonic_ms, center_ms: now_ms };
        let Taken { journal, next } =
            center.logs.take(Delivery { edge: edge_id, contact: clocks, body })?;
        Ok(LogsAnswer { journal, next })
    });
    Ok(match answered {
        Ok(taken) => answer(200, &taken),
        Err(error) => refused(center, LOGS_PATH, &error),
    })
}

/// Who speaks, by the headers of the request; nothing of it is verified yet.
pub(super) fn contact(asked: &Asked<'_, '_, '_>) -> Result<(Contact, Signature), LinkError> {
    Contact::read(|name| asked.request.header(name))
        .map_err(|error| LinkError::Malformed(crate::exit::chain(&error)))
}

/// The answer to an edge that is not answered as it asked.
pub(super) fn refused(center: &Center, path: &str, error: &LinkError) -> Response {
    let (code, cause) = (error.code(), crate::exit::chain(error));
    match code {
        Code::Unavailable => {
            log::error!(target: AT_SERVE, "path={path} code={} msg={cause:?}", code.name());
        }
        Code::TokenUnknown
        | Code::TokenUsed
        | Code::TokenExpired
        | Code::TokenRevoked
        | Code::SessionUnknown
        | Code::SessionExpired
        | Code::SessionCopied
        | Code::EdgeRemoved
        | Code::Signature
        | Code::SayAgain
        | Code::ReportFirst
        | Code::Malformed
        | Code::Busy => {
            log::debug!(target: AT_SERVE, "path={path} code={} msg={cause:?}", code.name());
        }
    }
    let response = answer(code.status(), &error.refusal(center.now_ms()));
    match code.is_final() {
        true => response,
        false => response.with_header("Retry-After", error.again_s().to_string()),
    }
}
