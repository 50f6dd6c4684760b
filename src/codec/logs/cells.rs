//! The cells of a CSV file (RFC 4180), record by record and never the whole file.

use super::table::TableError;
use std::io::BufRead;

/// Bytes of one record: a row with an image in it as text has a megabyte.
const RECORD_BYTES_MAX: usize = 16 << 20;

/// The records of a file.
pub(super) struct Records<R> {
    source: R,
    /// The line that the next record begins in.
    line: u64,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(source: R) -> Records<R> {
        Records { source, line: 1 }
    }

    /// The cells of the next record; `None` at the end. Lines without anything are passed over.
    ///
    /// # Errors
    /// When the file cannot be read, a record is too long, or a quoted cell has no end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<String>>, TableError> {
        loop {
            let mut text = Vec::new();
            let begun = self.line;
            loop {
                let before = text.len();
                self.source.read_until(b'\n', &mut text)?;
                self.line += 1;
                if RECORD_BYTES_MAX < text.len() {
                    return Err(TableError::Csv { line: begun, what: "has more than 16 MiB" });
                }
                // An even number of quotes: no cell is open, so this line's end is the record's.
                let is_whole = text.iter().filter(|byte| **byte == b'"').count() % 2 == 0;
                match text.len() == before {
                    true if text.is_empty() => return Ok(None),
                    true if !is_whole => {
                        let what = "begins a quoted cell that never ends";
                        return Err(TableError::Csv { line: begun, what });
                    }
                    true => break,
                    false if is_whole => break,
                    false => {}
                }
            }
            let text = String::from_utf8(text)
                .map_err(|_| TableError::Csv { line: begun, what: "is no UTF-8" })?;
            let text = text.trim_end_matches(['\r', '\n']);
            if !text.is_empty() {
                return Ok(Some(cells(text)));
            }
        }
    }
}

fn cells(record: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut is_quoted = false;
    let mut chars = record.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_line_ends_and_quotes() {
        let text = "a,b\r\n\"1,5\",\"say \"\"hi\"\"\r\ntwice\"\r\n\r\n,x";
        let mut records = Records::new(text.as_bytes());
        let mut next = || records.next().unwrap();
        assert_eq!(next(), Some(vec!["a".into(), "b".into()]));
        assert_eq!(next(), Some(vec!["1,5".into(), "say \"hi\"\r\ntwice".into()]));
        assert_eq!(next(), Some(vec![String::new(), "x".into()]));
        assert_eq!(next(), None);
        assert!(Records::new(b"\"open".as_slice()).next().is_err());
    }
}
