//! `logs`: what was inferred, read from the persistent directory beside a running engine.

use super::persist;
use crate::codec::Dataset;
use crate::codec::journal::{ArrowLog, JsonLog, Rows, Shown};
use crate::engine::journal::{Asked, DIRECTORY, Order, Wants, look};
use crate::engine::{Variables, config, start_logging};
use crate::exit::{Exit, Failure};
use std::io::Write;

/// Bytes of lines that are gathered before they are written.
const PIECE_BYTES: usize = 256 << 10;

/// Prints the journal, a line of JSON for each row, or as an Arrow file.
///
/// What a running engine has in memory is not in it yet. An Arrow file has one set of columns: it
/// ends where others begin, and the failure says so.
///
/// # Errors
/// When there is no journal, or it cannot be read or printed.
pub fn logs(variables: Variables, as_arrow: bool) -> Result<(), Failure> {
    start_logging(&variables);
    let partition = config::partition(variables.iter().cloned());
    let partition = partition.map_err(|error| Failure::new(Exit::Usage, error))?;
    let directory = persist(variables)?.join(DIRECTORY);
    let found = look(&directory).map_err(|error| Failure::new(Exit::Disk, error))?;
    let Some((_, reading)) = found else {
        let sentence = format!("there is no journal in {}", directory.display());
        return Err(Failure::new(Exit::NotFound, sentence)
            .hint("set LOCAL_INFERENCE_STORAGE where the engine runs, as `512Mi`"));
    };
    let asked = Asked { order: Order::Ascending, from: None, rows_max: usize::MAX };
    let mut out = std::io::stdout().lock();
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, error);
    let dataset = Dataset::default();
    let partition = partition.as_str();
    if as_arrow {
        let mut log = ArrowLog::new(out);
        let page = reading.page(asked, &mut |rows: &Rows, places: &[usize]| {
            let pushed = log.push(Shown { rows, places, partition, shift_ms: 0 }, &dataset)?;
            Ok(if pushed { Wants::More } else { Wants::NotThese })
        });
        let page = page.map_err(|error| Failure::new(Exit::Failed, error))?;
        let rows = log.rows();
        log.finish().map_err(|error| Failure::new(Exit::Failed, error))?;
        return match page.ending.is_all() {
            true => Ok(()),
            false => {
                let sentence =
                    format!("the file has {rows} rows: those after them have other columns");
                Err(Failure::new(Exit::Failed, sentence)
                    .hint("print all of them as lines of JSON, without --arrow"))
            }
        };
    }
    let mut log = JsonLog::lines();
    let mut broken = None;
    let page = reading.page(asked, &mut |rows: &Rows, places: &[usize]| {
        log.push(Shown { rows, places, partition, shift_ms: 0 }, &dataset)?;
        if PIECE_BYTES <= log.bytes() {
            broken = out.write_all(&log.take()).err();
        }
        Ok(if broken.is_some() { Wants::NoMore } else { Wants::More })
    });
    page.map_err(|error| Failure::new(Exit::Failed, error))?;
    match broken {
        Some(error) => Err(failed(error)),
        None => out.write_all(&log.finish()).and_then(|()| out.flush()).map_err(failed),
    }
}
