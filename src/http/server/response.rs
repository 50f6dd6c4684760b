//! The answer to one request, and how its head is written.

use std::borrow::Cow;
use std::io::Write;

use super::afterwards::Afterwards;
use super::content::Content;
use super::head::Version;
use super::refusal::Refusal;

/// Fields the server writes itself: two of them in one answer would desynchronise the client.
const OWN_FIELDS: [&str; 4] = ["connection", "content-length", "content-type", "transfer-encoding"];

/// Status, header fields and body of an answer.
///
/// The server adds the framing and, where the connection ends, `Connection: close`. It writes no
/// `Date`: RFC 9110 section 6.6.1 forbids it to a server without a reliable clock, and an edge
/// that has just started without network has none.
#[derive(Debug)]
pub struct Response {
    status: u16,
    content_type: Option<Cow<'static, str>>,
    headers: Vec<(&'static str, String)>,
    body: Content,
    afterwards: Option<Afterwards>,
}

impl Response {
    /// An answer with a body; the status must be final, 200 to 599.
    pub fn new(
        status: u16,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Content>,
    ) -> Response {
        let content_type = match content_type.into() {
            Cow::Owned(value) => Cow::Owned(one_line(value)),
            Cow::Borrowed(value) if value.bytes().any(is_control) => {
                Cow::Owned(one_line(value.to_owned()))
            }
            plain @ Cow::Borrowed(_) => plain,
        };
        Response { content_type: Some(content_type), body: body.into(), ..Response::empty(status) }
    }

    /// An answer without a body; the status must be final, 200 to 599.
    pub fn empty(status: u16) -> Response {
        assert!((200..600).contains(&status), "{status} is no final status");
        let (headers, body) = (Vec::new(), Content::Static(b""));
        Response { status, content_type: None, headers, body, afterwards: None }
    }

    /// Leaves `work` for when the answer is with the client's kernel or cannot get there, before the
    /// next request of that connection is read; of two, the first is done at once.
    #[must_use]
    pub fn and_afterwards(mut self, work: impl FnOnce() + Send + 'static) -> Response {
        self.afterwards = Some(Afterwards::new(work));
        self
    }

    /// Adds a field.
    ///
    /// Control characters in the value become spaces (RFC 9110 section 5.5), so a value made of
    /// what a client sent cannot end the line. The name is ours: one that is no token, or that
    /// the server writes itself, panics.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: String) -> Response {
        assert!(!name.is_empty() && name.bytes().all(is_token), "{name:?} is no field name");
        let own = OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own));
        assert!(!own, "{name} is written by the server");
        self.headers.push((name, one_line(value)));
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The media type of the body, if it has one.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The first field of that name among those added, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        fields.find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.as_str())
    }

    /// The bytes of the body that are in memory: none of a file's or a stream's.
    pub fn body(&self) -> &[u8] {
        self.body.in_memory().unwrap_or_default()
    }

    /// The length of the body in bytes; `None` for a stream, whose end nobody knows.
    pub fn content_length(&self) -> Option<u64> {
        self.body.bytes()
    }

    /// What is to be done once it is sent, or given up.
    pub(super) fn take_afterwards(&mut self) -> Option<Afterwards> {
        self.afterwards.take()
    }

    /// What of it is sent after the head, to a request that wants it.
    pub(super) fn into_content(self) -> Content {
        self.body
    }

    /// Whether the status allows a body at all (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5).
    pub(super) fn may_have_body(&self) -> bool {
        !matches!(self.status, 204 | 205 | 304)
    }

    /// How a client of that version finds the end of the body (RFC 9112 section 6).
    pub(super) fn framing(&self, version: Version) -> Framing {
        match (self.body.bytes(), version) {
            (Some(bytes), Version::Http10 | Version::Http11) => Framing::Length(bytes),
            (None, Version::Http11) => Framing::Chunked,
            (None, Version::Http10) => Framing::UntilClose,
        }
    }

    /// Appends status line and fields up to the empty line.
    pub(super) fn write_head(&self, framing: Framing, ending: Ending, out: &mut Vec<u8>) {
        line(out, format_args!("HTTP/1.1 {} {}", self.status, reason(self.status)));
        if self.may_have_body() {
            if let Some(content_type) = &self.content_type {
                line(out, format_args!("Content-Type: {content_type}"));
            }
            match framing {
                Framing::Length(bytes) => line(out, format_args!("Content-Length: {bytes}")),
                Framing::Chunked => line(out, format_args!("Transfer-Encoding: chunked")),
                Framing::UntilClose => {}
            }
        } else if self.status == 205 {
            line(out, format_args!("Content-Length: 0"));
        }
        for (name, value) in &self.headers {
            line(out, format_args!("{name}: {value}"));
        }
        match ending {
            Ending::Close => line(out, format_args!("Connection: close")),
            Ending::Keep => {}
            Ending::KeepSaid => line(out, format_args!("Connection: keep-alive")),
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The plain answer to a refusal: its sentence as text.
impl From<&Refusal> for Response {
    fn from(refusal: &Refusal) -> Response {
        Response::new(refusal.status(), "text/plain; charset=utf-8", format!("{refusal}\n"))
    }
}

/// What the head says about where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// Where the last chunk says so.
    Chunked,
    /// Where the connection does: HTTP/1.0 has no chunks.
    UntilClose,
}

/// What the head says about the connection after this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It ends.
    Close,
    /// It stays, as HTTP/1.1 takes for granted.
    Keep,
    /// It stays, which HTTP/1.0 must be told.
    KeepSaid,
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    #[expect(clippy::expect_used, reason = "writing to memory has no error")]
    out.write_fmt(text).expect("memory takes every byte");
    out.extend_from_slice(b"\r\n");
}

fn one_line(value: String) -> String {
    if value.bytes().any(is_control) {
        return value.replace(|c: char| c.is_ascii_control(), " ");
    }
    value
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control()
}

/// Whether a byte may stand in a method or a field name (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The reason phrase; empty for a status we have no use for, as RFC 9112 section 4 allows.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(response: &Response, ending: Ending) -> String {
        let mut out = Vec::new();
        response.write_head(response.framing(Version::Http11), ending, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_value_from_outside_cannot_end_its_line() {
        let response = Response::new(200, "text/a\r\nX: y".to_owned(), "")
            .with_header("Location", "/a\r\nSet-Cookie: b\0".to_owned());
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/a  X: y\r\nContent-Length: 0\r\n\
                        Location: /a  Set-Cookie: b \r\n\r\n";
        assert_eq!(head(&response, Ending::Keep), expected);
    }

    #[test]
    fn an_answer_without_content_has_no_length() {
        let head = head(&Response::new(204, "text/plain", "lost"), Ending::Close);
        assert_eq!(head, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn fields_of_the_framing_cannot_be_written_twice() {
        for name in ["Content-Length", "transfer-encoding", "Connection", "a b", ""] {
            let written =
                std::panic::catch_unwind(|| Response::empty(200).with_header(name, "1".to_owned()));
            assert!(written.is_err(), "{name:?}");
        }
    }
}
