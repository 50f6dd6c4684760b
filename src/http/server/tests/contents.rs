//! Answers out of files and sources: whole, in time, and cut so that the client can tell.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::super::Content;
use super::*;
use crate::disk::Stretch;

/// A service that is one function.
pub(super) struct Giving<F>(pub(super) F);

impl<F: Fn(&str) -> Response + Send + Sync + 'static> Service for Giving<F> {
    fn answer(&self, request: &mut Request<'_, '_>) -> Response {
        self.0(request.path())
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        Response::from(&refusal)
    }
}

fn giving(answer: impl Fn(&str) -> Response + Send + Sync + 'static) -> Running {
    serve_with(limits(), Giving(answer))
}

/// Text whose every part tells where it is, longer than what is read at once.
fn long_text() -> String {
    (0..60_000).map(|n| format!("{n:07},")).collect()
}

/// A server of one file, in which `spoil` has its way after the file was opened.
fn serving_file(
    text: &str,
    spoil: impl Fn(&PathBuf) + Send + Sync + 'static,
) -> (Running, PathBuf) {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path().keep().unwrap();
    fs::write(&path, text).unwrap();
    let file = path.clone();
    let server = giving(move |asked| {
        let whole = Stretch::whole(file.clone());
        let content = Content::of(&match asked {
            "/part" => whole.within(70_000, 100_000),
            "/nothing" => whole.within(5, 0),
            _ => whole,
        });
        match (asked, content) {
            ("/hello", _) => text_of("hello"),
            (_, Ok(content)) => {
                spoil(&file);
                Response::new(200, "text/plain", content)
            }
            (_, Err(error)) => super::text(404, error.to_string()),
        }
    });
    (server, path)
}

fn text_of(text: &'static str) -> Response {
    super::text(200, text)
}

#[test]
fn a_file_and_a_part_of_one_arrive_whole_on_one_connection() {
    let text = long_text();
    let (server, path) = serving_file(&text, |_| {});
    let mut client = server.connect();
    assert!(client.get("/whole").body == text);
    assert!(client.get("/part").body == text[70_000..170_000]);
    assert_eq!(client.get("/nothing").body, "");
    client.send("HEAD /whole HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.stream.read_line(&mut head).unwrap();
    }
    assert!(head.contains(&format!("Content-Length: {}\r\n", text.len())), "{head}");
    assert_eq!(client.get("/hello").body, "hello");
    fs::remove_file(path).unwrap();
    assert_eq!(client.get("/whole").status, 404);
}

#[test]
fn a_file_that_is_taken_away_meanwhile_is_sent_whole() {
    let text = long_text();
    let (server, _) = serving_file(&text, |path| fs::remove_file(path).unwrap());
    assert!(server.connect().get("/whole").body == text);
}

#[test]
fn a_file_that_shrinks_meanwhile_ends_the_connection_and_a_head_does_not_look() {
    let text = long_text();
    let shrink = |path: &PathBuf| File::options().write(true).open(path).unwrap().set_len(100_000);
    let (server, path) = serving_file(&text, move |path| shrink(path).unwrap());
    let answer =
        server.say("GET /whole HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", text.len())), "{head}");
    assert!(body.len() <= 100_000 && text.starts_with(body), "{} bytes", body.len());
    fs::write(&path, &text).unwrap();
    let both = server.say("HEAD /whole HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(both.ends_with("hello") && statuses(&both) == [200, 200], "{both}");
    fs::remove_file(path).unwrap();
}

#[test]
fn a_client_that_does_not_read_a_file_is_dropped_by_the_deadline() {
    let (server, path) = serving_file("", |_| {});
    File::options().write(true).open(&path).unwrap().set_len(256 << 20).unwrap();
    let mut client = server.connect();
    client.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_ne!(client.socket().peek(&mut [0]).unwrap(), 0);
    let begun = Instant::now();
    assert!(server.handle.shutdown(PATIENCE), "it ended by itself");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    fs::remove_file(path).unwrap();
}

/// A source that gives what a test sends it, and tells when it is dropped.
struct Source(
    Receiver<io::Result<&'static str>>,
    #[expect(dead_code, reason = "its end is seen")] Sender<()>,
);

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Ok(given) = self.0.recv() else { return Ok(0) };
        let given = given?;
        into[..given.len()].copy_from_slice(given.as_bytes());
        Ok(given.len())
    }
}

/// A server that answers `/hello`, and once with what the test gives, of at most 10 bytes.
struct Fed {
    server: Running,
    feed: Sender<io::Result<&'static str>>,
    dropped: Receiver<()>,
}

