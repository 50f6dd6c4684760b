//! Bodies of several parts, `multipart/form-data` (RFC 7578), read as they come and never whole.

use std::io::{self, Read};

/// Bytes that are held while the end of a part is looked for; a part's head has to fit, too.
const WINDOW_BYTES: usize = 64 << 10;

/// Bytes of a part's head: three short fields and a file's name.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Parts of one body: the original sends two, and four at most; files beside a model have one each.
const PARTS_MAX: usize = 16 + crate::runtime::SIDE_FILES_MAX;

/// Characters of a boundary (RFC 2046, section 5.1.1).
const BOUNDARY_CHARS_MAX: usize = 70;

/// The head of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartHead {
    /// The field that it is for.
    pub name: String,
    /// What its file is called, if it is one. A text for people: it names no file of ours.
    pub file_name: Option<String>,
}

/// Why a body is none of several parts.
#[derive(Debug, thiserror::Error)]
pub(in crate::ops) enum MultipartError {
    #[error(
        "the Content-Type must be `multipart/form-data` with a boundary of 1 to {BOUNDARY_CHARS_MAX} \
         characters: let your HTTP library write it"
    )]
    ContentType,
    #[error("the body ended within its parts: send it again")]
    Truncated,
    #[error("the head of part {0} is none: it needs `Content-Disposition: form-data; name=\"…\"`")]
    Head(usize),
    #[error(
        "the head of part {0} has more than {HEAD_BYTES_MAX} bytes: give the file a shorter name"
    )]
    HeadTooLarge(usize),
    #[error(
        "the body has more than {PARTS_MAX} parts: send `metadata`, `file`, and a `side_file` for each file beside the model"
    )]
    TooMany,
    #[error("after the boundary of part {0} comes neither a line's end nor the end of all parts")]
    Boundary(usize),
    #[error("part {0} has more than {1} bytes: only the file may be large")]
    PartTooLarge(usize, u64),
}

/// The parts of a body, one after the other; as a reader, the bytes of the part that it is at.
pub(super) struct Multipart<R> {
    source: R,
    /// `\r\n--boundary`
    delimiter: Vec<u8>,
    window: Vec<u8>,
    begin: usize,
    end: usize,
    parts: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first boundary, or within a part.
    Within,
    /// Just after a boundary.
    Boundary,
    /// Behind the last.
    Over,
}

impl<R: Read> Multipart<R> {
    /// The parts of a body with that `Content-Type`.
    ///
    /// # Errors
    /// When it is another one, or has no boundary.
    pub(super) fn new(source: R, content_type: &str) -> Result<Multipart<R>, MultipartError> {
        let boundary = boundary(content_type).ok_or(MultipartError::ContentType)?;
        let mut window = vec![0; WINDOW_BYTES];
        // The first boundary has no line before it; with one, all boundaries look alike.
        window[..2].copy_from_slice(b"\r\n");
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        let place = Place::Within;
        Ok(Multipart { source, delimiter, window, begin: 0, end: 2, parts: 0, place })
    }

    /// The head of the next part, past what is left of the one before; `None` behind the last.
    ///
    /// # Errors
    /// When the body breaks, or is none of several parts; those of ours within the error.
    pub(super) fn next_part(&mut self) -> io::Result<Option<PartHead>> {
        while self.place == Place::Within {
            let ready = self.ready()?;
            self.begin += ready;
        }
        if self.place == Place::Over {
            return Ok(None);
        }
        self.parts += 1;
        self.fill(2)?;
        if self.held().starts_with(b"--") {
            self.place = Place::Over;
            return Ok(None);
        }
        if self.parts > PARTS_MAX {
            return Err(wrong(MultipartError::TooMany));
        }
        // Blanks may follow a boundary on its line (RFC 2046, section 5.1.1).
        let line = self.line()?;
        if !line.iter().all(|byte| b" \t".contains(byte)) {
            return Err(wrong(MultipartError::Boundary(self.parts)));
        }
        let mut disposition = None;
        let mut bytes = 0;
        loop {
            let line = self.line()?;
            bytes += line.len();
            if bytes > HEAD_BYTES_MAX {
                return Err(wrong(MultipartError::HeadTooLarge(self.parts)));
            }
            if line.is_empty() {
                break;
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some((field, value)) = line.split_once(':')
                && field.trim().eq_ignore_ascii_case("content-disposition")
            {
                disposition = Some(value.trim().to_owned());
            }
        }
        self.place = Place::Within;
        let head = disposition.as_deref().and_then(head);
        head.map(Some).ok_or_else(|| wrong(MultipartError::Head(self.parts)))
    }

    /// The whole of a part, at most so many bytes.
    ///
    /// # Errors
    /// When it has more, and those of reading.
    pub(super) fn text(&mut self, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.by_ref().take(bytes_max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > bytes_max {
            return Err(wrong(MultipartError::PartTooLarge(self.parts, bytes_max)));
        }
        Ok(bytes)
    }

    /// How many bytes at the beginning of the window are of this part; 0 when it is over, and then
    /// the boundary has been passed.
    fn ready(&mut self) -> io::Result<usize> {
        loop {
            let held = &self.window[self.begin..self.end];
            match found(held, &self.delimiter) {
                Found::Here => {
                    self.begin += self.delimiter.len();
                    self.place = Place::Boundary;
                    return Ok(0);
                }
                Found::After(count) => return Ok(count),
                Found::Unclear => self.fill(held.len() + 1)?,
            }
        }
    }

    /// One line without its end.
    fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let held = self.held();
            if let Some(at) = held.windows(2).position(|pair| pair == b"\r\n") {
                let line = held[..at].to_vec();
                self.begin += at + 2;
                return Ok(line);
            }
            if held.len() > HEAD_BYTES_MAX {
                return Err(wrong(MultipartError::HeadTooLarge(self.parts)));
            }
            self.fill(held.len() + 1)?;
        }
    }

