//! Which format a request's body has and which its answer shall have, from the HTTP headers.

/// An Arrow IPC file, as body or answer (IANA media type `vnd.apache.arrow.file`).
pub const CONTENT_TYPE_ARROW_FILE: &str = "application/vnd.apache.arrow.file";

/// An Arrow IPC stream, as body (IANA media type `vnd.apache.arrow.stream`).
pub const CONTENT_TYPE_ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// A list of JSON objects, as pandas writes with `orient="records"`: a body of rows, or the
/// answer's records.
pub const CONTENT_TYPE_RECORDS: &str = "application/json; format=pandas-records";

/// JSON without a word on its form: what error answers and listings carry.
pub const CONTENT_TYPE_JSON: &str = "application/json";

/// Characters of a client's header that an error repeats: enough to recognise it by.
const ECHO_CHARS_MAX: usize = 100;

/// The format of a request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputFormat {
    /// [`CONTENT_TYPE_ARROW_FILE`].
    ArrowFile,
    /// [`CONTENT_TYPE_ARROW_STREAM`].
    ArrowStream,
    /// [`CONTENT_TYPE_RECORDS`], or JSON without a `format`: a list of rows, or an object of
    /// columns as the original's older clients send it.
    PandasRecords,
}

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// [`CONTENT_TYPE_RECORDS`], the default.
    Records,
    /// [`CONTENT_TYPE_ARROW_FILE`].
    ArrowFile,
}

/// A body whose format is not read here; answered with status 415.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedType {
    /// There is no `Content-Type`.
    #[error(
        "the request has no Content-Type; send `{CONTENT_TYPE_ARROW_FILE}`, \
         `{CONTENT_TYPE_ARROW_STREAM}` or `{CONTENT_TYPE_RECORDS}`"
    )]
    Missing,
    /// There is one, of another format.
    #[error(
        "the Content-Type `{found}` is not read here; send `{CONTENT_TYPE_ARROW_FILE}`, \
         `{CONTENT_TYPE_ARROW_STREAM}` or `{CONTENT_TYPE_RECORDS}`"
    )]
    Unknown {
        /// The header's value, cut to a length for a sentence.
        found: String,
    },
}

impl InputFormat {
    /// The format that a `Content-Type` names (RFC 9110, section 8.3). A value that repeats the
    /// header's own name, as tutorials of the original send it, is understood.
    ///
    /// # Errors
    /// When there is none, or another format; the sentence lists those that are read.
    pub fn of_content_type(value: Option<&str>) -> Result<InputFormat, UnsupportedType> {
        let value = value.map(str::trim).filter(|value| !value.is_empty());
        let written = value.ok_or(UnsupportedType::Missing)?;
        let media = MediaType::parse(without_name(written, "content-type:"));
        if media.is("application", "vnd.apache.arrow.file") {
            Ok(InputFormat::ArrowFile)
        } else if media.is("application", "vnd.apache.arrow.stream") {
            Ok(InputFormat::ArrowStream)
        } else if media.is("application", "json") && media.is_of_records() {
            Ok(InputFormat::PandasRecords)
        } else {
            let found = written.chars().take(ECHO_CHARS_MAX).collect();
            Err(UnsupportedType::Unknown { found })
        }
    }
}

impl OutputFormat {
    /// The format that an `Accept` prefers (RFC 9110, section 12.5.1): the greater weight, then
    /// the one named more exactly, then records. A header that accepts neither gets records,
    /// as the original answers.
    pub fn of_accept(value: Option<&str>) -> OutputFormat {
        let value = without_name(value.unwrap_or_default().trim(), "accept:");
        let mut records = Preference::default();
        let mut arrow = Preference::default();
        for range in split_outside_quotes(value, ',') {
            let media = MediaType::parse(range);
            let Some(weight) = media.weight() else { continue };
            if let Some(exactness) = media.exactness("vnd.apache.arrow.file") {
                arrow.consider(exactness, weight);
            }
            if media.is_of_records()
                && let Some(exactness) = media.exactness("json")
            {
                let format = u8::from(media.parameter("format").is_some());
                records.consider(exactness + format, weight);
            }
        }
        let over = (arrow.weight, arrow.exactness) > (records.weight, records.exactness.min(NAMED));
        if over && 0 < arrow.weight { OutputFormat::ArrowFile } else { OutputFormat::Records }
    }

    /// The answer's `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            OutputFormat::Records => CONTENT_TYPE_RECORDS,
            OutputFormat::ArrowFile => CONTENT_TYPE_ARROW_FILE,
        }
    }
}

/// How exactly a media range names a type: `*/*`, `application/*`, `application/json`.
const ANY: u8 = 1;
const ANY_OF_APPLICATION: u8 = 2;
const NAMED: u8 = 3;

/// What the ranges seen so far say of one format: the most exact one counts.
#[derive(Debug, Default)]
struct Preference {
    exactness: u8,
    weight: u16,
}

impl Preference {
    fn consider(&mut self, exactness: u8, weight: u16) {
        if self.exactness < exactness {
            *self = Preference { exactness, weight };
        }
    }
}

