//! Calls to Windows servers over MSRPC: the connection, its deadlines, and the security provider
//! behind what `rollcall_wire::msrpc` says is to be done.

mod sealing;
mod trouble;

use std::net::SocketAddr;
use std::time::Duration;

use rollcall_wire::msrpc::{
    Action, Association, AssociationOptions, AuthStep, AuthType, Interface, RpcCallError,
    endpoint_mapper,
};
use sspi::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::sealing::Sealing;
pub(crate) use self::trouble::Trouble;
use crate::windows::sspi::{Proof, Step, explain};

/// How much is read at once: some of the fragments of a long answer.
const READ: usize = 32 * 1024;

/// A connection to one interface of a server, on which one call follows the other.
#[derive(Debug)]
pub(crate) struct RpcClient {
    stream: TcpStream,
    association: Association,
    buffer: Vec<u8>,
}

/// How long a server is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Until it takes the connection.
    pub(crate) connect: Duration,
    /// Between two signs of life while it answers.
    pub(crate) answer: Duration,
}

impl RpcClient {
    /// Binds to `interface` without saying who asks.
    pub(crate) async fn anonymous(
        at: SocketAddr,
        interface: Interface,
        patience: Patience,
    ) -> Result<Self, Trouble> {
        let stream = connect(at, patience.connect).await?;
        let (association, bind) = Association::anonymous(interface, &AssociationOptions::default());
        let mut client = Self { stream, association, buffer: vec![0; READ] };
        client.send(&bind, patience.answer).await?;
        client.bound(None, patience.answer).await?;
        Ok(client)
    }

    /// Binds to `interface` with `proof`; everything is sealed afterwards.
    pub(crate) async fn sealed(
        at: SocketAddr,
        interface: Interface,
        mut proof: Proof,
        patience: Patience,
    ) -> Result<Self, Trouble> {
        let Step { token, .. } = proof.step(Vec::new()).await.map_err(|why| unproven(&why))?;
        let stream = connect(at, patience.connect).await?;
        let terms = AssociationOptions::default();
        let bound = Association::authenticated(interface, &terms, AuthType::Spnego, &token);
        let (association, bind) = bound.map_err(|why| Trouble::Association(why.into()))?;
        let mut client = Self { stream, association, buffer: vec![0; READ] };
        client.send(&bind, patience.answer).await?;
        client.bound(Some(proof), patience.answer).await?;
        Ok(client)
    }

    /// Makes a call, and waits for its answer: for `patience` until each sign of life, or for ever.
    pub(crate) async fn call(
        &mut self,
        opnum: u16,
        stub: &[u8],
        patience: Option<Duration>,
    ) -> Result<Vec<u8>, Trouble> {
        let call = self.association.call(opnum, stub).map_err(|why| match why {
            RpcCallError::Failed(failure) => Trouble::Association(failure),
            RpcCallError::NotReady | RpcCallError::Busy => Trouble::OutOfTurn,
        })?;
        self.send(&call.bytes, patience.unwrap_or(SENDING)).await?;
        loop {
            for action in self.hear(patience).await? {
                match action {
                    Action::Reply { call_id, stub } if call_id == call.id => return Ok(stub),
                    Action::Fault { call_id, fault } if call_id == call.id => {
                        return Err(Trouble::Fault(fault));
                    }
                    Action::Failed(failure) => return Err(Trouble::Association(failure)),
                    _ => {}
                }
            }
        }
    }

    /// Does what the association asks for until calls can be made.
    async fn bound(&mut self, mut proof: Option<Proof>, patience: Duration) -> Result<(), Trouble> {
        loop {
            let mut actions = self.hear(Some(patience)).await?;
            while !actions.is_empty() {
                let mut next = Vec::new();
                for action in actions {
                    match action {
                        Action::Send(bytes) => self.send(&bytes, patience).await?,
                        Action::Ready => return Ok(()),
                        Action::Failed(failure) => return Err(Trouble::Association(failure)),
                        Action::Authenticate(token) => {
                            let leg = prove(&mut proof, token).await?;
                            next.extend(self.association.authenticate(leg));
                        }
                        Action::Reply { .. } | Action::Fault { .. } => {}
                    }
                }
                actions = next;
            }
        }
    }

    async fn send(&mut self, bytes: &[u8], patience: Duration) -> Result<(), Trouble> {
        match timeout(patience, self.stream.write_all(bytes)).await {
            Ok(sent) => sent.map_err(Trouble::Broken),
            Err(_) => Err(Trouble::Silent(patience)),
        }
    }

    /// What is to be done after the next bytes.
    async fn hear(&mut self, patience: Option<Duration>) -> Result<Vec<Action>, Trouble> {
        let reading = self.stream.read(&mut self.buffer);
        let read = match patience {
            None => reading.await,
            Some(patience) => {
                timeout(patience, reading).await.map_err(|_| Trouble::Silent(patience))?
            }
        };
        match read.map_err(Trouble::Broken)? {
            0 => Err(Trouble::Closed),
            length => Ok(self.association.receive(&self.buffer[..length])),
        }
    }
}

/// How long a request may take to go out when its answer is waited for without an end.
const SENDING: Duration = Duration::from_secs(30);

async fn connect(at: SocketAddr, patience: Duration) -> Result<TcpStream, Trouble> {
    let failed = |why| Trouble::Connect { at, why };
    let connecting = TcpStream::connect(at);
    let stream = timeout(patience, connecting).await.unwrap_or_else(|_| {
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time"))
    });
    let stream = stream.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

async fn prove(proof: &mut Option<Proof>, token: Vec<u8>) -> Result<AuthStep, Trouble> {
    let proving = proof.as_mut().ok_or(Trouble::OutOfTurn)?;
    let Step { token, done } = proving.step(token).await.map_err(|why| unproven(&why))?;
    if !done {
        return Ok(AuthStep::Continue(token));
    }
    let context = proof.take().and_then(Proof::into_context).ok_or(Trouble::OutOfTurn)?;
    let security = Sealing::new(context).map_err(|why| unproven(&why))?;
    Ok(AuthStep::Done { token, security: Box::new(security) })
}

/// Why a proof came to no end.
pub(crate) fn unproven(why: &sspi::Error) -> Trouble {
    match why.error_type {
        ErrorKind::NoAuthenticatingAuthority => Trouble::NoKdc(explain(why)),
        _ => Trouble::Proof(explain(why)),
    }
}

/// The port of `interface` on the server at `mapper`, by the endpoint mapper on `client`.
pub(crate) async fn port_of(
    client: &mut RpcClient,
    interface: &Interface,
    patience: Patience,
) -> Result<u16, Trouble> {
    let stub = endpoint_mapper::map_request(interface);
    let asked = client.call(endpoint_mapper::MAP, &stub, Some(patience.answer)).await;
    let stub = asked.map_err(|why| match why {
        Trouble::Fault(fault) => Trouble::NoEndpoint(fault.into()),
        other => other,
    })?;
    let port = endpoint_mapper::map_response(&stub, interface).map_err(Trouble::NoEndpoint)?;
    Ok(port.get())
}
