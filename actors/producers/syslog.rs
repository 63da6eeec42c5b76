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
use super::{Outlet, Producer, ProducerFailed, Running, Stop};
use crate::clock::Clock;

/// A syslog producer whose sockets are bound.
pub struct Syslog {
    udp: Vec<UdpSocket>,
    streams: Vec<(TcpListener, Option<Arc<ServerConfig>>)>,
    clients: Arc<Clients>,
    limits: config::SyslogLimits,
    clock: Clock,
}

impl Syslog {
    /// Binds what `settings` names. `tls` serves its TLS listeners.
    ///
    /// # Errors
    /// Which address could not be bound, and why.
    pub fn bind(
        settings: &config::Syslog,
        tls: Option<Arc<ServerConfig>>,
        clock: Clock,
    ) -> io::Result<Self> {
        let named = |kind, address: &SocketAddr, error: io::Error| {
            io::Error::new(error.kind(), format!("{} {kind} {address}: {error}", settings.name))
        };
        let bind_stream = |kind, address: &SocketAddr| {
            let listener = TcpListener::bind(address).map_err(|e| named(kind, address, e))?;
            listener.set_nonblocking(true)?;
            Ok::<_, io::Error>(listener)
        };
        let mut udp = Vec::new();
        for address in &settings.udp {
            let socket = udp::bind(*address, settings.limits.receive_buffer);
            udp.push(socket.map_err(|e| named("udp", address, e))?);
        }
        let mut streams = Vec::new();
        for address in &settings.tcp {
            streams.push((bind_stream("tcp", address)?, None));
        }
        for address in settings.tls.iter().flat_map(|tls| &tls.listen) {
            streams.push((bind_stream("tls", address)?, tls.clone()));
        }
        let clients = Arc::new(Clients::new(settings));
        Ok(Self { udp, streams, clients, limits: settings.limits.clone(), clock })
    }

    /// Where it listens: the kind of transport and the address, with the port that was given when
    /// port 0 was asked for.
    pub fn listening(&self) -> Vec<(&'static str, SocketAddr)> {
        let udp = self.udp.iter().map(|socket| ("udp", socket.local_addr()));
        let streams = self.streams.iter().map(|(listener, tls)| {
            (if tls.is_some() { "tls" } else { "tcp" }, listener.local_addr())
        });
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
            for socket in &self.udp {
                let socket = socket.try_clone().map_err(failed)?;
                let intake = self.intake(&outlet);
                threads.push(udp::start(socket, intake, self.limits.message_bytes, stop.clone()));
            }
            let accepting = stream::accept_all(Arc::clone(&self), &outlet, &stop)?;
            accepting.await;
            // The threads look up at least every fifth of a second.
            for ended in threads {
                ended.await.map_err(|_| ProducerFailed("a UDP reader panicked".into()))??;
            }
            Ok(())
        })
    }
}

fn failed(error: io::Error) -> ProducerFailed {
    ProducerFailed(error.to_string())
}

#[cfg(test)]
mod tests;
