//! One inference: bytes to a table, through the gate, through the models, and to bytes again.

use super::gate::{self, Gate};
use super::metrics::{Metrics, Stage};
use super::refusal::Problem;
use super::slot::Slot;
use crate::clock::{Clock, unix_ms};
use crate::codec::{self, InputFormat, OutputFormat};
use crate::http::server::{Request, Response};
use crate::pipeline::Record;
use crate::runtime::Pool;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What every inference needs.
pub(super) struct Inferences {
    pub(super) slot: Slot,
    pub(super) pool: Arc<Pool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Gate,
    pub(super) metrics: Metrics,
}

/// What one request wants inferred.
pub(super) struct Rows {
    pub(super) format: InputFormat,
    pub(super) body: Vec<u8>,
    /// The format of the answer.
    pub(super) wanted: OutputFormat,
    /// When the request came.
    pub(super) start: Instant,
}

impl Inferences {
    /// Infers the rows in the body of `request`.
    ///
    /// # Errors
    /// When the body is not rows that the pipeline takes, or no turn to compute comes.
    pub(super) fn answer(&self, request: &mut Request<'_, '_>) -> Result<Response, Problem> {
        let start = Instant::now();
        let format = InputFormat::of_content_type(request.header("content-type"))?;
        let wanted = OutputFormat::of_accept(request.header("accept"));
        let body = request.body()?;
        self.metrics.received(body.len());
        let rows = Rows { format, body, wanted, start };
        let answer = self.infer(rows, &mut || request.client_has_left())?;
        Ok(Response::new(200, wanted.content_type(), answer))
    }

    /// Infers rows, and gives the answer's bytes; `client_left` is asked while they wait.
    ///
    /// # Errors
    /// As [`Inferences::answer`].
    pub(super) fn infer(
        &self,
        rows: Rows,
        client_left: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<u8>, Problem> {
        let Rows { format, body, wanted, start } = rows;
        let time_ms = unix_ms(&*self.clock);

        let read = Instant::now();
        let decoded = codec::decode(format, body, self.slot.chain.inputs())?;
        let table = decoded.table();
        let mut elapsed = vec![self.timed(Stage::Read, read)];

        let wait = Instant::now();
        let pass = self.gate.enter(wait + gate::WAIT_MAX, client_left)?;
        self.timed(Stage::Wait, wait);

        let run = Instant::now();
        let outcome = self.slot.chain.run(&self.pool, &table)?;
        drop(pass);
        self.timed(Stage::Run, run);
        self.metrics.inferred(table.rows(), &outcome.outputs);
        elapsed.extend(outcome.elapsed);

        let write = Instant::now();
        let record = Record {
            check_failures: Vec::new(),
            elapsed_ns: elapsed.into_iter().map(nanoseconds).collect(),
            model_name: self.slot.last.name.clone(),
            model_version: self.slot.last.version.clone(),
            model_sha: self.slot.last.sha.hex(),
            outputs: outcome.outputs,
            pipeline_name: self.slot.definition.name.clone(),
            pipeline_version: self.slot.definition.version.clone(),
            time_ms,
        };
        let body = match wanted {
            OutputFormat::Records => codec::write_records(&record),
            OutputFormat::ArrowFile => codec::write_arrow(&record, &table)?,
        };
        self.timed(Stage::Write, write);
        self.timed(Stage::Whole, start);
        Ok(body)
    }

    /// Counts what a stage took, and gives it back.
    fn timed(&self, stage: Stage, since: Instant) -> Duration {
        let elapsed = since.elapsed();
        self.metrics.stage(stage, elapsed);
        elapsed
    }
}

fn nanoseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
