//! The head of a request: received whole, then read by RFC 9112 to the letter.

use crate::logging::AT_SERVE;
use std::io;
use std::time::Instant;

use super::body::Framing;
use super::limits::{HEADERS_MAX, Limits};
use super::refusal::Refusal;
use super::response::is_token;
use super::wire::{Wire, is_timeout};

/// What waiting for a head came to.
#[derive(Debug)]
pub(super) enum Received {
    /// The buffer begins with a whole head of so many bytes.
    Head(usize),
    /// What arrived can be no head we take.
    Refused(Refusal),
    /// The client has left, or was silent for too long.
    Silence,
}

/// Waits for a whole head; `begun` is called when a part of one has arrived.
pub(super) fn receive(wire: &mut Wire<'_>, limits: &Limits, begun: impl Fn()) -> Received {
    let idle_until = Instant::now() + limits.idle_max;
    let mut deadline = None;
    let mut scanned = 0;
    // RFC 9112 section 2.2 asks for patience with one empty line, which old clients send after
    // a body. More of them would be a way to hold a connection for nothing.
    let mut patient = true;
    loop {
        if patient && wire.buffered().starts_with(b"\r\n") {
            wire.consume(2);
            (patient, scanned) = (false, 0);
        }
        let bytes = wire.buffered();
        let first_is_wrong =
            bytes.first().is_some_and(|byte| !is_token(*byte)) && !(patient && bytes == b"\r");
        if first_is_wrong {
            // A TLS client would wait for an answer to its hello until the deadline.
            return malformed("it does not begin with a method: send plain HTTP to this port");
        }
        match end_of_head(bytes, scanned) {
            Scan::End(length) => return Received::Head(length),
            Scan::BareLineFeed => return malformed("a line ends with LF alone: end it with CRLF"),
            Scan::Unfinished => scanned = bytes.len(),
        }
        if wire.is_full() {
            let limit_bytes = limits.head_bytes_max;
            let has_line = bytes.contains(&b'\n');
            return Received::Refused(match has_line {
                true => Refusal::HeadTooLarge { limit_bytes },
                false => Refusal::TargetTooLong { limit_bytes },
            });
        }
        let is_idle = bytes.is_empty();
        let until = match is_idle {
            true => idle_until,
            false => *deadline.get_or_insert_with(|| {
                begun();
                Instant::now() + limits.head_deadline
            }),
        };
        match wire.fill(until) {
            Ok(0) => return Received::Silence,
            Ok(_) => {}
            Err(error) if is_timeout(&error) && !is_idle => {
                return Received::Refused(Refusal::HeadTooSlow { limit: limits.head_deadline });
            }
            Err(error) => return gone(&error),
        }
    }
}

fn malformed(what: &'static str) -> Received {
    Received::Refused(Refusal::Malformed { what })
}

fn gone(error: &io::Error) -> Received {
    log::trace!(target: AT_SERVE, "msg={:?}", format!("a connection ended while waiting for a request: {error}"));
    Received::Silence
}

#[derive(Debug, PartialEq, Eq)]
enum Scan {
    End(usize),
    Unfinished,
    BareLineFeed,
}

/// Looks for the empty line in what has arrived since the last look, so that a head sent byte by
/// byte costs no more than one sent at once.
fn end_of_head(bytes: &[u8], scanned: usize) -> Scan {
    let mut from = scanned;
    while let Some(offset) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let at = from + offset;
        let Some(line) = bytes[..at].strip_suffix(b"\r") else { return Scan::BareLineFeed };
        if line.ends_with(b"\n") {
            return Scan::End(at + 1);
        }
        from = at + 1;
    }
    Scan::Unfinished
}

/// The versions we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// The head of a request, which was understood whole.
#[derive(Debug)]
pub struct Head<'h> {
    pub(super) method: &'h str,
    pub(super) path: &'h str,
    pub(super) query: Option<&'h str>,
    pub(super) version: Version,
    pub(super) fields: &'h [httparse::Header<'h>],
    pub(super) framing: Framing,
    /// Whether the client wants the connection to stay.
    pub(super) keeps: bool,
    /// Whether the client waits for an interim answer before it sends the body.
    pub(super) expects_continue: bool,
}