/// A media type or range, taken apart but not unescaped: no value we know has a backslash.
#[derive(Debug)]
struct MediaType<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaType<'a> {
    fn parse(text: &'a str) -> MediaType<'a> {
        let mut parts = split_outside_quotes(text, ';').into_iter();
        let essence = parts.next().unwrap_or_default();
        let (kind, subtype) = essence.split_once('/').unwrap_or((essence, ""));
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
            .collect();
        MediaType { kind: kind.trim(), subtype: subtype.trim(), parameters }
    }

    fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let named = |(its, _): &&(&str, &str)| its.eq_ignore_ascii_case(name);
        self.parameters.iter().find(named).map(|(_, value)| *value)
    }

    /// Whether its `format`, if it has one, is that of records.
    fn is_of_records(&self) -> bool {
        self.parameter("format").is_none_or(|form| form.eq_ignore_ascii_case("pandas-records"))
    }

    /// How exactly this range names `application/{subtype}`; `None` when it does not cover it.
    fn exactness(&self, subtype: &str) -> Option<u8> {
        if self.is("application", subtype) {
            Some(NAMED)
        } else if self.is("application", "*") {
            Some(ANY_OF_APPLICATION)
        } else if self.is("*", "*") {
            Some(ANY)
        } else {
            None
        }
    }

    /// `q` in thousandths; `None` when it is not a weight (RFC 9110, section 12.4.2).
    fn weight(&self) -> Option<u16> {
        let Some(written) = self.parameter("q") else { return Some(1000) };
        let (whole, fraction) = written.split_once('.').unwrap_or((written, ""));
        if 3 < fraction.len() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
        match (whole, thousandths) {
            ("0", thousandths) => Some(thousandths),
            ("1", 0) => Some(1000),
            (_, _) => None,
        }
    }
}

/// `text` without the header's own name before it: `Content-Type: Content-Type: …`.
fn without_name<'a>(text: &'a str, name: &str) -> &'a str {
    match text.get(..name.len()) {
        Some(start) if start.eq_ignore_ascii_case(name) => text[name.len()..].trim_start(),
        Some(_) | None => text,
    }
}

/// The parts of `text` between separators that do not stand in a quoted string.
fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|character: char| {
        quoted ^= character == '"';
        character == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_of_a_known_type_is_understood() {
        let cases = [
            ("application/vnd.apache.arrow.file", InputFormat::ArrowFile),
            ("Application/VND.Apache.Arrow.File; x=\"a;b\"", InputFormat::ArrowFile),
            ("application/vnd.apache.arrow.stream", InputFormat::ArrowStream),
            ("application/json; format=pandas-records", InputFormat::PandasRecords),
            ("application/json;FORMAT=\"Pandas-Records\"", InputFormat::PandasRecords),
            ("application/json; charset=utf-8; format=pandas-records", InputFormat::PandasRecords),
            ("application/json", InputFormat::PandasRecords),
            ("Content-Type: application/json; format=pandas-records", InputFormat::PandasRecords),
        ];
        for (written, format) in cases {
            assert_eq!(InputFormat::of_content_type(Some(written)), Ok(format), "{written}");
        }
    }

    #[test]
    fn another_type_is_refused_with_the_list_of_those_that_are_read() {
        let cases = [
            "application/json; format=pandas-split",
            "application/vnd.apache.arrow",
            "application/x-www-form-urlencoded",
            "json",
            ";;;",
        ];
        for written in cases {
            let error = InputFormat::of_content_type(Some(written)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the Content-Type `{written}` is not read here; send \
                     `application/vnd.apache.arrow.file`, \
                     `application/vnd.apache.arrow.stream` or `application/json; format=pandas-records`"
                )
            );
        }
        for nothing in [None, Some(" ")] {
            assert_eq!(InputFormat::of_content_type(nothing), Err(UnsupportedType::Missing));
        }
    }

    #[test]
    fn the_answer_is_of_the_format_that_accept_prefers() {
        let arrow = "application/vnd.apache.arrow.file";
        let cases = [
            (String::new(), OutputFormat::Records),
            ("*/*".into(), OutputFormat::Records),
            ("text/html".into(), OutputFormat::Records),
            (CONTENT_TYPE_RECORDS.into(), OutputFormat::Records),
            (arrow.into(), OutputFormat::ArrowFile),
            (format!("accept: {arrow}"), OutputFormat::ArrowFile),
            (format!("*/*, {arrow}"), OutputFormat::ArrowFile),
            (format!("application/*;q=0.5, {arrow};q=0.4"), OutputFormat::Records),
            (format!("application/json;q=0.8, {arrow};q=0.9"), OutputFormat::ArrowFile),
            (format!("{CONTENT_TYPE_RECORDS}, {arrow}"), OutputFormat::Records),
            (format!("{arrow};q=0"), OutputFormat::Records),
            (format!("application/json;q=0, */*;q=0.1, {arrow};q=0.1"), OutputFormat::ArrowFile),
            (format!("application/json; format=pandas-split, {arrow};q=0.1"), {
                OutputFormat::ArrowFile
            }),
            (format!("{arrow};q=high, */*"), OutputFormat::Records),
        ];
        for (written, format) in cases {
            assert_eq!(OutputFormat::of_accept(Some(&written)), format, "{written}");
        }
        assert_eq!(OutputFormat::of_accept(None), OutputFormat::Records);
    }
}
