//! `POST /logs`: what was inferred, as the journal on this device has it, page by page.

use super::infer::Inferences;
use super::journal::{Asked, Cursor, Journal, Order, Page, Wants};
use super::refusal::Problem;
use crate::codec::journal::{ArrowLog, JsonLog, Rows, Shown};
use crate::codec::{AnswerError, Dataset, OutputFormat};
use crate::http::server::{Request, Response};
use serde::Deserialize;
use std::time::Duration;

/// How long a page waits for what is still in memory: the disk syncs within this, or is ill.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// Rows on one page, whatever is asked for: the original's limit.
const ROWS_MAX: usize = 10_000;

/// Bytes of a page after which it ends: what a small board can hold for a few clients.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Where the next page begins, and why this one ended, under the original's names.
const CURSOR: &str = "x-iteration-cursor";
const STATUS: &str = "x-iteration-status";

/// What is asked for: the keys of the original's `get_logs` that have a meaning on one device.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    order: Option<Direction>,
    page_size: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Asc,
    Desc,
}

/// Answers with a page of the log.
///
/// # Errors
/// When no log is kept, or what is asked for is not understood.
pub(super) fn answer(
    request: &mut Request<'_, '_>,
    inferences: &Inferences,
) -> Result<Response, Problem> {
    let Some(recorder) = &inferences.journal else { return Err(Problem::no_journal()) };
    if request.method() != "POST" {
        return Err(Problem::method(request.method(), "POST"));
    }
    let journal = recorder.journal();
    let format = OutputFormat::of_accept(request.header("accept"));
    let dataset = Dataset::parse(request.query())?;
    let asked = asked(&request.body()?, journal)?;
    // What was answered a moment ago shall be in it; a disk that does not sync has its own alarm.
    let _ = journal.flush(FLUSH_WAIT);
    let (page, body) = match format {
        OutputFormat::Records => records(journal, asked, &inferences.partition, &dataset)?,
        OutputFormat::ArrowFile => arrow(journal, asked, &inferences.partition, &dataset)?,
    };
    let mut response = Response::new(200, format.content_type(), body)
        .with_header(STATUS, page.ending.word().to_owned());
    if let Some(next) = page.next {
        response = response.with_header(CURSOR, next.to_string());
    }
    Ok(response)
}

fn asked(body: &[u8], journal: &Journal) -> Result<Asked, Problem> {
    let wanted: Wanted = match body.trim_ascii() {
        [] => Wanted::default(),
        body => serde_json::from_slice(body).map_err(|error| Problem::logs(&error.to_string()))?,
    };
    let rows_max = wanted.page_size.unwrap_or(journal.settings().page_rows);
    if !(1..=ROWS_MAX).contains(&rows_max) {
        return Err(Problem::logs("`page_size` is not from 1 to 10000"));
    }
    let from = match wanted.cursor.as_deref() {
        None | Some("") => None,
        Some(text) => {
            let cursor = text.parse::<Cursor>();
            Some(cursor.map_err(|_| Problem::logs("`cursor` is none that a page was given"))?)
        }
    };
    let order = match wanted.order {
        None | Some(Direction::Asc) => Order::Ascending,
        Some(Direction::Desc) => Order::Descending,
    };
    Ok(Asked { order, from, rows_max })
}

fn records(
    journal: &Journal,
    asked: Asked,
    partition: &str,
    dataset: &Dataset,
) -> Result<(Page, Vec<u8>), AnswerError> {
    let mut log = JsonLog::list();
    let page = journal.reading().page(asked, &mut |rows: &Rows, places: &[usize]| {
        log.push(Shown { rows, places, partition, shift_ms: 0 }, dataset)?;
        Ok(if PAGE_BYTES_MAX <= log.bytes() { Wants::NoMore } else { Wants::More })
    })?;
    Ok((page, log.finish()))
}

fn arrow(
    journal: &Journal,
    asked: Asked,
    partition: &str,
    dataset: &Dataset,
) -> Result<(Page, Vec<u8>), AnswerError> {
    let mut log = ArrowLog::new(Vec::new());
    let page = journal.reading().page(asked, &mut |rows: &Rows, places: &[usize]| {
        let pushed = log.push(Shown { rows, places, partition, shift_ms: 0 }, dataset)?;
        Ok(if pushed { Wants::More } else { Wants::NotThese })
    })?;
    Ok((page, log.finish()?.unwrap_or_default()))
}