impl Head<'_> {
    /// The method as sent: a token, in which case matters.
    pub fn method(&self) -> &str {
        self.method
    }

    /// The path of the target, beginning with `/` and still percent-encoded; `*` for
    /// `OPTIONS *`. ASCII without spaces.
    pub fn path(&self) -> &str {
        self.path
    }

    /// What follows the first `?` of the target, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.query
    }

    /// The value of the first field of that name, whatever its case, without blanks around it.
    ///
    /// A value that is not UTF-8 is `None`, as if the field were absent: nothing here is
    /// understood beyond ASCII. [`Head::header_bytes`] has it.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.header_bytes(name)?).ok()
    }

    /// The value of the first field of that name as sent, without blanks around it.
    pub fn header_bytes(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name))?;
        Some(field.value.trim_ascii())
    }

    /// The values of all fields of that name as sent, in their order, without blanks around them.
    pub fn headers<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n [u8]> {
        let fields = self.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.trim_ascii())
    }

    /// The declared length of the body in bytes; `None` when none is declared or it is chunked.
    pub fn content_length(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(bytes) => Some(bytes),
            Framing::Empty | Framing::Chunked => None,
        }
    }
}

/// Reads a whole head, which [`receive`] has found the end of.
pub(super) fn parse<'h>(
    bytes: &'h [u8],
    fields: &'h mut [httparse::Header<'h>; HEADERS_MAX],
) -> Result<Head<'h>, Refusal> {
    // The parser skips empty lines, which were dealt with before.
    if !bytes.first().copied().is_some_and(is_token) {
        return refused("it does not begin with a method");
    }
    let mut parsed = httparse::Request::new(fields);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Ok(_) => return refused("the head ends early: send one empty line, at its end"),
        Err(error) => return Err(refusal_of(error, bytes)),
    }
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return refused("the request line is incomplete: send method, target and version");
    };
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let fields: &'h [httparse::Header<'h>] = parsed.headers;
    let (path, query) = split_target(method, target)?;
    check_host(fields, version)?;
    let framing = framing(fields, version)?;
    let expects_continue = expects_continue(fields, version)?;
    let keeps = keeps(fields, version);
    Ok(Head { method, path, query, version, fields, framing, keeps, expects_continue })
}

fn refused<T>(what: &'static str) -> Result<T, Refusal> {
    Err(Refusal::Malformed { what })
}

fn refusal_of(error: httparse::Error, bytes: &[u8]) -> Refusal {
    let what = match error {
        httparse::Error::HeaderName => "a field name is no token: send `name: value` on one line",
        httparse::Error::HeaderValue => "a field value has a control character: leave it out",
        httparse::Error::NewLine => "a CR stands alone: end each line with CRLF",
        httparse::Error::Token => "the request line is not method, target, version",
        httparse::Error::Status => "it is a response",
        httparse::Error::TooManyHeaders => return Refusal::TooManyHeaders { limit: HEADERS_MAX },
        httparse::Error::Version if names_a_version(bytes) => return Refusal::Version,
        httparse::Error::Version => "the request line does not end with HTTP/1.1",
    };
    Refusal::Malformed { what }
}

/// Whether the request line ends with some `HTTP/d` or `HTTP/d.d`.
fn names_a_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match last.strip_prefix(b"HTTP/") {
        Some([major]) => major.is_ascii_digit(),
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        Some(_) | None => false,
    }
}

/// Origin form, absolute form and `*` (RFC 9112 section 3.2); the authority is dropped.
fn split_target<'h>(method: &str, target: &'h str) -> Result<(&'h str, Option<&'h str>), Refusal> {
    if !target.is_ascii() || target.contains('#') {
        return refused("the target has a fragment or bytes beyond ASCII: percent-encode them");
    }
    let rooted = match target.split_once("://") {
        _ if target.starts_with('/') => target,
        _ if target == "*" && method == "OPTIONS" => return Ok(("*", None)),
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let (authority, rooted) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            // RFC 9110 section 4.2: a URI without a host is invalid, and a user has no place in it.
            if !is_authority(authority.as_bytes()) {
                return refused("the target names no host: begin it with a slash");
            }
            rooted
        }
        Some(_) | None => return refused("the target is no path: begin it with a slash"),
    };
    let (path, query) = match rooted.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rooted, None),
    };
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// The values of a field, in the order they were sent.
fn values<'h>(
    fields: &'h [httparse::Header<'h>],
    name: &'static str,
) -> impl Iterator<Item = &'h [u8]> {
    let of_name = move |field: &&httparse::Header<'h>| field.name.eq_ignore_ascii_case(name);
    fields.iter().filter(of_name).map(|field| field.value.trim_ascii())
}

