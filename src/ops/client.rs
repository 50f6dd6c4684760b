//! The client of the MLOps API: JSON in both directions, files in parts, and refusals as failures.

use super::surroundings::Surroundings;
use crate::exit::{Exit, Failure};
use crate::http::client::{
    Answer, Authorization, Call, Client, Error, Method, Patience, Timeouts, Uri,
};
use crate::http::percent;
use crate::registry::Secret;
use serde_json::Value;
use std::io::{Cursor, Read, Write};

/// An answer of the API; the largest are lists of thousands of publishes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// How much of a file is on its way at once.
const DOWNLOAD_BYTES: usize = 64 << 10;

/// An ops center, and who we are to it.
#[derive(Debug)]
pub(in crate::ops) struct OpsClient {
    client: Client,
    base: String,
    token: Option<Secret>,
}

/// How far an upload is, as the ops center says.
#[derive(Debug, Clone, Copy)]
pub(in crate::ops) struct Range {
    /// Bytes before this part.
    pub from: u64,
    /// Bytes of this part.
    pub bytes: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

impl OpsClient {
    /// A client for `url`, which has a scheme. A token is sent over TLS or on this machine alone,
    /// unless `plain_http` says otherwise.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a URL that is none, or that would carry a token in plain text.
    pub(in crate::ops) fn new(
        url: &str,
        token: Option<Secret>,
        plain_http: bool,
    ) -> Result<OpsClient, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        let hint = "give the ops center as https://host or http://localhost:8090";
        let wrong = |why: String| Failure::new(Exit::Usage, why).hint(hint);
        let uri: Uri = base.parse().map_err(|_| wrong(format!("`{base}` is no URL")))?;
        let is_here = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_here || plain_http => {}
            Some("http") => {
                let sentence = format!(
                    "{base} is another machine, and the token would go there in plain text"
                );
                return Err(Failure::new(Exit::Usage, sentence)
                    .hint("use https://, or say --ops-plain-http where the way is safe"));
            }
            Some(_) | None => return Err(wrong(format!("`{base}` has no http:// or https://"))),
        }
        let network = Surroundings::read()?.network;
        Ok(OpsClient { client: Client::through(Timeouts::EDGE, &network), base, token })
    }

    /// Where the ops center is.
    pub(in crate::ops) fn base(&self) -> &str {
        &self.base
    }

    /// Posts JSON to a path below `/v1/api/`.
    ///
    /// # Errors
    /// Its refusal with the code that follows from the status, or that it does not answer.
    pub(in crate::ops) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let body = body.to_string();
        let size = body.len() as u64;
        let headers = [("Content-Type", "application/json")];
        let path = format!("/v1/api/{path}");
        self.send(Method::POST, &path, &headers, &mut Cursor::new(body), size, Patience::Commit)
    }

    /// Posts JSON to a path below `/v1/api/`, and gives what `heads` names of the answer's head beside
    /// its JSON.
    ///
    /// # Errors
    /// As [`OpsClient::post`].
    pub(in crate::ops) fn post_for<const N: usize>(
        &self,
        path: &str,
        body: &Value,
        heads: [&str; N],
    ) -> Result<([Option<String>; N], Value), Failure> {
        let answer = self.asked(path, body, Patience::Commit)?;
        let heads = heads.map(|name| answer.header(name).map(str::to_owned));
        Ok((heads, self.read(answer)?))
    }

    /// Posts JSON to a path below `/v1/api/`, and writes the answer to `out`, however long it is; the
    /// number of its bytes.
    ///
    /// # Errors
    /// As [`OpsClient::post`], when the answer ends early, and when `out` fails.
    pub(in crate::ops) fn download(
        &self,
        path: &str,
        body: &Value,
        out: &mut dyn Write,
    ) -> Result<u64, Failure> {
        let answer = self.asked(path, body, Patience::Stream)?;
        if answer.status != 200 {
            return self.read(answer).map(|_| 0);
        }
        let mut from = answer.into_reader();
        let mut bytes = vec![0; DOWNLOAD_BYTES];
        let mut total = 0;
        loop {
            let count = from.read(&mut bytes).map_err(|error| {
                let sentence = format!("{} ended before the file was whole: {error}", self.base);
                Failure::new(Exit::Unreachable, sentence).hint("ask for it again")
            })?;
            if count == 0 {
                return Ok(total);
            }
            let written = out.write_all(&bytes[..count]);
            written.map_err(|error| {
                Failure::new(Exit::Disk, format!("the file cannot be written: {error}"))
                    .hint("name a place with room")
            })?;
            total += count as u64;
        }
    }

    fn asked(&self, path: &str, body: &Value, patience: Patience) -> Result<Answer, Failure> {
        let body = body.to_string();
        let uri = self.uri(&format!("/v1/api/{path}"))?;
        let authorization = self.authorization()?;
        let call = Call {
            method: Method::POST,
            uri: &uri,
            headers: &[("Content-Type", "application/json")],
            authorization: authorization.as_ref(),
            patience,
        };
        let size = body.len() as u64;
        self.client.send(&call, &mut Cursor::new(body), size).map_err(|error| self.silent(error))
    }

    /// Asks for a path below `/v1/api/`.
    ///
    /// # Errors
    /// As [`OpsClient::post`].
    pub(in crate::ops) fn get(&self, path: &str) -> Result<Value, Failure> {
        let uri = self.uri(&format!("/v1/api/{path}"))?;
        let authorization = self.authorization()?;
        // No redirect is followed: an API has none, and a proxy in front should not hide one.
        let call = Call {
            method: Method::GET,
            uri: &uri,
            headers: &[],
            authorization: authorization.as_ref(),
            patience: Patience::Answer,
        };
        let answer = self.client.fetch(&call).map_err(|error| self.silent(error))?;
        self.read(answer)
    }

    /// Posts a form to a path, as OAuth 2 has it.
    ///
    /// # Errors
    /// As [`OpsClient::post`].
    pub(in crate::ops) fn form(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let pair =
            |(name, value): &(&str, &str)| format!("{name}={}", percent::encoded(value, b""));
        let body = fields.iter().map(pair).collect::<Vec<_>>().join("&");
        let size = body.len() as u64;
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, path, &headers, &mut Cursor::new(body), size, Patience::Commit)
    }

    /// Posts a file as it is to a path below `/v1/api/`.
    ///
    /// # Errors
    /// As [`OpsClient::post`], and when `from` fails.
    pub(in crate::ops) fn post_file(
        &self,
        path: &str,
        from: &mut dyn Read,
        bytes: u64,
    ) -> Result<Value, Failure> {
        let headers = [("Content-Type", "application/octet-stream")];
        let path = format!("/v1/api/{path}");
        self.send(Method::POST, &path, &headers, from, bytes, Patience::Commit)
    }

    /// Sends one part of a file to an upload.
    ///
    /// # Errors
    /// As [`OpsClient::post`], and when `from` fails.
    pub(in crate::ops) fn put_part(
        &self,
        path: &str,
        range: Range,
        from: &mut dyn Read,
    ) -> Result<Value, Failure> {
        let Range { from: first, bytes, total } = range;
        let last = (first + bytes).saturating_sub(1);
        let content_range = format!("bytes {first}-{last}/{total}");
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Range", content_range.as_str()),
        ];
        let path = format!("/v1/api/{path}");
        self.send(Method::PUT, &path, &headers, from, bytes, Patience::Commit)
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &mut dyn Read,
        size: u64,
        patience: Patience,
    ) -> Result<Value, Failure> {
        let uri = self.uri(path)?;
        let authorization = self.authorization()?;
        let authorization = authorization.as_ref();
        let call = Call { method, uri: &uri, headers, authorization, patience };
        let answer = self.client.send(&call, body, size).map_err(|error| self.silent(error))?;
        self.read(answer)
    }

    fn uri(&self, path: &str) -> Result<Uri, Failure> {
        let whole = format!("{}{path}", self.base);
        whole.parse().map_err(|_| Failure::new(Exit::Usage, format!("`{whole}` is no URL")))
    }

    fn authorization(&self) -> Result<Option<Authorization>, Failure> {
        let Some(token) = &self.token else { return Ok(None) };
        match Authorization::new(&format!("Bearer {}", token.reveal())) {
            Some(header) => Ok(Some(header)),
            None => Err(Failure::new(Exit::Usage, "the token has characters that no token has")
                .hint("copy it again, in one line")),
        }
    }

    fn silent(&self, error: Error) -> Failure {
        let hint = error.hint().unwrap_or("see that the ops center runs and that --url is right");
        Failure::new(Exit::Unreachable, error).hint(hint)
    }

    fn read(&self, answer: Answer) -> Result<Value, Failure> {
        let status = answer.status;
        let body = answer.read(ANSWER_BYTES_MAX).map_err(|error| self.silent(error))?;
        let body = body.ok_or_else(|| {
            let sentence = format!("{} answers more than {ANSWER_BYTES_MAX} bytes", self.base);
            Failure::new(Exit::Failed, sentence)
        })?;
        let value = serde_json::from_slice::<Value>(&body);
        match (status, value) {
            (200..=299, Ok(value)) => Ok(value),
            (200..=299, Err(_)) if body.is_empty() => Ok(Value::Null),
            (_, Ok(problem)) if problem["msg"].is_string() || problem["error"].is_string() => {
                Err(refused(status, &problem))
            }
            (_, _) => {
                let sentence = format!("{} answers {status} without the API's JSON", self.base);
                Err(Failure::new(Exit::Failed, sentence)
                    .hint("see that --url is an ops center, not a page or a proxy in front of it"))
            }
        }
    }
}

/// A refusal in the API's form, or in that of OAuth 2 (RFC 6749, section 5.2).
fn refused(status: u16, problem: &Value) -> Failure {
    let text = |key: &str| problem[key].as_str();
    let msg = text("msg").or(text("error_description")).or(text("error")).unwrap_or_default();
    let exit = match status {
        400 | 409 | 413 | 415 => Exit::Usage,
        401 | 403 => Exit::CredentialsRefused,
        404 => Exit::NotFound,
        422 => Exit::ModelRefused,
        _ => Exit::Failed,
    };
    let failure = Failure::new(exit, msg.to_owned());
    match status {
        401 => failure
            .hint("`potoroo-ops login` keeps a token; POTOROO_OPS_TOKEN or --token-file has one"),
        _ => failure,
    }
}
