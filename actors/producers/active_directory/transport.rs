//! Whole LDAP messages over one connection: in clear, over TLS, or sealed.

use std::io::Cursor;
use std::pin::Pin;
use std::time::Duration;

use rollcall_wire::ldap::{BerError, LIMIT, frame_length};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::DirectoryError;
use super::seal::Seal;

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Duplex for T {}

/// The maximum size of one read, in bytes.
pub(super) const READ: usize = 64 * 1024;

/// Whole messages over a connection. All methods are cancel-safe: no byte is lost or sent twice.
pub(super) struct Transport {
    stream: Pin<Box<dyn Duplex>>,
    seal: Option<Seal>,
    /// Received sealed bytes, up to the next whole buffer.
    sealed: Vec<u8>,
    /// Received messages in clear. The bytes before `consumed` are already returned.
    clear: Vec<u8>,
    consumed: usize,
    /// Bytes to send, already sealed if the connection is sealed.
    unsent: Cursor<Vec<u8>>,
    /// How long the server may be silent.
    limit: Duration,
}

impl Transport {
    /// A transport over `stream`. The server may be silent for `limit`.
    pub(super) fn new(stream: impl Duplex + 'static, limit: Duration) -> Self {
        let stream: Pin<Box<dyn Duplex>> = Box::pin(stream);
        let (sealed, clear, unsent) = (Vec::new(), Vec::new(), Cursor::default());
        Self { stream, seal: None, sealed, clear, consumed: 0, unsent, limit }
    }

    /// Seals all messages in both directions from now on.
    pub(super) fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    /// Sets how long the server may be silent.
    pub(super) fn set_timeout(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The connection, or `None` when unconsumed bytes were received. Bytes that arrive in clear
    /// before the TLS handshake must not count as part of the TLS session.
    pub(super) fn into_stream(self) -> Option<Pin<Box<dyn Duplex>>> {
        (self.consumed == self.clear.len()).then_some(self.stream)
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), DirectoryError> {
        self.put(message)?;
        self.flush().await
    }

    /// Appends one message to the send buffer.
    pub(super) fn put(&mut self, message: &[u8]) -> Result<(), DirectoryError> {
        let unsent = self.unsent.get_mut();
        match &mut self.seal {
            Some(seal) => unsent.extend(seal.close(message)?),
            None => unsent.extend_from_slice(message),
        }
        Ok(())
    }

    /// Sends the send buffer.
    pub(super) async fn flush(&mut self) -> Result<(), DirectoryError> {
        if self.unsent.get_ref().is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all_buf(&mut self.unsent).await?;
            self.stream.flush().await
        };
        timeout(self.limit, written).await.map_err(|_| DirectoryError::Silent(self.limit))??;
        self.unsent = Cursor::default();
        Ok(())
    }

    /// Waits for the next whole message.
    pub(super) async fn receive(&mut self) -> Result<&[u8], DirectoryError> {
        while self.length()?.is_none() {
            self.read().await?;
        }
        Ok(self.message()?.unwrap_or_default())
    }

    /// The next message, if it is received completely.
    pub(super) fn message(&mut self) -> Result<Option<&[u8]>, BerError> {
        let Some(length) = self.length()? else { return Ok(None) };
        self.consumed += length;
        Ok(Some(&self.clear[self.consumed - length..self.consumed]))
    }

    /// The length of the next message, if it is received completely.
    fn length(&self) -> Result<Option<usize>, BerError> {
        let unread = &self.clear[self.consumed..];
        Ok(frame_length(unread)?.filter(|length| *length <= unread.len()))
    }

    /// Reads until at least one more byte in clear is available.
    pub(super) async fn read(&mut self) -> Result<(), DirectoryError> {
        self.clear.drain(..self.consumed);
        self.consumed = 0;
        loop {
            let buffer = if self.seal.is_some() { &mut self.sealed } else { &mut self.clear };
            // The buffer has room for a full read, whatever the size of the last response was.
            buffer.reserve(READ);
            let reading = timeout(self.limit, self.stream.read_buf(buffer));
            let count = reading.await.map_err(|_| DirectoryError::Silent(self.limit))??;
            if count == 0 {
                let end = std::io::ErrorKind::UnexpectedEof;
                return Err(std::io::Error::new(end, "the server closed the connection").into());
            }
            let Some(seal) = &mut self.seal else { return Ok(()) };
            let mut opened = false;
            while let Some((length, rest)) = self.sealed.split_first_chunk::<4>() {
                // RFC 4422 section 3.7: the length precedes each buffer.
                let length = u32::from_be_bytes(*length) as usize;
                if length > LIMIT {
                    return Err(BerError::TooLong.into());
                }
                let Some(buffer) = rest.get(..length) else { break };
                self.clear.extend(seal.open(buffer)?);
                self.sealed.drain(..4 + length);
                opened = true;
            }
            if opened {
                return Ok(());
            }
        }
    }
}