/// The elements of a field whose value is a comma-separated list.
fn elements<'h>(
    fields: &'h [httparse::Header<'h>],
    name: &'static str,
) -> impl Iterator<Item = &'h [u8]> {
    values(fields, name).flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

/// RFC 9112 section 3.2: exactly one, well formed, and HTTP/1.0 may leave it out.
fn check_host(fields: &[httparse::Header<'_>], version: Version) -> Result<(), Refusal> {
    let mut hosts = values(fields, "host");
    let Some(host) = hosts.next() else {
        return match version {
            Version::Http10 => Ok(()),
            Version::Http11 => refused("Host is missing: send the name you call the server by"),
        };
    };
    // A target without an authority, such as a URN's, comes with an empty one.
    if hosts.next().is_some() || !(host.is_empty() || is_authority(host)) {
        return refused("Host is not one name with an optional port: send exactly one");
    }
    Ok(())
}

/// A host and an optional port (RFC 3986 section 3.2), of which only the port may be empty.
fn is_authority(text: &[u8]) -> bool {
    let (host, rest) = match text.strip_prefix(b"[") {
        Some(literal) => match literal.iter().position(|byte| *byte == b']') {
            Some(end) => (&literal[..end], &literal[end + 1..]),
            None => return false,
        },
        None => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    let is_host = match text.starts_with(b"[") {
        true => host.iter().all(|byte| is_name(byte) || *byte == b':'),
        false => host.iter().all(is_name),
    };
    let is_port = match rest.split_first() {
        Some((colon, port)) => *colon == b':' && port.iter().all(u8::is_ascii_digit),
        None => true,
    };
    !host.is_empty() && is_host && is_port
}

/// How the body is delimited (RFC 9112 section 6.3). Whatever two readers could understand in
/// two ways is refused, since that is how a request is smuggled past a proxy.
fn framing(fields: &[httparse::Header<'_>], version: Version) -> Result<Framing, Refusal> {
    let mut lengths = values(fields, "content-length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return refused("Content-Length is given twice: send it once");
    }
    if values(fields, "transfer-encoding").next().is_some() {
        if length.is_some() {
            return refused("both Content-Length and Transfer-Encoding are given: send one");
        }
        if version == Version::Http10 {
            return refused("HTTP/1.0 has no Transfer-Encoding: send Content-Length");
        }
        return check_coding(fields);
    }
    let Some(digits) = length else { return Ok(Framing::Empty) };
    let Some(declared_bytes) = decimal(digits) else {
        return refused("Content-Length is no decimal number below 2^64: send digits alone");
    };
    Ok(Framing::Length(declared_bytes))
}

fn check_coding(fields: &[httparse::Header<'_>]) -> Result<Framing, Refusal> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let count = elements(fields, "transfer-encoding").count();
    let place = elements(fields, "transfer-encoding").position(is_chunked);
    match place {
        Some(0) if count == 1 => Ok(Framing::Chunked),
        Some(place) if place + 1 < count => {
            refused("chunked is not the last transfer coding: send chunked alone")
        }
        Some(_) | None => Err(Refusal::TransferCoding),
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    // `parse` would take a sign.
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// RFC 9110 section 10.1.1; HTTP/1.0 has no interim answers.
fn expects_continue(fields: &[httparse::Header<'_>], version: Version) -> Result<bool, Refusal> {
    let is_continue = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !elements(fields, "expect").all(is_continue) {
        return Err(Refusal::Expectation);
    }
    Ok(version == Version::Http11 && values(fields, "expect").next().is_some())
}

/// RFC 9112 section 9.3.
fn keeps(fields: &[httparse::Header<'_>], version: Version) -> bool {
    let says = |word: &[u8]| elements(fields, "connection").any(|e| e.eq_ignore_ascii_case(word));
    match version {
        Version::Http10 => says(b"keep-alive") && !says(b"close"),
        Version::Http11 => !says(b"close"),
    }
}

#[cfg(test)]
mod tests;
