//! An Arrow stream: schema, dictionaries and batches, one message after the other.

use super::message::{CONTINUATION, Found, Message, header_of};
use super::{BATCHES_MAX, METADATA_BYTES_MAX, over_batches};
use crate::tensor::{Misfit, MisfitKind};
use std::ops::Range;

/// The length before a message, and before the end of the stream.
const LENGTH_BYTES: usize = 4;

/// Dictionaries and batches: as many of each as a file may have.
const MESSAGES_MAX: usize = 2 * BATCHES_MAX;

/// Finds the parts of a stream (Arrow columnar format, "IPC Streaming Format"), which may end
/// with its mark or with the body.
///
/// # Errors
/// When a message goes beyond the body or something follows the mark of the end.
pub(super) fn open(body: &[u8]) -> Result<Found<'_>, Misfit> {
    if body.starts_with(b"ARROW1") {
        let sentence = "the body is an Arrow file; send it as `application/vnd.apache.arrow.file`";
        return Err(Misfit::new(MisfitKind::Unreadable, sentence));
    }
    let mut at = 0;
    let first = next_metadata(body, &mut at)?;
    let first = first.ok_or_else(|| unsound("it ends before its schema"))?;
    if METADATA_BYTES_MAX < first.len() {
        let sentence = format!("the Arrow stream's schema is over {METADATA_BYTES_MAX} bytes long");
        return Err(Misfit::new(MisfitKind::OverLimit, sentence));
    }
    let header = arrow_ipc::root_as_message(&body[first]).map_err(unsound)?;
    let schema = header.header_as_schema();
    let schema = schema.ok_or_else(|| unsound("it does not begin with a schema"))?;
    data_of(header, body, &mut at)?;
    let mut messages = Vec::new();
    while let Some(metadata) = next_metadata(body, &mut at)? {
        if messages.len() == MESSAGES_MAX {
            return Err(over_batches());
        }
        let header = header_of(&body[metadata.clone()])?;
        messages.push(Message { metadata, data: data_of(header, body, &mut at)? });
    }
    Ok(Found { schema, messages })
}

/// The misfit of a body that is not a sound Arrow stream.
fn unsound(why: impl std::fmt::Display) -> Misfit {
    let sentence = format!("the body is not a sound Arrow stream: {why}");
    Misfit::new(MisfitKind::Unreadable, sentence)
}

/// Passes a message's metadata; `None` at the end of the stream.
fn next_metadata(body: &[u8], at: &mut usize) -> Result<Option<Range<usize>>, Misfit> {
    if *at == body.len() {
        return Ok(None);
    }
    if body[*at..].starts_with(&CONTINUATION) {
        *at += CONTINUATION.len();
    }
    let length = passed(body, at, LENGTH_BYTES)?;
    let length = body[length].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    if 0 < length {
        return passed(body, at, length).map(Some);
    }
    if *at < body.len() {
        return Err(unsound("something follows its end"));
    }
    Ok(None)
}

/// Passes the data that follow a message's metadata.
fn data_of(
    header: arrow_ipc::Message<'_>,
    body: &[u8],
    at: &mut usize,
) -> Result<Range<usize>, Misfit> {
    let length = usize::try_from(header.bodyLength()).map_err(|_| cut())?;
    passed(body, at, length)
}

/// Passes so many bytes.
fn passed(body: &[u8], at: &mut usize, length: usize) -> Result<Range<usize>, Misfit> {
    let start = *at;
    *at = start.checked_add(length).filter(|end| *end <= body.len()).ok_or_else(cut)?;
    Ok(start..*at)
}

fn cut() -> Misfit {
    unsound("it ends in the middle of a message, as when it was cut short")
}

#[cfg(test)]
mod tests;