fn fed() -> Fed {
    let ((feed, fed), (alive, dropped)) = (mpsc::channel(), mpsc::channel());
    let source = Mutex::new(Some(Source(fed, alive)));
    let server = giving(move |asked| match asked {
        "/hello" => text_of("hello"),
        _ => {
            let source = source.lock().unwrap().take().unwrap();
            Response::new(200, "text/event-stream", Content::stream(source, 10))
        }
    });
    Fed { server, feed, dropped }
}

const ASK: &str = "GET /events HTTP/1.1\r\nHost: a\r\n\r\n";

impl Client {
    /// So many bytes, as they come.
    fn next(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "ended within {head:?}");
        }
        head
    }
}

#[test]
fn each_part_of_a_stream_is_sent_when_it_is_made_and_the_connection_stays() {
    let Fed { server, feed, dropped } = fed();
    let mut client = server.connect();
    client.send(ASK);
    let head = client.head();
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    assert!(!head.contains("Content-Length") && !head.contains("Connection"), "{head}");
    for (part, chunk) in [("hello", "5\r\nhello\r\n"), ("you", "3\r\nyou\r\n")] {
        feed.send(Ok(part)).unwrap();
        assert_eq!(client.next(chunk.len()), chunk, "before anything else was made");
    }
    drop(feed);
    assert_eq!(client.next(5), "0\r\n\r\n");
    assert_eq!(client.get("/hello").body, "hello");
    assert_eq!(dropped.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}

#[test]
fn http_1_0_gets_a_stream_until_the_connection_ends() {
    let Fed { server, feed, .. } = fed();
    let mut client = server.connect();
    client.send("GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let head = client.head();
    assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
    assert!(!head.contains("Transfer-Encoding") && !head.contains("Content-Length"), "{head}");
    feed.send(Ok("hello")).unwrap();
    drop(feed);
    assert_eq!(client.rest(), "hello");
}

#[test]
fn a_head_of_a_stream_has_no_body_and_asks_nothing_of_the_source() {
    let Fed { server, dropped, feed } = fed();
    let mut client = server.connect();
    client.send("HEAD /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.head().contains("Transfer-Encoding: chunked"));
    assert_eq!(client.get("/hello").body, "hello");
    // Nothing was fed, so a source that is read would wait and not end.
    assert_eq!(dropped.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    drop(feed);
}

#[test]
fn a_stream_that_breaks_off_or_outgrows_its_limit_ends_without_the_last_chunk() {
    let broken = || Err(io::Error::other("by the test"));
    let cases = [
        ("an error", vec![Ok("hello"), broken()], "5\r\nhello\r\n"),
        ("at once", vec![broken()], ""),
        ("11 of 10 bytes", vec![Ok("hello"), Ok("worlds")], "5\r\nhello\r\n"),
    ];
    for (name, given, expected) in cases {
        let Fed { server, feed, .. } = fed();
        given.into_iter().for_each(|one| feed.send(one).unwrap());
        let answer = server.say(ASK);
        assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{name}: {answer:?}");
        assert_eq!(server.connect().get("/hello").body, "hello", "{name}");
    }
}

#[test]
fn a_source_that_panics_ends_its_connection_alone() {
    struct Panicking;
    impl Read for Panicking {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("asked for by the test")
        }
    }
    let server = giving(|asked| match asked {
        "/hello" => text_of("hello"),
        _ => Response::new(200, "text/plain", Content::stream(Panicking, u64::MAX)),
    });
    let answer = server.say(ASK);
    assert!(answer.ends_with("\r\n\r\n") && statuses(&answer) == [200], "{answer:?}");
    assert_eq!(server.connect().get("/hello").body, "hello");
}

#[test]
fn an_endless_stream_ends_when_its_client_leaves_or_does_not_read() {
    struct Endless(#[expect(dead_code, reason = "its end is seen")] Sender<()>);
    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            into.fill(b'x');
            Ok(into.len())
        }
    }
    let (alive, ended) = mpsc::channel();
    let alive = Mutex::new(Some(alive));
    let server = giving(move |_| {
        let source = Endless(alive.lock().unwrap().as_ref().unwrap().clone());
        Response::new(200, "text/plain", Content::stream(source, u64::MAX))
    });
    let mut leaving = server.connect();
    leaving.send(ASK);
    leaving.next(1 << 20);
    drop(leaving);
    let mut silent = server.connect();
    silent.send(ASK);
    silent.next(1);
    let begun = Instant::now();
    assert!(server.handle.shutdown(PATIENCE), "both ended by themselves");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(server);
    assert_eq!(ended.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
}
