//! A listener: an HTTP server on sockets that are bound before anything runs, as a supervised role.
//!
//! What a client may cost is bounded here, before anybody looks at what it says: connections in
//! total and for each address, counted before the TLS handshake; the time for handshake and head;
//! the size of the head. The body has its bounds in [`body::read`], because actix-web has no
//! deadline for it.

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

/// Sockets that listen. Clones share them, so that whoever replaces a listener goes on with those
/// who wait at the same sockets.
#[derive(Debug, Clone)]
pub struct BoundSockets(Arc<[(SocketAddr, TcpListener)]>);

impl BoundSockets {
    /// Binds all of them, or takes them over from `before` where the address is the same.
    ///
    /// # Errors
    /// When one cannot be bound; the message names its address.
    pub fn bind(addresses: &[SocketAddr], previous: Option<&Self>) -> io::Result<Self> {
        let with_address = |address: &SocketAddr, error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        };
        let inherited = |address: &SocketAddr| {
            let mut all = previous.iter().flat_map(|previous| previous.0.iter());
            all.find(|(asked, _)| asked == address).map(|(_, socket)| socket.try_clone())
        };
        let bind = |address: &SocketAddr| {
            let socket = inherited(address).unwrap_or_else(|| TcpListener::bind(address));
            Ok((*address, socket.map_err(|error| with_address(address, error))?))
        };
        Ok(Self(addresses.iter().map(bind).collect::<io::Result<_>>()?))
    }

    /// Where they listen; a port 0 that was asked for is the real one here.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.0.iter().map(|(_, socket)| socket.local_addr()).collect()
    }

    fn duplicates(&self) -> io::Result<Vec<TcpListener>> {
        self.0.iter().map(|(_, socket)| socket.try_clone()).collect()
    }
}

/// Enters what is answered. Called once for each worker.
pub type Routes = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// What a listener is made of.
#[derive(Clone)]
pub struct ListenerSpec {
    /// Its name in the log and the metrics.
    pub name: &'static str,
    /// What it grants its clients.
    pub limits: HttpLimits,
    /// How long those who are being answered may take when it closes.
    pub drain: Duration,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What it answers.
    pub routes: Routes,
}

/// Stop accepting, answer those who have asked. The answer comes when the last one is gone, or when
/// [`ListenerSpec::drain`] is over.
#[derive(Debug)]
pub struct Close;

impl Message for Close {
    type Result = ();
}

/// The role. Its mailbox carries no requests; they come by the sockets.
pub struct Listener {
    bound: BoundSockets,
    spec: ListenerSpec,
    gate: Arc<ConnectionLimiter>,
    running: Option<RunningServer>,
    closing: watch::Sender<bool>,
}

impl Listener {
    /// A listener on `bound`.
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
                Ok(()) => cell.fail("the server ended of itself", context),
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
