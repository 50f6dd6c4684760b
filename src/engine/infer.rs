//! One inference: bytes to a table, through the gate, through the models, and to bytes again.

use super::gate::Gate;
use super::journal::Recorder;
use super::metrics::{Metrics, Stage};
use super::refusal::Problem;
use super::room::Room;
use super::slot::Slot;
use super::turn::{Computed, Turn};
use super::watch::Tally;
use crate::clock::{Clock, unix_ms};
use crate::codec::{self, Dataset, Decoded, InputFormat, OutputFormat};
use crate::exit;
use crate::http::server::{Request, Response};
use crate::logging::AT_SERVE;
use crate::pipeline::{Record, ShadowOutputs};
use crate::runtime::{Outcome, Pool, Shadow};
use crate::tensor::Table;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What every inference of one pipeline needs.
pub(super) struct Inferences {
    pub(super) slot: Slot,
    pub(super) pool: Arc<Pool>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Arc<Gate>,
    /// The memory that is left for requests.
    pub(super) room: Arc<Room>,
    /// Whether rows that wait compute together.
    pub(super) batches: bool,
    pub(super) metrics: Arc<Metrics>,
    /// Keeps what is answered, where that is wanted.
    pub(super) journal: Option<Arc<Recorder>>,
    /// What the requests to this pipeline came to.
    pub(super) tally: Arc<Tally>,
    /// How long a request may wait and compute, from the moment when its rows are read.
    pub(super) request_max: Duration,
    /// The edge's name, as later answers carry it.
    pub(super) partition: String,
}

/// An inference that is to be answered, and kept where that is wanted.
#[derive(Debug)]
pub(super) struct Answered {
    /// The answer in the form that was asked for.
    pub(super) bytes: Vec<u8>,
    pub(super) record: Record<'static>,
    pub(super) input: Decoded,
}

/// Bytes of an answer that the kernel takes at once, as long as its client reads at all.
const AT_ONCE_BYTES_MAX: usize = 256 << 10;

/// The two generations of the original's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// One record for the whole request, as the contract has it.
    Record,
    /// One element for each row, as later releases have it.
    Rows,
}

/// The form in which an inference is answered.
#[derive(Debug)]
pub(super) enum Form {
    Record(OutputFormat),
    Rows(OutputFormat, Dataset),
}

/// The query parameter that asks for a generation by name.
const ANSWER: &str = "answer";

impl Form {
    /// The form that the client asks for: `Accept`, then `answer=record|rows` in the query, then
    /// what `dataset` parameters imply, then what the path has by default.
    fn of(request: &Request<'_, '_>, default: Generation) -> Result<Form, Problem> {
        let format = OutputFormat::of_accept(request.header("accept"));
        let mut generation = None;
        let mut names_parts = false;
        for pair in request.query().unwrap_or_default().split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                (ANSWER, "record") => generation = Some(Generation::Record),
                (ANSWER, "rows") => generation = Some(Generation::Rows),
                (ANSWER, other) => return Err(Problem::answer_form(other)),
                (key, _) => names_parts |= key.starts_with("dataset"),
            }
        }
        let implied = if names_parts { Generation::Rows } else { default };
        match generation.unwrap_or(implied) {
            Generation::Record => Ok(Form::Record(format)),
            Generation::Rows => Ok(Form::Rows(format, Dataset::parse(request.query())?)),
        }
    }

    fn content_type(&self) -> &'static str {
        match self {
            Form::Record(format) | Form::Rows(format, _) => format.content_type(),
        }
    }

    fn write(
        &self,
        record: &Record<'_>,
        table: &Table<'_>,
        partition: &str,
    ) -> Result<Vec<u8>, Problem> {
        Ok(match self {
            Form::Record(OutputFormat::Records) => codec::write_records(record),
            Form::Record(OutputFormat::ArrowFile) => codec::write_arrow(record, table)?,
            Form::Rows(OutputFormat::Records, dataset) => {
                codec::write_rows(record, table, partition, dataset)?
            }
            Form::Rows(OutputFormat::ArrowFile, dataset) => {
                codec::write_rows_arrow(record, table, partition, dataset)?
            }
        })
    }
}

impl Inferences {
    /// The same for another pipeline: both go through one gate while the first still has requests.
    pub(super) fn beside(&self, slot: Slot) -> Inferences {
        Inferences {
            journal: self.journal.as_ref().map(|it| Arc::new(slot.recorder(it.journal()))),
            slot,
            pool: self.pool.clone(),
            clock: self.clock.clone(),
            gate: self.gate.clone(),
            room: self.room.clone(),
            batches: self.batches,
            metrics: self.metrics.clone(),
            tally: Arc::default(),
            request_max: self.request_max,
            partition: self.partition.clone(),
        }
    }

