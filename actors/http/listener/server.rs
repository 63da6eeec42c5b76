//! The threads of a listener: accept, count, TLS handshake, head, response.

use std::future::{Future, ready};
use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_http::h1::{ExpectHandler, H1Service, UpgradeHandler};
use actix_http::{HttpService, Request};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder, ServerHandle};
use actix_service::boxed::BoxServiceFactory;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, boxed,
    map_config,
};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpResponse};
use futures_util::TryFutureExt;
use futures_util::future::Either;
use rollcall_config::HttpLimits;
use tokio::sync::oneshot;

use super::connection_limiter::ConnectionLimiter;
use super::idle_timeout::{self, ResponseInProgress};
use super::{ListenerSpec, Routes};
use crate::telemetry::ConnectionRefused;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The number of worker threads: one per core, because a lookup of one address needs no other
/// actor. At least two, so that a page of a thousand reports does not delay the other connections
/// of its thread. At most eight, because all other queries wait for the single query actor.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 8)
}

/// Resolves when the server ends, with its result.
pub(super) type Ended = Pin<Box<dyn Future<Output = io::Result<()>>>>;

/// A running server. Dropping it stops the server.
pub(super) struct RunningServer(ServerHandle);

impl RunningServer {
    /// Stops accepting and waits for the requests in progress.
    pub(super) fn close(&self) -> impl Future<Output = ()> + use<> {
        self.0.stop(true)
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // The call sends the stop command; the future only waits for its completion.
        drop(self.0.stop(false));
    }
}

/// Starts a server on `sockets`, on threads of its own. They are independent of the thread of the
/// listener actor and end when [`RunningServer`] is dropped.
pub(super) fn start(
    sockets: Vec<TcpListener>,
    spec: &ListenerSpec,
    gate: &Arc<ConnectionLimiter>,
) -> io::Result<(RunningServer, impl Future<Output = io::Result<()>> + use<>)> {
    let (handle_sender, handle) = std::sync::mpsc::sync_channel(1);
    let (end_sender, end) = oneshot::channel();
    let (spec, gate) = (spec.clone(), Arc::clone(gate));
    std::thread::Builder::new().name(spec.name.to_owned()).spawn(move || {
        let ended = actix::System::new().block_on(async move {
            let server = build(sockets, &spec, &gate);
            let _ = handle_sender.send(server.as_ref().map(Server::handle).map_err(clone_error));
            server?.await
        });
        let _ = end_sender.send(ended);
    })?;
    let handle = handle.recv().map_err(|_| io::Error::other("the server's thread panicked"))??;
    let ended = async {
        end.await.unwrap_or_else(|_| Err(io::Error::other("the server's thread panicked")))
    };
    Ok((RunningServer(handle), ended))
}

fn clone_error(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn build(
    sockets: Vec<TcpListener>,
    spec: &ListenerSpec,
    gate: &Arc<ConnectionLimiter>,
) -> io::Result<Server> {
    let drain = spec.drain.as_secs() + u64::from(spec.drain.subsec_nanos() > 0);
    let mut builder =
        ServerBuilder::new().workers(workers()).disable_signals().shutdown_timeout(drain);
    let closing = builder.graceful_shutdown_signal();
    for socket in sockets {
        builder = listen(builder, socket, spec, gate, &closing)?;
    }
    Ok(builder.run())
}

fn listen(
    builder: ServerBuilder,
    socket: TcpListener,
    spec: &ListenerSpec,
    gate: &Arc<ConnectionLimiter>,
    closing: &GracefulShutdownSignal,
) -> io::Result<ServerBuilder> {
    let (ListenerSpec { name, limits, routes, .. }, closing) = (spec.clone(), closing.clone());
    let guard = ConnectionGuard { listener: name, gate: Arc::clone(gate) };
    match spec.tls.clone() {
        Some(tls) => builder.listen(name, socket, move || {
            let connection = connection(&limits, &routes, &closing);
            guard.wrap(connection.rustls_0_23((*tls).clone()))
        }),
        None => builder
            .listen(name, socket, move || guard.wrap(connection(&limits, &routes, &closing).tcp())),
    }
}

type Connection<Io> = H1Service<Io, AppFactory, BoxBody, ExpectHandler, UpgradeHandler>;

fn connection<Io: 'static>(
    limits: &HttpLimits,
    routes: &Routes,
    closing: &GracefulShutdownSignal,
) -> Connection<Io> {
    let closing = closing.clone();
    HttpService::build()
        .keep_alive(idle_timeout::IDLE)
        .client_request_timeout(limits.header_timeout)
        .client_disconnect_timeout(Duration::from_secs(1))
        .graceful_shutdown_signal(move || {
            let closing = closing.clone();
            async move { closing.notified().await }
        })
        .h1(app_factory(limits.header_size, routes))
}

/// Applies the connection limits before anything else happens on a connection, including the TLS
/// handshake.
#[derive(Clone)]
struct ConnectionGuard {
    listener: &'static str,
    gate: Arc<ConnectionLimiter>,
}

impl ConnectionGuard {
    fn wrap<F>(&self, connection: F) -> impl ServiceFactory<TcpStream, Config = ()> + use<F>
    where
        F: ServiceFactory<TcpStream, Config = (), Response = ()>,
        F::Future: 'static,
    {
        let Self { listener, gate } = self.clone();
        apply_fn_factory(connection, move |stream: TcpStream, connection: &F::Service| {
            // A peer that has disconnected has no address.
            let peer = stream.peer_addr().ok();
            let permit = match peer.map(|peer| gate.acquire(peer.ip())) {
                Some(Ok(permit)) => Some((permit, connection.call(stream))),
                Some(Err(limit)) => {
                    ConnectionRefused { listener, reason: limit.into() }.emit();
                    None
                }
                None => None,
            };
            async move {
                match permit {
                    Some((_permit, served)) => {
                        let limit = idle_timeout::IDLE + idle_timeout::GRACE;
                        idle_timeout::close_when_idle(limit, served).await.unwrap_or(Ok(()))
                    }
                    None => Ok(()),
                }
            }
        })
    }
}

type AppFactory = BoxServiceFactory<(), Request, ServiceResponse, HttpResponse, ()>;

/// The routes behind the limit for the head. actix-http stops reading a head at 128 KiB and 96
/// headers.
fn app_factory(head: usize, routes: &Routes) -> AppFactory {
    let app = App::new()
        .wrap_fn(move |request, next| {
            if head_length(&request) > head {
                let too_long = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                let refused = HttpResponse::build(too_long).force_close().finish();
                return Either::Left(ready(Ok(request.into_response(refused))));
            }
            let in_progress = ResponseInProgress::start();
            Either::Right(next.call(request).map_ok(|response| {
                response.map_body(|_, body| in_progress.track_body(body.boxed()))
            }))
        })
        .configure(|config| routes(config));
    let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
    boxed::factory(map_config(app, |()| AppConfig::default()))
}

/// The size of the request line and the headers, with their punctuation.
fn head_length(request: &ServiceRequest) -> usize {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    request.method().as_str().len() + path + " HTTP/1.1".len() + headers.sum::<usize>()
}
