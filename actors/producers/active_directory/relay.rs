//! The relay between the transport of a connection and the LDAP library. It seals requests, and
//! opens and validates responses.

use std::io::{self, Cursor};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rollcall_wire::ldap::{GuardVerdict, ResponseGuard, frame_length};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::DirectoryError;
use super::transport::{READ, Transport};

/// Forwards whole messages in both directions.
///
/// It runs only while the connection waits for a response and the library has none buffered:
/// responses are not read faster than they are processed.
pub(super) struct Relay {
    wire: Transport,
    guard: ResponseGuard,
    /// The local end of the socket pair that the library uses.
    end: UnixStream,
    /// Bytes from the library, up to the next whole request.
    requests: Vec<u8>,
    /// Validated responses that the library has not accepted yet.
    responses: Cursor<Vec<u8>>,
}

impl Relay {
    /// A relay over `wire`, and the end of the socket pair for the library.
    ///
    /// # Errors
    /// When the system cannot create a socket pair.
    pub(super) fn new(wire: Transport) -> io::Result<(Self, StdUnixStream)> {
        let (end, theirs) = StdUnixStream::pair()?;
        end.set_nonblocking(true)?;
        let (guard, end) = (ResponseGuard::default(), UnixStream::from_std(end)?);
        let (requests, responses) = (Vec::new(), Cursor::default());
        Ok((Self { wire, guard, end, requests, responses }, theirs))
    }

    /// Sets how long the server may be silent.
    pub(super) fn set_timeout(&mut self, limit: Duration) {
        self.wire.set_timeout(limit);
    }

    /// Forwards the next bytes in one direction. It is cancel-safe.
    pub(super) async fn step(&mut self) -> Result<(), DirectoryError> {
        // Nothing is read meanwhile. There is one request at a time, and it fits into the socket
        // buffers even if the server is still writing.
        self.wire.flush().await?;
        self.validate_responses()?;
        if self.has_responses() {
            self.end.write_all_buf(&mut self.responses).await?;
            return Ok(());
        }
        tokio::select! {
            count = self.end.read_buf(&mut self.requests) => match count? {
                0 => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
                _ => self.forward_requests(),
            },
            read = self.wire.read() => read,
        }
    }

    /// Queues each whole request that the library has written.
    fn forward_requests(&mut self) -> Result<(), DirectoryError> {
        while let Some(length) = frame_length(&self.requests)?
            && length <= self.requests.len()
        {
            let request = &self.requests[..length];
            self.guard.request(request)?;
            self.wire.put(request)?;
            self.requests.drain(..length);
        }
        Ok(())
    }

    /// Validates whole responses that were received, up to the size of one read.
    fn validate_responses(&mut self) -> Result<(), DirectoryError> {
        if self.has_responses() {
            return Ok(());
        }
        self.responses.set_position(0);
        let responses = self.responses.get_mut();
        responses.clear();
        while responses.len() < READ
            && let Some(response) = self.wire.message()?
        {
            match self.guard.check(response)? {
                GuardVerdict::Forward => responses.extend_from_slice(response),
                GuardVerdict::Disconnection(outcome) => {
                    return Err(DirectoryError::Closed(outcome));
                }
            }
        }
        Ok(())
    }

    /// Whether there are responses that the library has not accepted yet.
    fn has_responses(&self) -> bool {
        self.responses.position() < self.responses.get_ref().len() as u64
    }
}
