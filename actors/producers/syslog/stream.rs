//! Streams: TCP (RFC 6587) and TLS (RFC 5425), each connection bound to one client from its first
//! byte to its last.

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

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How many may be in a handshake who send from no known address.
const HANDSHAKES: usize = 256;

/// How much is read at once. A connection begins with the least, and has room for twice as much after
/// each read that filled it: thousands of quiet senders cost little, and a busy one gives whole
/// batches. It holds this much and one unfinished message.
const READ: RangeInclusive<usize> = 8 * 1024..=256 * 1024;

/// How long the acceptor waits after the system refused it a socket (too many open files).
const BREATH: Duration = Duration::from_millis(100);

/// Accepts on all stream listeners until `stop`, and then until the last connection has handed
/// over what it had read.
pub(super) fn accept_all(
    syslog: &Arc<Syslog>,
    sink: &EventSink,
    stop: &StopSignal,
) -> Result<Vec<Reading>, ProducerError> {
    let guests = Arc::new(Guests::default());
    let mut readers: Vec<Reading> = Vec::new();
    for stream in &syslog.streams {
        let tls = syslog.tls.as_ref().filter(|_| stream.transport == "tls");
        let listener = stream.socket.try_clone().and_then(tokio_listener);
        let door = Door {
            syslog: Arc::clone(syslog),
            sink: sink.clone(),
            stop: stop.clone(),
            tls: tls.cloned().map(TlsAcceptor::from),
            guests: Arc::clone(&guests),
        };
        let accepting = tokio::task::spawn_local(door.accept(listener.map_err(|e| failed(&e))?));
        readers.push(Box::pin(async move {
            accepting.await.map_err(|ended| ProducerError(format!("an acceptor ended: {ended}")))
        }));
    }
    Ok(readers)
}

fn tokio_listener(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::from_std(listener)
}

/// One listener and what its connections need.
#[derive(Clone)]
struct Door {
    syslog: Arc<Syslog>,
    sink: EventSink,
    stop: StopSignal,
    tls: Option<TlsAcceptor>,
    guests: Arc<Guests>,
}

/// Who is there, at all doors of a producer.
#[derive(Default)]
struct Guests {
    /// Connections of clients.
    open: AtomicUsize,
    /// Connections of whoever it may be, before their certificate is seen.
    shaking_hands: AtomicUsize,
}

impl Door {
    async fn accept(self, listener: tokio::net::TcpListener) {
        let (mut stop, mut connections) = (self.stop.clone(), JoinSet::new());
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
                    drop(connections.spawn_local(self.clone().serve(stream, peer)));
                }
                // Too many open files: others will close theirs.
                Err(_) => tokio::time::sleep(BREATH).await,
            }
            while connections.try_join_next().is_some() {}
        }
        while connections.join_next().await.is_some() {}
    }

    /// One connection, from its first byte to its last.
    async fn serve(mut self, stream: TcpStream, peer: SocketAddr) {
        let (producer, guests) = (self.sink.producer().to_owned(), Arc::clone(&self.guests));
        let known = self.syslog.clients.at(peer.ip()).cloned();
        if known.is_none() && self.tls.is_none() {
            return self.turn_away(peer);
        }
        let Some(acceptor) = self.tls.clone() else {
            return self.listen(stream, peer, known).await;
        };
        // A place of their own: unknown_senders who never finish must not keep the clients out.
        let place = Guest::enter(&guests.shaking_hands, HANDSHAKES);
        if place.is_none() && known.is_none() {
            return StreamRefused { producer: &producer, peer, reason: "too_many" }.emit();
        }
        match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
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

    /// Refuses a stream from an address of no client, which showed no certificate of one.
    fn turn_away(&self, peer: SocketAddr) {
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
            return self.turn_away(peer);
        };
        let guests = Arc::clone(&self.guests);
        let Some(_any) = Guest::enter(&guests.open, self.syslog.limits.connections) else {
            return StreamRefused { producer: &producer, peer, reason: "too_many" }.emit();
        };
        let limit = self.syslog.limits.connections_per_client;
        let Some(_place) = Guest::enter(&client.streams, limit) else {
            return StreamRefused { producer: &producer, peer, reason: "too_many_of_client" }
                .emit();
        };
        let mut decoder = self.syslog.decoder(&self.sink, &self.stop);
        let reason = self.read(&mut stream, &client, &mut decoder).await;
        decoder.settle().await;
        StreamClosed { producer: &producer, client: client.name.as_str(), peer, reason }.emit();
    }

    /// Reads until the sender, the clock or the supervisor ends it; says which it was.
    async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        client: &Client,
        decoder: &mut SyslogDecoder,
    ) -> &'static str {
        let mut framer = SyslogFramer::new(self.syslog.limits.message_bytes);
        let mut room = *READ.start();
        loop {
            let memory = framer.room(room);
            let offered = memory.len();
            let read = tokio::time::timeout(self.syslog.limits.idle, stream.read(memory));
            // The word to stop first: a sender that never pauses would never let it be heard.
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
                room = READ.end().min(&(2 * room)).to_owned();
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

/// Takes up to a batch of messages; whether there was any.
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

/// One more of a limited number, until it is dropped.
struct Guest<'a>(&'a AtomicUsize);

impl<'a> Guest<'a> {
    fn enter(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let before = count.fetch_add(1, SeqCst);
        let guest = Self(count);
        (before < limit).then_some(guest)
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
