//! A strict, blocking HTTP/1.1 server: one thread per connection, from a bounded number.

// Reading order is the life of a request: the server accepts and finds room in the table, the
// connection's loop receives a head, asks the service, and writes its answer.

mod limits;

mod accept;
mod porter;
mod table;

mod connection;
mod head;

mod body;
mod request;

mod afterwards;
mod content;
mod delivery;
mod refusal;
mod response;

mod pace;
mod stream;
mod tls;
mod wire;

mod key;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod trial;

pub use accept::{Handle, Server};
pub use body::BodyError;
pub use content::{Content, Piece, Stream};
pub use head::Head;
pub use key::{ApiKey, ApiKeyError};
pub use limits::*;
pub use refusal::Refusal;
pub use request::Request;
pub use response::Response;
pub use tls::{Tls, TlsError};

/// What answers the requests; called from many threads at once.
///
/// A panic in any function is an answer of status 500 and an error in the log; the server
/// goes on. That needs the unwinding panic strategy.
pub trait Service: Send + Sync + 'static {
    /// Answers one request. What it leaves unread of the body ends the connection.
    fn answer(&self, request: &mut Request<'_, '_>) -> Response;

    /// Puts what the server itself refuses into the service's own form; must not block, since
    /// the thread that accepts connections asks it too.
    ///
    /// The status is the service's choice, [`Refusal::status`] the right one.
    fn refuse(&self, refusal: Refusal) -> Response;

    /// How many bytes of body this request may have, asked before any is read; a request that
    /// announces more is refused with its body unread.
    ///
    /// `limit_bytes` is [`Limits::body_bytes_max`]. More is for bodies that are read in parts:
    /// [`Request::body`] takes no more than that into memory.
    fn body_bytes_max(&self, head: &Head<'_>, limit_bytes: u64) -> u64 {
        let _ = head;
        limit_bytes
    }
}

#[cfg(test)]
mod tests;
