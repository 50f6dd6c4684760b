//! A bad link in front of a real registry: it cuts, stalls, slows, lies, and counts what goes by.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use potoroo::registry::{Credentials, Remote, Transport};

use super::listener::{Listener, header};

/// A request for a blob, as the plan of faults sees it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How many requests for blobs came before.
    pub nth: usize,
    /// The target, `/v2/…/blobs/sha256:…`.
    pub target: String,
    /// The byte from which on it wants the blob, where it says so.
    pub first: Option<u64>,
    /// The header `Authorization`.
    pub shown: Option<String>,
}

/// What happens to one request for a blob; several may happen to one.
#[derive(Clone)]
pub enum Fault {
    /// The connection ends after so many bytes of the body.
    Cut(u64),
    /// After so many bytes of the body nothing more comes, until the proxy ends.
    Stall(u64),
    /// This byte of the body is another one.
    Corrupt(u64),
    /// So many bytes, then a pause, and so on.
    Slow(usize, Duration),
    /// These bytes come instead of the registry's answer.
    Instead(Vec<u8>),
    /// The registry does not get this header of the request.
    Without(&'static str),
    /// The head of the answer has one text replaced by another.
    Replaced(&'static str, &'static str),
}

/// The running proxy.
pub struct FaultProxy {
    listener: Listener,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    count: AtomicUsize,
    bytes: AtomicU64,
    stalled: Mutex<Vec<TcpStream>>,
}

impl FaultProxy {
    /// Stands in front of a registry; `plan` is asked what happens to each request for a blob,
    /// and everything else goes through.
    pub fn start(
        registry: &str,
        plan: impl Fn(&Asked) -> Vec<Fault> + Send + Sync + 'static,
    ) -> FaultProxy {
        let seen = Arc::new(Seen::default());
        let (shared, plan) = (Arc::clone(&seen), Arc::new(plan));
        let registry: SocketAddr = registry.parse().unwrap();
        let listener = Listener::start(move |stream, head| {
            let (seen, plan) = (Arc::clone(&shared), Arc::clone(&plan));
            std::thread::spawn(move || seen.serve(stream, &head, registry, &*plan));
        });
        FaultProxy { listener, seen }
    }

    /// Where it listens, as a registry's host and port.
    pub fn host(&self) -> String {
        self.listener.address().to_string()
    }

    /// A session through it about a repository.
    pub fn remote(
        &self,
        transport: Transport,
        repository: &str,
        credentials: Option<Credentials>,
    ) -> Remote {
        let host = self.host().parse().unwrap();
        Remote::new(transport, host, repository.parse().unwrap(), credentials)
    }

    /// The requests for blobs so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().unwrap().clone()
    }

    /// The byte from which on each of them wanted the blob.
    pub fn firsts(&self) -> Vec<Option<u64>> {
        self.asked().iter().map(|asked| asked.first).collect()
    }

    /// The bytes of blobs that went through so far.
    pub fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::SeqCst)
    }
}

impl Seen {
    fn serve(
        &self,
        mut client: TcpStream,
        head: &str,
        registry: SocketAddr,
        plan: &(dyn Fn(&Asked) -> Vec<Fault> + Send + Sync),
    ) {
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let is_blob = head.starts_with("GET ") && target.contains("/blobs/sha256:");
        let faults = if is_blob {
            let first = header(head, "range").and_then(|it| it.strip_prefix("bytes="));
            let asked = Asked {
                nth: self.count.fetch_add(1, Ordering::SeqCst),
                target,
                first: first.and_then(|it| it.trim_end_matches('-').parse().ok()),
                shown: header(head, "authorization").map(str::to_owned),
            };
            self.asked.lock().unwrap().push(asked.clone());
            plan(&asked)
        } else {
            Vec::new()
        };
        // Either side may be gone at any time: that is what this is for.
        let instead = faults
            .iter()
            .find_map(|fault| if let Fault::Instead(bytes) = fault { Some(bytes) } else { None });
        if let Some(bytes) = instead {
            let _ = client.write_all(bytes);
            let _ = client.shutdown(Shutdown::Write);
        } else if let Some(stalled) = self.relay(client, head, registry, &faults, is_blob) {
            self.stalled.lock().unwrap().push(stalled);
        }
    }

    /// Passes the request on and the answer back; gives the connection back when it is to stall.
    fn relay(
        &self,
        mut client: TcpStream,
        head: &str,
        registry: SocketAddr,
        faults: &[Fault],
        is_blob: bool,
    ) -> Option<TcpStream> {
        let mut hidden = vec!["connection"];
        let (mut pace, mut end, mut corrupt) = ((32 << 10, Duration::ZERO), u64::MAX, None);
        for fault in faults {
            match fault {
                Fault::Without(name) => hidden.push(name),
                Fault::Cut(at) | Fault::Stall(at) => end = *at,
                Fault::Corrupt(at) => corrupt = Some(*at),
                Fault::Slow(bytes, pause) => pace = (*bytes, *pause),
                Fault::Instead(_) | Fault::Replaced(..) => {}
            }
        }
        let mut upstream = TcpStream::connect(registry).ok()?;
        let lines = head.trim_end().split("\r\n").filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            !hidden.iter().any(|it| name.eq_ignore_ascii_case(it))
        });
        let request = lines.map(|line| format!("{line}\r\n")).collect::<String>();
        upstream.write_all(format!("{request}connection: close\r\n\r\n").as_bytes()).ok()?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            upstream.read_exact(&mut byte).ok()?;
            answer.push(byte[0]);
        }
        let mut answer = String::from_utf8(answer).ok()?;
        for fault in faults {
            if let Fault::Replaced(text, by) = fault {
                assert!(answer.contains(text), "`{text}` is not in\n{answer}");
                answer = answer.replace(text, by);
            }
        }
        client.write_all(answer.as_bytes()).ok()?;
        let is_blob = is_blob && (answer.contains(" 200 ") || answer.contains(" 206 "));
        let mut passed = 0_u64;
        let mut chunk = vec![0; pace.0];
        while passed < end {
            std::thread::sleep(pace.1);
            let room = usize::try_from(end - passed).unwrap_or(pace.0).min(pace.0);
            let count = upstream.read(&mut chunk[..room]).ok().filter(|count| *count > 0)?;
            if let Some(at) = corrupt
                && (passed..passed + count as u64).contains(&at)
            {
                chunk[(at - passed) as usize] ^= 1;
            }
            client.write_all(&chunk[..count]).ok()?;
            passed += count as u64;
            if is_blob {
                self.bytes.fetch_add(count as u64, Ordering::SeqCst);
            }
        }
        faults.iter().any(|fault| matches!(fault, Fault::Stall(_))).then_some(client)
    }
}
