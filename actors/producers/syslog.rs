//! Syslog: lines from firewalls, VPN gateways, DHCP and RADIUS servers, over UDP, TCP and TLS.
//!
//! Sockets are bound once and shared with every successor of a failed actor, so that the kernel
//! keeps what arrives in between. Lines are read where they are received; only events travel on.

mod certificate;
mod clients;
mod intake;
mod stream;
mod udp;

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

use rollcall_config as config;
use rollcall_identity::Producer as Word;
use rustls::ServerConfig;

use self::clients::Clients;
pub use self::clients::defaults;
use super::{Outlet, Producer, ProducerFailed, Running, Stop};
use crate::clock::Clock;
use crate::sampling::Sample;

/// A syslog producer whose sockets are bound.
pub struct Syslog {
    udp: Vec<Bound<UdpSocket>>,
    streams: Vec<Bound<TcpListener>>,
    tls: Option<Arc<ServerConfig>>,
    clients: Arc<Clients>,
    strangers: Arc<Sample>,
    limits: config::SyslogLimits,
    clock: Clock,
}

/// A socket, and what it was asked to be: its successor takes it over when it is asked for the same.
struct Bound<S> {
    transport: &'static str,
    asked: SocketAddr,
    socket: S,
}

impl<S> Bound<S> {
    /// Takes over the same socket of `before`, or binds a new one.
    fn new(
        (transport, asked): (&'static str, SocketAddr),
        before: Option<&[Self]>,
        duplicate: impl Fn(&S) -> io::Result<S>,
        bind: impl Fn() -> io::Result<S>,
    ) -> io::Result<Self> {
        let same = |bound: &&Self| bound.transport == transport && bound.asked == asked;
        let socket = match before.unwrap_or_default().iter().find(same) {
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
    /// Binds what `settings` names, or takes it over from the producer `before`. `tls` serves its
    /// TLS listeners.
    ///
    /// # Errors
    /// Which address could not be bound, and why.
    pub fn bind(
        settings: &config::Syslog,
        tls: Option<Arc<ServerConfig>>,
        clock: Clock,
        before: Option<&Self>,
    ) -> io::Result<Self> {
        let buffer = settings.limits.receive_buffer;
        let udp = settings.udp.iter().map(|asked| {
            let before = before.map(|before| &*before.udp);
            Bound::new(("udp", *asked), before, UdpSocket::try_clone, || udp::bind(*asked, buffer))
        });
        let plain = settings.tcp.iter().map(|asked| ("tcp", *asked));
        let secure = settings.tls.iter().flat_map(|tls| &tls.listen).map(|asked| ("tls", *asked));
        let streams = plain.chain(secure).map(|wanted| {
            let before = before.map(|before| &*before.streams);
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
            strangers: Arc::default(),
            limits: settings.limits.clone(),
            clock,
        })
    }

    /// Where it listens: the kind of transport and the address, with the port that was given when
    /// port 0 was asked for.
    pub fn listening(&self) -> Vec<(&'static str, SocketAddr)> {
        let udp = self.udp.iter().map(|udp| (udp.transport, udp.socket.local_addr()));
        let streams = self.streams.iter().map(|tcp| (tcp.transport, tcp.socket.local_addr()));
        udp.chain(streams).filter_map(|(kind, address)| Some((kind, address.ok()?))).collect()
    }
}

impl Producer for Syslog {
    fn word(&self) -> Word {
        Word::Syslog
    }

    fn run(self: Arc<Self>, outlet: Outlet, stop: Stop) -> Running {
        Box::pin(async move {
            let mut threads = Vec::new();
            for udp in &self.udp {
                let socket = udp.socket.try_clone().map_err(|e| failed(&e))?;
                let intake = self.intake(&outlet);
                threads.push(udp::start(socket, intake, self.limits.message_bytes, stop.clone()));
            }
            let accepting = stream::accept_all(&self, &outlet, &stop)?;
            accepting.await;
            // The threads look up at least every fifth of a second.
            for ended in threads {
                ended.await.map_err(|_| ProducerFailed("a UDP reader panicked".into()))??;
            }
            Ok(())
        })
    }
}

fn failed(error: &io::Error) -> ProducerFailed {
    ProducerFailed(error.to_string())
}

#[cfg(test)]
mod tests;
