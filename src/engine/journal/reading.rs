//! Reading a journal beside its writer: whole frames, passing over what is damaged, page by page.

use crate::codec::AnswerError;
use crate::codec::journal::{Frame, FrameError, Header, MAGIC, Rows, first};
use crate::disk::{self, Step};
use crate::logging::AT_JOURNAL;
use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The ending of a segment's name.
const ENDING: &str = ".seg";

/// Digits of its number: those of the greatest.
const DIGITS: usize = 16;

/// One file of frames.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The number of its first inference, which names the file.
    pub(super) first: u64,
    pub(super) path: PathBuf,
    /// Bytes that are safe.
    pub(super) bytes: u64,
    /// The number after its last inference.
    pub(super) next: u64,
}

impl Segment {
    pub(super) fn name(first: u64) -> String {
        format!("{first:0DIGITS$}{ENDING}")
    }

    fn of(path: PathBuf, bytes: u64) -> Option<Segment> {
        let digits = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
        let first = digits.parse().ok().filter(|_| digits.len() == DIGITS)?;
        Some(Segment { first, path, bytes, next: first })
    }
}

/// The safe bytes of a segment from an offset on.
pub(super) fn part(segment: &Segment, offset: u64) -> Result<Vec<u8>, disk::Error> {
    let path = &segment.path;
    let mut file = File::open(path).map_err(disk::failed(Step::Open, path))?;
    file.seek(SeekFrom::Start(offset)).map_err(disk::failed(Step::Read, path))?;
    let length = segment.bytes.saturating_sub(offset);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes).map_err(disk::failed(Step::Read, path))?;
    Ok(bytes)
}

/// The frames in a run of bytes; what is none is passed over, up to where one begins again.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    offset: usize,
}

/// A frame, and where in the bytes it begins.
pub(super) struct Found<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) offset: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Scan<'a> {
        Scan { bytes, offset: 0 }
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        loop {
            let rest = self.bytes.get(self.offset..).filter(|rest| !rest.is_empty())?;
            match first(rest) {
                Ok(frame) => {
                    let offset = self.offset;
                    self.offset += frame.bytes.len();
                    return Some(Found { frame, offset });
                }
                Err(
                    FrameError::Cut { .. }
                    | FrameError::Magic
                    | FrameError::TooLong { .. }
                    | FrameError::Checksum
                    | FrameError::Header(_)
                    | FrameError::Facts { .. },
                ) => {
                    let begins = rest[1..].windows(MAGIC.len()).position(|four| four == MAGIC);
                    self.offset += 1 + begins?;
                }
            }
        }
    }
}

/// A place in a journal: a row of an inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Cursor {
    /// The inference's number.
    pub(in crate::engine) sequence: u64,
    /// Which of its rows.
    pub(in crate::engine) row: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.row)
    }
}

impl FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Cursor, std::num::ParseIntError> {
        let (sequence, row) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Cursor { sequence: sequence.parse()?, row: row.parse()? })
    }
}

/// In which order rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Order {
    /// The oldest first.
    Ascending,
    /// The newest first.
    Descending,
}

/// What of a journal is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Asked {
    pub(in crate::engine) order: Order,
    /// The first row to be read; the journal's first or last otherwise.
    pub(in crate::engine) from: Option<Cursor>,
    /// The most rows.
    pub(in crate::engine) rows_max: usize,
}

/// Whether whoever takes rows wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Wants {
    More,
    /// These were the last: there is no room for others.
    NoMore,
    /// Not even these: their columns are others.
    NotThese,
}

/// Why a page ends, in the original's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Ending {
    All,
    RecordLimited,
    ByteLimited,
    SchemaChange,
}

impl Ending {
    pub(in crate::engine) fn is_all(self) -> bool {
        self == Ending::All
    }

    pub(in crate::engine) fn word(self) -> &'static str {
        match self {
            Ending::All => "All",
            Ending::RecordLimited => "RecordLimited",
            Ending::ByteLimited => "ByteLimited",
            Ending::SchemaChange => "SchemaChange",
        }
    }
}

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Page {
    pub(in crate::engine) ending: Ending,
    /// Where the next begins; where nothing is left, where rows to come will be.
    pub(in crate::engine) next: Option<Cursor>,
}

/// How a journal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::engine) struct Survey {
    /// Rows that can be read.
    pub(in crate::engine) rows: u64,
    /// Inferences that frames tell to be lost.
    pub(in crate::engine) lost: u64,
    /// Bytes of all segments.
    pub(in crate::engine) bytes: u64,
    /// Those of them that are no frames.
    pub(in crate::engine) damaged_bytes: u64,
}

/// What is on the disk of one journal at one moment.
#[derive(Debug, Clone, Default)]
pub(in crate::engine) struct Reading {
    pub(super) segments: VecDeque<Segment>,
}

