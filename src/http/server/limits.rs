//! Every number that bounds what a client can take from the server.

use std::time::Duration;

/// Header fields in one request head, and trailer fields after one chunked body.
/// Browsers and proxies send fewer than 30; the table for them lives on the connection's stack.
pub const HEADERS_MAX: usize = 64;

/// Connections at the same time. Pools of clients open more than they use: Go's opens one for each
/// request that finds none idle, and keeps it, so that 256 clients come with up to 512. With
/// [`THREAD_STACK_BYTES`] this reserves 256 MiB of address space, and it is half of the usual limit
/// of 1024 descriptors a process.
pub const CONNECTIONS_MAX: usize = 512;

/// Bytes of a request line and header fields together: twice what common servers allow for one
/// line, so that long bearer tokens fit. Also the size of a connection's receive buffer.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// From the first byte of a head to its end: a radio link that resends twice needs two seconds.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of one request body: a thousand images of 224 by 224 by 3 bytes are below half of it.
pub const BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Memory of all request bodies together: two of the largest, on a board with 512 MiB.
pub const BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Bytes a second that a body or an answer must move: a fourth of a poor 3G link.
pub const BODY_RATE_MIN: u64 = 16 * 1024;

/// How long a body or an answer may stand still before the rate counts: longer than TCP takes to
/// resend three times.
pub const GRACE: Duration = Duration::from_secs(5);

/// How long a connection may say nothing between requests: longer than a sensor's usual period.
pub const IDLE_MAX: Duration = Duration::from_secs(30);

/// Requests on one connection: reached so rarely that it costs nothing, and it still lets a load
/// balancer spread clients anew.
pub const REQUESTS_PER_CONNECTION_MAX: u32 = 10_000;

/// How long a connection without a whole request is safe when room is needed: a round trip over
/// a slow link takes less.
pub const HEAD_PROTECTED: Duration = Duration::from_secs(1);

/// Stack of a connection's thread: a JSON reader at its usual depth of 128 takes below 100 KiB.
pub const THREAD_STACK_BYTES: usize = 512 * 1024;

/// The smallest receive buffer that holds any line of chunked framing with room to spare.
pub const HEAD_BYTES_MIN: usize = 1024;

const _: () = assert!(BODIES_BYTES_MAX as u64 >= BODY_BYTES_MAX, "one body always fits");
const _: () = assert!(HEAD_BYTES_MAX >= HEAD_BYTES_MIN, "the default is allowed");
const _: () = assert!(HEAD_PROTECTED.as_secs() < HEAD_DEADLINE.as_secs(), "else it never counts");

/// What one server allows its clients, all of them together and each of them alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections, and so threads, at the same time; at least 1.
    pub connections_max: usize,
    /// Bytes of one request line with its header fields; at least [`HEAD_BYTES_MIN`].
    pub head_bytes_max: usize,
    /// From the first byte of a head to its end.
    pub head_deadline: Duration,
    /// Bytes of one request body; the framing of a chunked one counts.
    pub body_bytes_max: u64,
    /// Bytes of memory for the bodies of all connections together.
    pub bodies_bytes_max: usize,
    /// Bytes a second that a request body or an answer must move on average; at least 1.
    pub body_rate_min: u64,
    /// How long a request body or an answer may be behind that rate.
    pub grace: Duration,
    /// How long a connection may wait for the first byte of a request.
    pub idle_max: Duration,
    /// Requests after which a connection is closed; at least 1.
    pub requests_per_connection_max: u32,
    /// How long a connection without a whole head is safe from giving way to a new one.
    pub head_protected: Duration,
    /// Stack of each connection's thread, in bytes; the service runs on it.
    pub thread_stack_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: CONNECTIONS_MAX,
            head_bytes_max: HEAD_BYTES_MAX,
            head_deadline: HEAD_DEADLINE,
            body_bytes_max: BODY_BYTES_MAX,
            bodies_bytes_max: BODIES_BYTES_MAX,
            body_rate_min: BODY_RATE_MIN,
            grace: GRACE,
            idle_max: IDLE_MAX,
            requests_per_connection_max: REQUESTS_PER_CONNECTION_MAX,
            head_protected: HEAD_PROTECTED,
            thread_stack_bytes: THREAD_STACK_BYTES,
        }
    }
}
