//! Syslog over TCP (RFC 6587) and TLS (RFC 5425). Each connection belongs to one client.

use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::{Either, select};
use rollcall_wire::syslog::SyslogFramer;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificate::peer_names;
use super::clients::Client;
use super::decoder::{BATCH, SyslogDecoder};
use super::{Reading, Syslog, failed};
use crate::telemetry::{SenderUnknown, StreamClosed, StreamRefused};
use crate::{EventSink, ProducerError, StopSignal};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The timeout of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The limit of concurrent handshakes from addresses that belong to no client.
const HANDSHAKES: usize = 256;

/// The size of one read. A connection starts with the smallest size, and each read that fills its
/// buffer doubles it: thousands of quiet senders need little memory, and a busy one fills whole
/// batches. A connection buffers this much and one incomplete message.
const READ_SIZE: RangeInclusive<usize> = 8 * 1024..=256 * 1024;

/// The pause of the acceptor after the system refused a socket (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts on all stream listeners until `stop`, and then waits until all connections have submitted
/// what they had read.
pub(super) fn accept_all(
    syslog: &Arc<Syslog>,
    sink: &EventSink,
    stop: &StopSignal,
) -> Result<Vec<Reading>, ProducerError> {
    let connections = Arc::new(Connections::default());
    let mut readers: Vec<Reading> = Vec::new();
    for stream in &syslog.streams {
        let tls = syslog.tls.as_ref().filter(|_| stream.transport == "tls");
        let listener = stream.socket.try_clone().and_then(tokio_listener);
        let listening = StreamListener {
            syslog: Arc::clone(syslog),
            sink: sink.clone(),
            stop: stop.clone(),
            tls: tls.cloned().map(TlsAcceptor::from),
            connections: Arc::clone(&connections),
        };
        let accepting =
            tokio::task::spawn_local(listening.accept(listener.map_err(|e| failed(&e))?));
        readers.push(Box::pin(async move {
            accepting.await.map_err(|ended| ProducerError(format!("an acceptor ended: {ended}")))
        }));
    }
    Ok(readers)
}

fn tokio_listener(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener)
}

/// A listener, and what its connections need.
#[derive(Clone)]
struct StreamListener {
    syslog: Arc<Syslog>,
    sink: EventSink,
    stop: StopSignal,
    tls: Option<TlsAcceptor>,
    connections: Arc<Connections>,
}

/// The connections at all listeners of a producer.
#[derive(Default)]
struct Connections {
    /// Connections of identified clients.
    open: AtomicUsize,
    /// Connections in the TLS handshake, before the certificate identifies the client.
    handshaking: AtomicUsize,
}

