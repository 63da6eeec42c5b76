//! One connection as bytes: whole LDAP messages in and out, in clear, over TLS, or sealed.

use std::pin::Pin;
use std::time::Duration;

use rollcall_wire::ldap::{LIMIT, frame_length};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::Failure;
use super::seal::Seal;

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Duplex for T {}

/// How much is read at once.
const READ: usize = 64 * 1024;

/// Whole messages over a connection.
pub(super) struct Wire {
    stream: Pin<Box<dyn Duplex>>,
    seal: Option<Seal>,
    /// Sealed bytes, up to the next whole buffer.
    sealed: Vec<u8>,
    /// Messages, from `at` on not yet read.
    clear: Vec<u8>,
    at: usize,
    patience: Duration,
}

impl Wire {
    /// Over `stream`, whose other side may be silent for `patience`.
    pub(super) fn new(stream: impl Duplex + 'static, patience: Duration) -> Self {
        let stream: Pin<Box<dyn Duplex>> = Box::pin(stream);
        let (sealed, clear) = (Vec::new(), Vec::new());
        Self { stream, seal: None, sealed, clear, at: 0, patience }
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
    pub(super) async fn send(&mut self, message: &[u8]) -> Result<(), Failure> {
        let sealed = match &mut self.seal {
            Some(seal) => Some(seal.close(message)?),
            None => None,
        };
        let bytes = sealed.as_deref().unwrap_or(message);
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(self.patience, written).await.map_err(|_| Failure::Silent(self.patience))??;
        Ok(())
    }

    /// The next message, whole.
    pub(super) async fn receive(&mut self) -> Result<&[u8], Failure> {
        let length = loop {
            match frame_length(&self.clear[self.at..])? {
                Some(length) if length <= self.clear.len() - self.at => break length,
                _ => self.read().await?,
            }
        };
        self.at += length;
        Ok(&self.clear[self.at - length..self.at])
    }

    /// Reads on, until there are more clear bytes.
    async fn read(&mut self) -> Result<(), Failure> {
        self.clear.drain(..self.at);
        self.at = 0;
        loop {
            let buffer = if self.seal.is_some() { &mut self.sealed } else { &mut self.clear };
            // One answer may be long, and the next thousand short.
            buffer.reserve(READ);
            let reading = timeout(self.patience, self.stream.read_buf(buffer));
            let count = reading.await.map_err(|_| Failure::Silent(self.patience))??;
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
                    return Err(rollcall_wire::ldap::BadBer::Long.into());
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
