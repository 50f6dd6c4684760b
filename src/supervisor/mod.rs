//! The supervisor, which is systemd on a bare device: what it is told, and the unit that it runs us by.

// The protocol is datagrams of text to a socket whose name is in the environment (sd_notify(3)), so
// nothing of systemd's own is needed.

mod memory;
mod unit;

pub use memory::{Room, room};
pub use unit::{Program, UnitSettings, unit};

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The supervisor may miss so many of our signs of life before it ends us: half of what it waits
/// for is the manual's advice.
const SIGNS_PER_WAIT: u32 = 2;

/// How one tells the supervisor; silent where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Supervisor {
    /// The path of its socket, or `@` and an abstract name.
    socket: Option<OsString>,
    /// How long it waits for a sign of life.
    wait: Option<Duration>,
}

impl Supervisor {
    /// The one that started this process, by `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    #[must_use]
    pub fn of_process() -> Supervisor {
        Supervisor::of(|name| std::env::var_os(name), std::process::id())
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>, process: u32) -> Supervisor {
        let number = |name: &str| variable(name)?.to_str()?.parse::<u64>().ok();
        // The variables are inherited: a child must not answer for its parent.
        let is_meant = number("WATCHDOG_PID").is_none_or(|meant| meant == u64::from(process));
        let wait = number("WATCHDOG_USEC").filter(|micros| is_meant && *micros > 0);
        let socket = variable("NOTIFY_SOCKET").filter(|name| !name.is_empty());
        Supervisor { socket, wait: wait.map(Duration::from_micros) }
    }

    /// The program answers from now on.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The program was asked to end, and does.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Gives signs of life as long as `is_alive` says so, from a thread that ends with the process.
    /// Nothing is done where nobody waits for any.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn watch(&self, is_alive: impl Fn() -> bool + Send + 'static) -> io::Result<()> {
        let (Some(wait), Some(_)) = (self.wait, &self.socket) else { return Ok(()) };
        let told = self.clone();
        let body = move || {
            loop {
                if is_alive() {
                    told.tell("WATCHDOG=1");
                }
                std::thread::sleep(wait / SIGNS_PER_WAIT);
            }
        };
        std::thread::Builder::new().name("watchdog".into()).spawn(body).map(drop)
    }

    /// A supervisor that does not listen is none of our troubles.
    fn tell(&self, what: &str) {
        let Some(name) = &self.socket else { return };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(name),
        };
        let _ = address
            .and_then(|address| UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::sync::mpsc::channel;

    fn of(pairs: &'static [(&str, &str)], process: u32) -> Supervisor {
        let value =
            |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|it| it.1.into());
        Supervisor::of(value, process)
    }

    #[test]
    fn signs_of_life_are_for_the_process_that_is_meant() {
        let pairs = &[("WATCHDOG_USEC", "3000000"), ("WATCHDOG_PID", "7")];
        assert_eq!(of(pairs, 7).wait, Some(Duration::from_secs(3)));
        assert_eq!(of(pairs, 8).wait, None);
        assert_eq!(of(&[("WATCHDOG_USEC", "0")], 7), Supervisor::default());
        assert_eq!(of(&[("NOTIFY_SOCKET", "")], 7), Supervisor::default());
    }

    fn socket(directory: &std::path::Path) -> (UnixDatagram, Supervisor) {
        let path = directory.join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        (listener, Supervisor { socket: Some(path.into()), wait: Some(Duration::from_millis(2)) })
    }

    fn heard(listener: &UnixDatagram) -> String {
        let mut text = [0; 64];
        let length = listener.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    }

    #[test]
    fn what_is_told_comes_by_paths_and_by_abstract_names() {
        let directory = tempfile::tempdir().unwrap();
        let (listener, supervisor) = socket(directory.path());
        supervisor.ready();
        supervisor.stopping();
        assert_eq!([heard(&listener), heard(&listener)], ["READY=1", "STOPPING=1"]);

        let name = format!("potoroo-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        Supervisor { socket: Some(format!("@{name}").into()), wait: None }.ready();
        assert_eq!(heard(&listener), "READY=1");
    }

    #[test]
    fn one_who_is_not_well_gives_no_sign_of_life() {
        let directory = tempfile::tempdir().unwrap();
        let (listener, supervisor) = socket(directory.path());
        let (looks, looked) = channel();
        let count = AtomicU32::new(0);
        supervisor
            .watch(move || {
                let _ = looks.send(());
                count.fetch_add(1, SeqCst) == 1
            })
            .unwrap();
        for _ in 0..3 {
            looked.recv().unwrap();
        }
        assert_eq!(heard(&listener), "WATCHDOG=1");
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_supervisor_that_is_gone_troubles_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let socket = Some(directory.path().join("none").into());
        Supervisor { socket, wait: None }.ready();
        Supervisor::default().stopping();
    }
}