    /// Infers the rows in the body of `request`.
    ///
    /// # Errors
    /// When the body is not rows that the pipeline takes, or no turn to compute comes.
    pub(super) fn answer(
        &self,
        request: &mut Request<'_, '_>,
        default: Generation,
    ) -> Result<Response, Problem> {
        let start = Instant::now();
        let format = InputFormat::of_content_type(request.header("content-type"))?;
        let form = Form::of(request, default)?;
        let body = self.body(request)?;
        let Answered { bytes, record, input } =
            self.infer(format, body, &form, &mut || request.client_has_left())?;
        self.timed(Stage::Whole, start);
        Ok(self.keep(record, input, Response::new(200, form.content_type(), bytes)))
    }

    /// The body of a request, counted.
    ///
    /// # Errors
    /// When it is too large, too slow or torn.
    pub(super) fn body(&self, request: &mut Request<'_, '_>) -> Result<Vec<u8>, Problem> {
        // Of a body without a length nothing is known beforehand; its bytes have a budget in the server.
        let bytes = request.header("content-length").and_then(|text| text.parse().ok());
        self.room.admit(bytes.unwrap_or_default())?;
        let body = request.body()?;
        self.metrics.received(body.len());
        Ok(body)
    }

    /// Infers rows and gives their answer; `client_left` is asked while they wait.
    ///
    /// # Errors
    /// As [`Inferences::answer`].
    pub(super) fn infer(
        &self,
        format: InputFormat,
        body: Vec<u8>,
        form: &Form,
        client_left: &mut dyn FnMut() -> bool,
    ) -> Result<Answered, Problem> {
        let read = Instant::now();
        let flow = &self.slot.flow;
        let input = codec::decode(format, body, flow.inputs(), flow.companions())?;
        let table = input.table();
        let record = self.compute(&table, read, client_left)?;
        let write = Instant::now();
        let bytes = form.write(&record, &table, &self.partition)?;
        self.timed(Stage::Write, write);
        drop(table);
        Ok(Answered { bytes, record, input })
    }

    /// Hands an answered inference to the journal, which never waits, once its answer is on its way:
    /// the client does not wait for that.
    pub(super) fn keep(
        &self,
        record: Record<'static>,
        input: Decoded,
        response: Response,
    ) -> Response {
        match &self.journal {
            None => response,
            // A client that reads it slowly would keep all of it in memory for so long.
            Some(recorder) if AT_ONCE_BYTES_MAX < response.body().len() => {
                recorder.keep(record, input);
                response
            }
            Some(recorder) => {
                let promise = recorder.promise();
                response.and_afterwards(move || promise.keep(record, input))
            }
        }
    }

    /// Takes a table that was read since `read` through the gate and the models.
    ///
    /// # Errors
    /// When no turn comes, the table does not fit the models, or they cannot compute it in time.
    pub(super) fn compute(
        &self,
        table: &Table<'_>,
        read: Instant,
        client_left: &mut dyn FnMut() -> bool,
    ) -> Result<Record<'static>, Problem> {
        let time_ms = unix_ms(&*self.clock);
        let mut elapsed = vec![self.timed(Stage::Read, read)];

        let Inferences { gate, pool, batches, slot, .. } = self;
        let turn = Turn { gate, pool, flow: &slot.flow, batches: *batches };
        let deadline = Instant::now() + self.request_max;
        let Computed { outcome, waited, ran } = turn.compute(table, deadline, client_left)?;
        self.metrics.stage(Stage::Wait, waited);
        self.metrics.stage(Stage::Run, ran);
        let not_finite = self.metrics.inferred(table.rows(), &outcome.outputs);
        self.tally.computed(not_finite, &outcome.findings);
        elapsed.extend(&outcome.elapsed);
        let Outcome { model, outputs, shadows, chosen, findings, .. } = outcome;
        self.metrics.verdicts.found(&findings);
        Ok(Record {
            findings,
            chosen,
            elapsed_ns: elapsed.into_iter().map(nanoseconds).collect(),
            model_name: model.name,
            model_version: model.version,
            model_sha: model.sha.hex(),
            outputs,
            shadows: shadows.into_iter().filter_map(|shadow| self.shown(shadow)).collect(),
            pipeline_name: self.slot.definition.name.clone(),
            pipeline_version: self.slot.definition.version.clone(),
            time_ms,
        })
    }

    /// What a challenger gave; its failure is counted and told, and no more.
    fn shown(&self, shadow: Shadow) -> Option<ShadowOutputs<'static>> {
        let name = shadow.model.name;
        match shadow.outputs {
            Ok(outputs) => Some(ShadowOutputs { model_name: name, outputs }),
            Err(error) => {
                self.metrics.verdicts.challenger_failed(&name);
                log::debug!(target: AT_SERVE, "challenger={name:?} msg={:?}", exit::chain(&error));
                None
            }
        }
    }

    /// Counts what a stage took, and gives it back.
    pub(super) fn timed(&self, stage: Stage, since: Instant) -> Duration {
        let elapsed = since.elapsed();
        self.metrics.stage(stage, elapsed);
        elapsed
    }
}

fn nanoseconds(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
