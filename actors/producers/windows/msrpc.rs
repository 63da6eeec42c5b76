//! MSRPC client: the connection, its timeouts, and the authentication that
//! `rollcall_wire::msrpc` asks for.

mod error;
mod sealing;

use std::net::SocketAddr;
use std::time::Duration;

use rollcall_wire::msrpc::{
    Action, Association, AssociationOptions, AuthStep, AuthType, Interface, RpcCallError,
    endpoint_mapper,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) use self::error::RpcError;
use self::sealing::Sealing;
use crate::remote::connect;
use crate::windows::sspi::{AuthError, Authenticator, Step};

/// The size of a read: several fragments of a long response.
const READ_SIZE: usize = 32 * 1024;

/// The timeout for sending a request whose response is awaited without a timeout.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to one interface of a server. It carries one call at a time.
#[derive(Debug)]
pub(crate) struct RpcClient {
    stream: TcpStream,
    association: Association,
    buffer: Vec<u8>,
}

/// The timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RpcTimeouts {
    /// For connecting.
    pub(crate) connect: Duration,
    /// For each part of a response.
    pub(crate) response: Duration,
}

impl RpcTimeouts {
    /// Connects to `server`.
    pub(crate) async fn connect(self, server: SocketAddr) -> Result<TcpStream, RpcError> {
        let failed = |error| RpcError::Connect { server, error };
        connect(server, self.connect).await.map_err(failed)
    }
}

impl RpcClient {
    /// Binds to `interface` without authentication.
    pub(crate) async fn anonymous(
        stream: TcpStream,
        interface: Interface,
        timeouts: RpcTimeouts,
    ) -> Result<Self, RpcError> {
        let (association, bind) = Association::anonymous(interface, &AssociationOptions::default());
        let mut client = Self { stream, association, buffer: vec![0; READ_SIZE] };
        client.send(&bind, timeouts.response).await?;
        client.complete_bind(None, timeouts.response).await?;
        Ok(client)
    }

    /// Binds to `interface` with `authenticator`. All later messages are sealed.
    pub(crate) async fn sealed(
        stream: TcpStream,
        interface: Interface,
        mut authenticator: Authenticator,
        timeouts: RpcTimeouts,
    ) -> Result<Self, RpcError> {
        let Step { token, .. } = authenticator.step(Vec::new()).await?;
        let is_confirmed = authenticator.is_confirmed();
        let options = AssociationOptions::default();
        let bound = Association::authenticated(interface, &options, AuthType::Spnego, &token);
        let (association, bind) = bound.map_err(|error| RpcError::Association(error.into()))?;
        let mut client = Self { stream, association, buffer: vec![0; READ_SIZE] };
        client.send(&bind, timeouts.response).await?;
        match client.complete_bind(Some(authenticator), timeouts.response).await {
            Err(RpcError::Association(error)) if error.is_account_denied() && !is_confirmed => {
                Err(AuthError::Refused(error.to_string()).into())
            }
            bound => bound.map(|()| client),
        }
    }

    /// Makes a call and waits for its response, with a timeout for each part of it, or without one.
    pub(crate) async fn call(
        &mut self,
        opnum: u16,
        stub: &[u8],
        limit: Option<Duration>,
    ) -> Result<Vec<u8>, RpcError> {
        let call = self.association.call(opnum, stub).map_err(|error| match error {
            RpcCallError::Failed(failure) => RpcError::Association(failure),
            RpcCallError::NotReady | RpcCallError::Busy => RpcError::OutOfTurn,
        })?;
        self.send(&call.bytes, limit.unwrap_or(SEND_TIMEOUT)).await?;
        loop {
            for action in self.receive(limit).await? {
                match action {
                    Action::Reply { call_id, stub } if call_id == call.id => return Ok(stub),
                    Action::Fault { call_id, fault } if call_id == call.id => {
                        return Err(RpcError::Fault(fault));
                    }
                    Action::Failed(failure) => return Err(RpcError::Association(failure)),
                    _ => {}
                }
            }
        }
    }

    /// Does what the association asks for until calls can be made.
    async fn complete_bind(
        &mut self,
        mut authenticator: Option<Authenticator>,
        limit: Duration,
    ) -> Result<(), RpcError> {
        loop {
            let mut actions = self.receive(Some(limit)).await?;
            while !actions.is_empty() {
                let mut next = Vec::new();
                for action in actions {
                    match action {
                        Action::Send(bytes) => self.send(&bytes, limit).await?,
                        Action::Ready => return Ok(()),
                        Action::Failed(failure) => return Err(RpcError::Association(failure)),
                        Action::Authenticate(token) => {
                            let step = authenticate(&mut authenticator, token).await?;
                            next.extend(self.association.authenticate(step));
                        }
                        Action::Reply { .. } | Action::Fault { .. } => {}
                    }
                }
                actions = next;
            }
        }
    }

    async fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), RpcError> {
        match timeout(limit, self.stream.write_all(bytes)).await {
            Ok(sent) => sent.map_err(RpcError::Broken),
            Err(_) => Err(RpcError::Timeout(limit)),
        }
    }

    /// The actions that follow from the next bytes.
    async fn receive(&mut self, limit: Option<Duration>) -> Result<Vec<Action>, RpcError> {
        let reading = self.stream.read(&mut self.buffer);
        let read = match limit {
            None => reading.await,
            Some(limit) => timeout(limit, reading).await.map_err(|_| RpcError::Timeout(limit))?,
        };
        match read.map_err(RpcError::Broken)? {
            0 => Err(RpcError::Closed),
            length => Ok(self.association.receive(&self.buffer[..length])),
        }
    }
}

async fn authenticate(
    authenticator: &mut Option<Authenticator>,
    token: Vec<u8>,
) -> Result<AuthStep, RpcError> {
    let current = authenticator.as_mut().ok_or(RpcError::OutOfTurn)?;
    let Step { token, done } = current.step(token).await?;
    if !done {
        return Ok(AuthStep::Continue(token));
    }
    let context = authenticator.take().and_then(Authenticator::into_context);
    let security = Sealing::new(context.ok_or(RpcError::OutOfTurn)?).map_err(AuthError::from)?;
    Ok(AuthStep::Done { token, security: Box::new(security) })
}

/// The port of `interface`, from the endpoint mapper that `client` is connected to.
pub(crate) async fn query_port(
    client: &mut RpcClient,
    interface: &Interface,
    timeouts: RpcTimeouts,
) -> Result<u16, RpcError> {
    let stub = endpoint_mapper::map_request(interface);
    let response = client.call(endpoint_mapper::MAP, &stub, Some(timeouts.response)).await;
    let stub = response.map_err(|error| match error {
        RpcError::Fault(fault) => RpcError::NoEndpoint(fault.into()),
        other => other,
    })?;
    let port = endpoint_mapper::map_response(&stub, interface).map_err(RpcError::NoEndpoint)?;
    Ok(port.get())
}
