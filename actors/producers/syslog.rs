//! Syslog: lines from firewalls, VPN gateways, DHCP and RADIUS servers, over UDP, TCP and TLS.
//!
//! Sockets are bound once and shared with the next generation of a failed actor, so that the kernel
//! buffers what arrives in between. Lines are decoded where they are received; only events are
//! submitted.

mod certificate;
mod clients;
mod decoder;
pub(crate) mod factory;
mod fair_share;
mod stream;
mod udp;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rollcall_config as config;
use rollcall_identity::Producer as ProducerKind;
use rustls::ServerConfig;

use self::clients::Clients;
pub use self::clients::defaults;
use super::{EventSink, Producer, ProducerError, ProducerFuture, StopSignal};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::log_rate_limit::LogRateLimit;

/// A syslog producer whose sockets are bound.
pub struct Syslog {
    udp: Vec<Bound<udp::Socket>>,
    streams: Vec<Bound<TcpListener>>,
    tls: Option<Arc<ServerConfig>>,
    clients: Arc<Clients>,
    unknown_senders: Arc<LogRateLimit>,
    limits: config::SyslogLimits,
    clock: Clock,
}

/// A socket and its configured address. The next generation takes the socket over if the address
/// stays.
struct Bound<S> {
    transport: &'static str,
    asked: SocketAddr,
    socket: S,
}

impl<S> Bound<S> {
    /// Takes over the socket with the same address from `before`, or binds a new one.
    fn new<'a>(
        (transport, asked): (&'static str, SocketAddr),
        before: impl IntoIterator<Item = &'a Self>,
        duplicate: impl Fn(&S) -> io::Result<S>,
        bind: impl Fn() -> io::Result<S>,
    ) -> io::Result<Self>
    where
        S: 'a,
    {
        let same = |bound: &&Self| {
            let kind = (bound.transport == "udp") == (transport == "udp");
            kind && bound.asked == asked
        };
        let socket = match before.into_iter().find(same) {
            Some(bound) => duplicate(&bound.socket),
            None => bind(),
        };
        let socket = socket.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {transport} {asked}: {error}"))
        })?;
        Ok(Self { transport, asked, socket })
    }
}

impl Syslog {
    /// Binds the sockets of `settings`, or takes them over from one of the producers `before`. `tls`
    /// is the configuration of the TLS listeners.
    ///
    /// # Errors
    /// The address that could not be bound, with the system's error.
    pub fn bind(
        settings: &config::Syslog,
        tls: Option<Arc<ServerConfig>>,
        clock: Clock,
        before: &[&Self],
    ) -> io::Result<Self> {
        let buffer = settings.limits.receive_buffer;
        let udp = settings.udp.iter().map(|asked| {
            let before = before.iter().flat_map(|before| &before.udp);
            let take_over = |socket: &udp::Socket| socket.take_over(buffer);
            Bound::new(("udp", *asked), before, take_over, || udp::Socket::bind(*asked, buffer))
        });
        let plain = settings.tcp.iter().map(|asked| ("tcp", *asked));
        let secure = settings.tls.iter().flat_map(|tls| &tls.listen).map(|asked| ("tls", *asked));
        let streams = plain.chain(secure).map(|wanted| {
            let before = before.iter().flat_map(|before| &before.streams);
            Bound::new(wanted, before, TcpListener::try_clone, || {
                let listener = TcpListener::bind(wanted.1)?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            })
        });
        Ok(Self {
            udp: udp.collect::<io::Result<_>>()?,
            streams: streams.collect::<io::Result<_>>()?,
            tls,
            clients: Arc::new(Clients::new(settings)),
            unknown_senders: Arc::default(),
            limits: settings.limits.clone(),
            clock,
        })
    }

    /// The listeners: transport and address, with the port that the system assigned if port 0 is
    /// configured.
    pub fn listening(&self) -> Vec<(&'static str, SocketAddr)> {
        let udp = self.udp.iter().map(|udp| (udp.transport, udp.socket.local_addr()));
        let streams = self.streams.iter().map(|tcp| (tcp.transport, tcp.socket.local_addr()));
        udp.chain(streams).filter_map(|(kind, address)| Some((kind, address.ok()?))).collect()
    }
}

impl Producer for Syslog {
    fn kind(&self) -> ProducerKind {
        ProducerKind::Syslog
    }

    fn run(self: Arc<Self>, sink: EventSink, stop: StopSignal) -> ProducerFuture {
        Box::pin(async move {
            let mut readers = stream::accept_all(&self, &sink, &stop)?;
            for udp in &self.udp {
                let socket = udp.socket.share().map_err(|e| failed(&e))?;
                let (decoder, limit) = (self.decoder(&sink, &stop), self.limits.message_size);
                let thread = udp::start(socket, decoder, limit, stop.clone());
                let ended = thread.map_err(|e| failed(&e))?;
                readers.push(Box::pin(async move {
                    ended.await.map_err(|_| ProducerError("a UDP reader panicked".into()))?
                }));
            }
            // A reader that ends without a stop request ends the producer: the next generation
            // continues with the same sockets.
            let mut readers: FuturesUnordered<_> = readers.into_iter().collect();
            while let Some(ended) = readers.next().await {
                ended?;
                if !stop.is_requested() {
                    return Err(ProducerError("a reader ended without a stop request".into()));
                }
            }
            stop.clone().requested().await;
            Ok(())
        })
    }
}

/// The reader of a socket. It resolves when the reader ends.
type Reading = Pin<Box<dyn Future<Output = Result<(), ProducerError>>>>;

fn failed(error: &io::Error) -> ProducerError {
    ProducerError(error.to_string())
}

#[cfg(test)]
mod tests;
