//! One connection as bytes: whole LDAP messages in and out, in clear, over TLS, or sealed.

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

/// How much is read at once.
pub(super) const READ: usize = 64 * 1024;

/// Whole messages over a connection. Whatever is waited for here may be given up and waited for
/// again: no byte is lost or sent twice.
pub(super) struct Transport {
    stream: Pin<Box<dyn Duplex>>,
    seal: Option<Seal>,
    /// Sealed bytes, up to the next whole buffer.
    sealed: Vec<u8>,
    /// Messages, from `at` on not yet read.
    clear: Vec<u8>,
    at: usize,
    /// What is to be sent, sealed if everything is.
    unsent: Cursor<Vec<u8>>,
    patience: Duration,
}

impl Transport {
    /// Over `stream`, whose other side may be silent for `patience`.
    pub(super) fn new(stream: impl Duplex + 'static, patience: Duration) -> Self {
        let stream: Pin<Box<dyn Duplex>> = Box::pin(stream);
        let (sealed, clear, unsent) = (Vec::new(), Vec::new(), Cursor::default());
        Self { stream, seal: None, sealed, clear, at: 0, unsent, patience }
    }

    /// From now on, everything is sealed both ways.
    pub(super) fn seal(&mut self, seal: Seal) {
        self.seal = Some(seal);
    }

    /// From now on, the other side may be silent for `patience`.
    pub(super) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The connection itself, when nothing of it was read that was not asked for: what came in
    /// clear before TLS must not count as said within it.
    pub(super) fn into_stream(self) -> Option<Pin<Box<dyn Duplex>>> {
        (self.at == self.clear.len()).then_some(self.stream)
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), DirectoryError> {
        self.put(message)?;
        self.flush().await
    }

    /// Puts one message behind what is to be sent.
    pub(super) fn put(&mut self, message: &[u8]) -> Result<(), DirectoryError> {
        let unsent = self.unsent.get_mut();
        match &mut self.seal {
            Some(seal) => unsent.extend(seal.close(message)?),
            None => unsent.extend_from_slice(message),
        }
        Ok(())
    }

    /// Sends what is to be sent.
    pub(super) async fn flush(&mut self) -> Result<(), DirectoryError> {
        if self.unsent.get_ref().is_empty() {
            return Ok(());
        }
        let written = async {
            self.stream.write_all_buf(&mut self.unsent).await?;
            self.stream.flush().await
        };
        timeout(self.patience, written)
            .await
            .map_err(|_| DirectoryError::Silent(self.patience))??;
        self.unsent = Cursor::default();
        Ok(())
    }

    /// The next message, whole.
    pub(super) async fn receive(&mut self) -> Result<&[u8], DirectoryError> {
        while self.length()?.is_none() {
            self.read().await?;
        }
        Ok(self.message()?.unwrap_or_default())
    }

    /// The next message, if all of it has been read.
    pub(super) fn message(&mut self) -> Result<Option<&[u8]>, BerError> {
        let Some(length) = self.length()? else { return Ok(None) };
        self.at += length;
        Ok(Some(&self.clear[self.at - length..self.at]))
    }

    /// The length of the next message, if all of it has been read.
    fn length(&self) -> Result<Option<usize>, BerError> {
        let unread = &self.clear[self.at..];
        Ok(frame_length(unread)?.filter(|length| *length <= unread.len()))
    }

    /// Reads on, until there are more clear bytes.
    pub(super) async fn read(&mut self) -> Result<(), DirectoryError> {
        self.clear.drain(..self.at);
        self.at = 0;
        loop {
            let buffer = if self.seal.is_some() { &mut self.sealed } else { &mut self.clear };
            // One answer may be long, and the next thousand short.
            buffer.reserve(READ);
            let reading = timeout(self.patience, self.stream.read_buf(buffer));
            let count = reading.await.map_err(|_| DirectoryError::Silent(self.patience))??;
            if count == 0 {
                let end = std::io::ErrorKind::UnexpectedEof;
                return Err(std::io::Error::new(end, "the server ended it").into());
            }
            let Some(seal) = &mut self.seal else { return Ok(()) };
            let mut opened = false;
            while let Some((length, rest)) = self.sealed.split_first_chunk::<4>() {
                // RFC 4422 section 3.7: each buffer has its length before it.
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
