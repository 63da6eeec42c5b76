//! A listener: an HTTP server as a supervised actor, on sockets that are bound before any actor
//! starts.
//!
//! The listener bounds the resources of a client before it evaluates a request: the number of
//! connections in total and per address, counted before the TLS handshake; the time for the
//! handshake and the head; the size of the head. [`body::read`] bounds the body, because actix-web
//! has no deadline for it.

pub mod body;
mod connection_limiter;
mod idle_timeout;
mod server;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use actix_web::web::ServiceConfig;
use rollcall_config::HttpLimits;
use rustls::ServerConfig;
use tokio::sync::watch;

use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Reply};

use connection_limiter::ConnectionLimiter;
use server::RunningServer;

/// Listening sockets. Clones share them, so that a replaced listener continues with the connections
/// that wait in the accept queues.
#[derive(Debug, Clone)]
pub struct BoundSockets(Arc<[(SocketAddr, TcpListener)]>);

impl BoundSockets {
    /// Binds all addresses. A socket of `previous` with the same configured address is reused.
    ///
    /// # Errors
    /// An address cannot be bound; the message names it.
    pub fn bind(addresses: &[SocketAddr], previous: Option<&Self>) -> io::Result<Self> {
        let with_address = |address: &SocketAddr, error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        };
        let inherited = |address: &SocketAddr| {
            let mut all = previous.iter().flat_map(|previous| previous.0.iter());
            all.find(|(configured, _)| configured == address).map(|(_, socket)| socket.try_clone())
        };
        let bind = |address: &SocketAddr| {
            let socket = inherited(address).unwrap_or_else(|| TcpListener::bind(address));
            Ok((*address, socket.map_err(|error| with_address(address, error))?))
        };
        Ok(Self(addresses.iter().map(bind).collect::<io::Result<_>>()?))
    }

    /// The local addresses, with the assigned port in place of port 0.
    ///
    /// # Errors
    /// The kernel does not return the address.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.0.iter().map(|(_, socket)| socket.local_addr()).collect()
    }

    fn duplicates(&self) -> io::Result<Vec<TcpListener>> {
        self.0.iter().map(|(_, socket)| socket.try_clone()).collect()
    }
}

/// Registers the routes. Called once per worker.
pub type Routes = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// The specification of a listener.
#[derive(Clone)]
pub struct ListenerSpec {
    /// The name in the log and the metrics.
    pub name: &'static str,
    /// The limits for clients.
    pub limits: HttpLimits,
    /// How long requests in progress may take after [`Close`].
    pub drain: Duration,
    /// The TLS configuration; `None` for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// The routes.
    pub routes: Routes,
}

/// Stops accepting and completes the requests in progress. The reply comes when the last one is
/// complete, or after [`ListenerSpec::drain`].
#[derive(Debug)]
pub struct Close;

impl Message for Close {
    type Result = ();
}

/// The actor. Requests arrive on the sockets, not in the mailbox.
pub struct Listener {
    bound: BoundSockets,
    spec: ListenerSpec,
    gate: Arc<ConnectionLimiter>,
    running: Option<RunningServer>,
    closing: watch::Sender<bool>,
}

impl Listener {
    /// A listener on the sockets `bound`.
    pub fn new(bound: BoundSockets, spec: ListenerSpec) -> Self {
        let gate = Arc::new(ConnectionLimiter::new(&spec.limits));
        Self { bound, spec, gate, running: None, closing: watch::Sender::new(false) }
    }
}

impl Actor for Listener {
    const KIND: &'static str = "listener";
    const STAGE: Stage = Stage::Answering;

    fn started(&mut self, context: &mut Context<Self>) {
        let running = self
            .bound
            .duplicates()
            .and_then(|sockets| server::start(sockets, &self.spec, &self.gate));
        let ended = match running {
            Ok((running, ended)) => {
                self.running = Some(running);
                wrap_future::<_, ActorCell<Self>>(Box::pin(ended) as server::Ended)
            }
            Err(error) => wrap_future(Box::pin(async { Err(error) }) as server::Ended),
        };
        context.spawn(ended.map(|ended, cell, context| {
            let closing = *cell.actor().closing.borrow();
            match ended {
                Ok(()) if closing => {}
                Ok(()) => cell.fail("the server ended without a request to close", context),
                Err(error) => cell.fail(error, context),
            }
        }));
    }
}

impl Handler<Close> for Listener {
    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Reply<()> {
        self.closing.send_replace(true);
        match &self.running {
            Some(running) => Reply::later(running.close()),
            None => Reply::Now(()),
        }
    }
}

#[cfg(test)]
mod tests;
