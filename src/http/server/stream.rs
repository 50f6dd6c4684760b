//! A client's byte stream, plain or through TLS, so that all above it is written once.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ServerConfig;

use super::tls::{HANDSHAKE, Session};
#[cfg(any(test, fuzzing))]
use super::trial::Script;

/// The socket alone, or the socket under TLS.
#[derive(Debug)]
pub(super) enum Stream<'s> {
    Plain(&'s TcpStream),
    Tls(&'s TcpStream, Session),
    /// Bytes from a script; the socket is there for its options alone.
    #[cfg(any(test, fuzzing))]
    Scripted(&'s TcpStream, &'s Script),
}

impl<'s> Stream<'s> {
    pub(super) fn socket(&self) -> &'s TcpStream {
        match self {
            Stream::Plain(socket) | Stream::Tls(socket, _) => socket,
            #[cfg(any(test, fuzzing))]
            Stream::Scripted(socket, _) => socket,
        }
    }

    /// Whether the client begins as one of TLS does; takes nothing of it.
    pub(super) fn peeks_at_tls(&mut self) -> io::Result<bool> {
        let mut first = [0];
        match self.socket().peek(&mut first)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(first == [HANDSHAKE]),
        }
    }

    /// From here on bytes are TLS.
    pub(super) fn begin_tls(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        *self = Stream::Tls(self.socket(), Session::new(config)?);
        Ok(())
    }

    pub(super) fn is_handshaking(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(_, session) => session.is_handshaking(),
            #[cfg(any(test, fuzzing))]
            Stream::Scripted(..) => false,
        }
    }

    /// One step of a handshake; 0 is the end of the stream.
    pub(super) fn turn(&mut self) -> io::Result<usize> {
        match self {
            Stream::Plain(_) => Ok(0),
            Stream::Tls(socket, session) => session.turn(socket),
            #[cfg(any(test, fuzzing))]
            Stream::Scripted(..) => Ok(0),
        }
    }

    /// Reads once; `Interrupted` when what came is only a part of a TLS record.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(into),
            Stream::Tls(socket, session) => session.read(socket, into),
            #[cfg(any(test, fuzzing))]
            Stream::Scripted(_, script) => Ok(script.read(into)),
        }
    }

    /// Takes from the slices what it can and sends in one system call; answers with the bytes
    /// that the kernel took.
    pub(super) fn send(&mut self, slices: &mut &mut [IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => {
                let count = socket.write_vectored(slices)?;
                IoSlice::advance_slices(slices, count);
                Ok(count)
            }
            Stream::Tls(socket, session) => {
                let taken = session.take(slices)?;
                IoSlice::advance_slices(slices, taken);
                session.flush(socket)
            }
            #[cfg(any(test, fuzzing))]
            Stream::Scripted(_, script) => {
                let count = script.write(slices);
                IoSlice::advance_slices(slices, count);
                Ok(count)
            }
        }
    }

    /// Whether bytes were taken that are not sent yet.
    pub(super) fn owes(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            Stream::Tls(_, session) => session.owes(),
            #[cfg(any(test, fuzzing))]
            Stream::Scripted(..) => false,
        }
    }

    /// Says that nothing more will be sent, where the protocol has a word for it.
    ///
    /// What still comes is not decrypted any more: nobody will look at it.
    pub(super) fn part(&mut self) {
        if let Stream::Tls(socket, session) = self {
            session.finish(socket);
            *self = Stream::Plain(socket);
        }
    }
}