impl StreamListener {
    async fn accept(self, listener: tokio::net::TcpListener) {
        let (mut stop, mut tasks) = (self.stop.clone(), JoinSet::new());
        loop {
            let accepted = {
                let (accept, stopped) = (pin!(listener.accept()), pin!(stop.requested()));
                match select(stopped, accept).await {
                    Either::Left(_) => break,
                    Either::Right((accepted, _)) => accepted,
                }
            };
            match accepted {
                Ok((stream, peer)) => {
                    drop(tasks.spawn_local(self.clone().serve(stream, peer)));
                }
                // Too many open files: other connections will close.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
            while tasks.try_join_next().is_some() {}
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Serves one connection until it ends.
    async fn serve(mut self, stream: TcpStream, peer: SocketAddr) {
        let (producer, connections) =
            (self.sink.producer().to_owned(), Arc::clone(&self.connections));
        let known = self.syslog.clients.at(peer.ip()).cloned();
        if known.is_none() && self.tls.is_none() {
            return self.refuse_unknown(peer);
        }
        let Some(acceptor) = self.tls.clone() else {
            return self.listen(stream, peer, known).await;
        };
        // A separate limit: unknown senders that never complete a handshake must not lock out clients.
        let place = ConnectionPermit::acquire(&connections.handshaking, HANDSHAKES);
        if place.is_none() && known.is_none() {
            return StreamRefused { producer: &producer, peer, reason: "too_many" }.emit();
        }
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                drop(place);
                let names = peer_names(stream.get_ref().1);
                let known = self.syslog.clients.named(&names).cloned().or(known);
                self.listen(stream, peer, known).await;
            }
            Ok(Err(_)) => StreamRefused { producer: &producer, peer, reason: "tls" }.emit(),
            Err(_) => StreamRefused { producer: &producer, peer, reason: "tls_slow" }.emit(),
        }
    }

    /// Refuses a connection that neither its address nor its certificate assigns to a client.
    fn refuse_unknown(&self, peer: SocketAddr) {
        let producer = self.sink.producer();
        if let Some(unlogged) = self.syslog.unknown_senders.admit(self.syslog.clock.now()) {
            SenderUnknown { producer, source: peer.ip().to_canonical(), unlogged }.emit();
        }
        StreamRefused { producer, peer, reason: "sender_unknown" }.emit();
    }

    async fn listen(
        &mut self,
        mut stream: impl AsyncRead + Unpin,
        peer: SocketAddr,
        client: Option<Arc<Client>>,
    ) {
        let producer = self.sink.producer().to_owned();
        let Some(client) = client else {
            return self.refuse_unknown(peer);
        };
        let connections = Arc::clone(&self.connections);
        let Some(_any) =
            ConnectionPermit::acquire(&connections.open, self.syslog.limits.connections)
        else {
            return StreamRefused { producer: &producer, peer, reason: "too_many" }.emit();
        };
        let limit = self.syslog.limits.connections_per_client;
        let Some(_place) = ConnectionPermit::acquire(&client.streams, limit) else {
            return StreamRefused { producer: &producer, peer, reason: "too_many_of_client" }
                .emit();
        };
        let mut decoder = self.syslog.decoder(&self.sink, &self.stop);
        let reason = self.read(&mut stream, &client, &mut decoder).await;
        decoder.settle().await;
        StreamClosed { producer: &producer, client: client.name.as_str(), peer, reason }.emit();
    }

    /// Reads until the sender, the idle timeout or the stop signal ends the connection. Returns the
    /// reason.
    async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        client: &Client,
        decoder: &mut SyslogDecoder,
    ) -> &'static str {
        let mut framer = SyslogFramer::new(self.syslog.limits.message_size);
        let mut room = *READ_SIZE.start();
        loop {
            let memory = framer.room(room);
            let offered = memory.len();
            let read = tokio::time::timeout(self.syslog.limits.idle_timeout, stream.read(memory));
            // The stop signal is polled first: a sender that never pauses would hide it.
            let length = match select(pin!(self.stop.requested()), pin!(read)).await {
                Either::Left(_) => return "stopping",
                Either::Right((Ok(Ok(0)), _)) => {
                    take_last(decoder, &mut framer, client);
                    return "closed";
                }
                Either::Right((Ok(Ok(length)), _)) => length,
                Either::Right((Ok(Err(_)), _)) => return "broken",
                Either::Right((Err(_), _)) => return "idle",
            };
            framer.filled(length);
            if length == offered {
                room = READ_SIZE.end().min(&(2 * room)).to_owned();
            }
            while take_some(decoder, &mut framer, client) {
                decoder.flush().await;
            }
            if framer.is_lost() {
                return "no_framing";
            }
        }
    }
}

/// Decodes up to one batch of messages. Returns whether there was any.
fn take_some(decoder: &mut SyslogDecoder, framer: &mut SyslogFramer, client: &Client) -> bool {
    let now = decoder.clock.now();
    for taken in 0..BATCH {
        match framer.next_frame() {
            Some(Ok(message)) => decoder.take(client, message, now),
            Some(Err(problem)) => decoder.broken(problem),
            None => return taken > 0,
        }
    }
    true
}

fn take_last(decoder: &mut SyslogDecoder, framer: &mut SyslogFramer, client: &Client) {
    let now = decoder.clock.now();
    match framer.finish() {
        Some(Ok(message)) => decoder.take(client, message, now),
        Some(Err(problem)) => decoder.broken(problem),
        None => {}
    }
}

/// One permit of a limited number. It is returned when it is dropped.
struct ConnectionPermit<'a>(&'a AtomicUsize);

impl<'a> ConnectionPermit<'a> {
    fn acquire(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let before = count.fetch_add(1, SeqCst);
        let permit = Self(count);
        (before < limit).then_some(permit)
    }
}

impl Drop for ConnectionPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
