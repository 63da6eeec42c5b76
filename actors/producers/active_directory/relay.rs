//! What stands between a connection and the library that speaks LDAP over it: requests are sealed on
//! their way out, answers are opened and looked through on their way in.

use std::io::{self, Cursor};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rollcall_wire::ldap::{GuardVerdict, ResponseGuard, frame_length};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::DirectoryError;
use super::transport::{READ, Transport};

/// Passes whole messages on, both ways.
///
/// It runs only while its owner waits for an answer, and only when the library has nothing to give:
/// a server is not read faster than its answers are used.
pub(super) struct Relay {
    wire: Transport,
    guard: ResponseGuard,
    /// Our end of the stream over which the library speaks.
    end: UnixStream,
    /// What the library asks, up to the next whole request.
    asked: Vec<u8>,
    /// Answers that were looked through, until the library has room for them.
    answers: Cursor<Vec<u8>>,
}

impl Relay {
    /// Before `wire`, with the end of the stream that is given to the library.
    ///
    /// # Errors
    /// When the system has no room for a pair of sockets.
    pub(super) fn new(wire: Transport) -> io::Result<(Self, StdUnixStream)> {
        let (end, theirs) = StdUnixStream::pair()?;
        end.set_nonblocking(true)?;
        let (guard, end) = (ResponseGuard::default(), UnixStream::from_std(end)?);
        let (asked, answers) = (Vec::new(), Cursor::default());
        Ok((Self { wire, guard, end, asked, answers }, theirs))
    }

    /// From now on, the server may be silent for `patience`.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.wire.set_patience(patience);
    }

    /// Carries what there is to carry, a step of the way. It may be given up and begun again.
    pub(super) async fn step(&mut self) -> Result<(), DirectoryError> {
        // Nothing is read meanwhile: there is one request at a time, and it is shorter than what a
        // system keeps for a server that is still writing.
        self.wire.flush().await?;
        self.look_through()?;
        if self.waiting() {
            self.end.write_all_buf(&mut self.answers).await?;
            return Ok(());
        }
        tokio::select! {
            count = self.end.read_buf(&mut self.asked) => match count? {
                0 => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
                _ => self.request(),
            },
            read = self.wire.read() => read,
        }
    }

    /// Puts each whole request that the library has written on its way.
    fn request(&mut self) -> Result<(), DirectoryError> {
        while let Some(length) = frame_length(&self.asked)?
            && length <= self.asked.len()
        {
            let request = &self.asked[..length];
            self.guard.request(request)?;
            self.wire.put(request)?;
            self.asked.drain(..length);
        }
        Ok(())
    }

    /// Looks through the whole answers that were received, as many as are passed on at once.
    fn look_through(&mut self) -> Result<(), DirectoryError> {
        if self.waiting() {
            return Ok(());
        }
        self.answers.set_position(0);
        let answers = self.answers.get_mut();
        answers.clear();
        while answers.len() < READ
            && let Some(answer) = self.wire.message()?
        {
            match self.guard.check(answer)? {
                GuardVerdict::Forward => answers.extend_from_slice(answer),
                GuardVerdict::Disconnection(outcome) => {
                    return Err(DirectoryError::Closed(outcome));
                }
            }
        }
        Ok(())
    }

    /// Whether there are answers that the library had no room for.
    fn waiting(&self) -> bool {
        self.answers.position() < self.answers.get_ref().len() as u64
    }
}