impl Reading {
    /// The segments in a journal's directory, as long as they are now.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn look(directory: &Path) -> Result<Reading, disk::Error> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(directory).map_err(disk::failed(Step::Read, directory))? {
            let entry = entry.map_err(disk::failed(Step::Read, directory))?;
            // One that goes right now is not there any more.
            let Ok(facts) = entry.metadata() else { continue };
            segments.extend(Segment::of(entry.path(), facts.len()));
        }
        segments.sort_unstable_by_key(|segment| segment.first);
        Ok(Reading { segments: segments.into() })
    }

    /// Reads all frames' heads through, for a person who wants to know how the journal is.
    pub(in crate::engine) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        for segment in &self.segments {
            let bytes = safe(segment);
            let mut sound = 0;
            for found in Scan::new(&bytes) {
                sound += found.frame.bytes.len() as u64;
                match &found.frame.header {
                    Header::Records(batch) => survey.rows += batch.rows,
                    Header::Loss(loss) => survey.lost += loss.count,
                    Header::Summary(_) => {}
                }
            }
            survey.bytes += segment.bytes;
            survey.damaged_bytes += segment.bytes.saturating_sub(sound);
        }
        survey
    }

    /// Hands rows to `taker` in order until it wants no more.
    ///
    /// # Errors
    /// What the taker gives.
    pub(in crate::engine) fn page(
        &self,
        asked: Asked,
        taker: &mut Taker<'_>,
    ) -> Result<Page, AnswerError> {
        let mut page = Paging { asked, left: asked.rows_max, next: asked.from, taker };
        let ended = match asked.order {
            Order::Ascending => self.ascending(&mut page)?,
            Order::Descending => self.descending(&mut page)?,
        };
        Ok(Page { ending: ended.unwrap_or(Ending::All), next: page.next })
    }

    fn ascending(&self, page: &mut Paging<'_>) -> Result<Option<Ending>, AnswerError> {
        let from = page.asked.from.map_or(0, |from| from.sequence);
        let start = self.segments.partition_point(|segment| segment.first <= from);
        for segment in self.segments.iter().skip(start.saturating_sub(1)) {
            let bytes = safe(segment);
            for found in Scan::new(&bytes) {
                if found.frame.header.next() <= from {
                    continue;
                }
                if let Some(ending) = page.frame(&found.frame)? {
                    return Ok(Some(ending));
                }
            }
        }
        Ok(None)
    }

    fn descending(&self, page: &mut Paging<'_>) -> Result<Option<Ending>, AnswerError> {
        let from = page.asked.from.map_or(u64::MAX, |from| from.sequence);
        for segment in self.segments.iter().rev().filter(|segment| segment.first <= from) {
            let bytes = safe(segment);
            let mut frames: Vec<Frame<'_>> = Scan::new(&bytes).map(|found| found.frame).collect();
            frames.reverse();
            for frame in frames.iter().filter(|frame| frame.header.first() <= from) {
                if let Some(ending) = page.frame(frame)? {
                    return Ok(Some(ending));
                }
            }
        }
        Ok(None)
    }
}

/// The safe bytes; none of a segment that went while it was to be read.
fn safe(segment: &Segment) -> Vec<u8> {
    part(segment, 0).unwrap_or_else(|error| {
        let why = crate::exit::chain(&error);
        log::debug!(target: AT_JOURNAL, "cause={why:?} msg=\"a segment is not read\"");
        Vec::new()
    })
}

/// Takes some rows of a frame, and says whether it wants more.
pub(in crate::engine) type Taker<'a> =
    dyn FnMut(&Rows, &[usize]) -> Result<Wants, AnswerError> + 'a;

/// A page that is being filled.
struct Paging<'a> {
    asked: Asked,
    left: usize,
    next: Option<Cursor>,
    taker: &'a mut Taker<'a>,
}

impl Paging<'_> {
    /// Hands out a frame's rows; what ends the page there.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<Option<Ending>, AnswerError> {
        let rows = match Rows::read(frame) {
            Ok(Some(rows)) => rows,
            Ok(None) => return Ok(None),
            Err(misfit) => {
                let first = frame.header.first();
                log::warn!(
                    target: AT_JOURNAL,
                    "first={first} cause={:?} msg=\"a frame of the journal is passed over\"",
                    misfit.sentence
                );
                return Ok(None);
            }
        };
        let mut wanted: Vec<(usize, Cursor)> = places(&rows).into_iter().enumerate().collect();
        match self.asked.order {
            Order::Ascending => {
                wanted.retain(|(_, at)| self.asked.from.is_none_or(|from| from <= *at));
            }
            Order::Descending => {
                wanted.retain(|(_, at)| self.asked.from.is_none_or(|from| *at <= from));
                wanted.reverse();
            }
        }
        let Some((_, begins)) = wanted.first().copied() else { return Ok(None) };
        if self.left == 0 {
            self.next = Some(begins);
            return Ok(Some(Ending::RecordLimited));
        }
        let (taken, rest) = wanted.split_at(self.left.min(wanted.len()));
        let chosen: Vec<usize> = taken.iter().map(|(place, _)| *place).collect();
        let wants = (self.taker)(&rows, &chosen)?;
        if wants == Wants::NotThese {
            self.next = Some(begins);
            return Ok(Some(Ending::SchemaChange));
        }
        self.left -= taken.len();
        if let Some((_, at)) = rest.first() {
            self.next = Some(*at);
            return Ok(Some(Ending::RecordLimited));
        }
        self.next = match self.asked.order {
            Order::Ascending => Some(Cursor { sequence: frame.header.next(), row: 0 }),
            Order::Descending => frame
                .header
                .first()
                .checked_sub(1)
                .map(|sequence| Cursor { sequence, row: u64::MAX }),
        };
        Ok((wants == Wants::NoMore).then_some(Ending::ByteLimited))
    }
}

/// Where each row is in its inference.
fn places(rows: &Rows) -> Vec<Cursor> {
    let mut places: Vec<Cursor> = Vec::with_capacity(rows.len());
    for place in 0..rows.len() {
        let sequence = rows.sequence(place);
        let row = match places.last() {
            Some(last) if last.sequence == sequence => last.row + 1,
            Some(_) | None => 0,
        };
        places.push(Cursor { sequence, row });
    }
    places
}