    fn held(&self) -> &[u8] {
        &self.window[self.begin..self.end]
    }

    /// Reads until the window holds at least so many bytes.
    fn fill(&mut self, least: usize) -> io::Result<()> {
        while self.end - self.begin < least {
            if self.begin > 0 {
                self.window.copy_within(self.begin..self.end, 0);
                (self.begin, self.end) = (0, self.end - self.begin);
            }
            let count = self.source.read(&mut self.window[self.end..])?;
            if count == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    MultipartError::Truncated,
                ));
            }
            self.end += count;
        }
        Ok(())
    }
}

/// The bytes of the part that it is at; none behind its end.
impl<R: Read> Read for Multipart<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.place != Place::Within || into.is_empty() {
            return Ok(0);
        }
        let count = self.ready()?.min(into.len());
        into[..count].copy_from_slice(&self.window[self.begin..self.begin + count]);
        self.begin += count;
        Ok(count)
    }
}

/// What the window begins with.
enum Found {
    /// The delimiter.
    Here,
    /// So many bytes that belong to no delimiter.
    After(usize),
    /// Too few bytes to tell.
    Unclear,
}

fn found(held: &[u8], delimiter: &[u8]) -> Found {
    let mut from = 0;
    loop {
        let Some(at) = held[from..].iter().position(|byte| *byte == b'\r').map(|at| from + at)
        else {
            return if held.is_empty() { Found::Unclear } else { Found::After(held.len()) };
        };
        let rest = &held[at..];
        if rest.starts_with(delimiter) {
            return if at == 0 { Found::Here } else { Found::After(at) };
        }
        if delimiter.starts_with(rest) {
            return if at == 0 { Found::Unclear } else { Found::After(at) };
        }
        from = at + 1;
    }
}

fn wrong(error: MultipartError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The boundary of a `multipart/form-data`.
fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    let is_form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
    let boundary = parameter(parameters, "boundary").filter(|_| is_form)?;
    let allowed = |char: char| char.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(char);
    let right = (1..=BOUNDARY_CHARS_MAX).contains(&boundary.len())
        && boundary.chars().all(allowed)
        && !boundary.ends_with(' ');
    right.then_some(boundary)
}

fn head(disposition: &str) -> Option<PartHead> {
    let (kind, parameters) = disposition.split_once(';')?;
    let name = parameter(parameters, "name")?;
    let file_name = parameter(parameters, "filename");
    kind.trim().eq_ignore_ascii_case("form-data").then_some(PartHead { name, file_name })
}

/// The value of a parameter, plain or in quotes, where `\"` and `%22` stand for a quote.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        let (name, after) = rest.trim_start_matches([';', ' ', '\t']).split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted)?,
            None => {
                let (value, after) = after.split_once(';').unwrap_or((after, ""));
                (value.trim().to_owned(), after)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.replace("%22", "\""));
        }
        rest = after;
    }
}

fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            // Old browsers write paths with single backslashes; only a quote is escaped.
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(chars.next().map(|it| it.1))
            }
            char => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests;
