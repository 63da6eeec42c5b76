//! From an address to a connection that may be searched, as far as the library cannot go: TLS with
//! the authorities of one directory, and a proof that does not send the password.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use rollcall_config::{self as config, BindMethod, DirectoryTransport};
use rollcall_wire::ldap::{
    BerError, LdapMessage, LdapResult, ProtocolOp, code, sasl_bind, start_tls,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::DirectoryError;
use super::seal::Seal;
use super::server::DirectoryServer;
use super::tls::{Tls, channel_bindings, refusal};
use super::transport::{Duplex, Transport};
use crate::windows::sspi::{Applicant, Beneath, KERBEROS, Kdc, Mechanism, Proof, explain};

/// The most steps of a proof; Kerberos takes two, NTLM three.
const STEPS: u32 = 8;

/// Connects to `server`, in clear or over TLS.
pub(super) async fn reach(
    settings: &config::ActiveDirectory,
    tls: &Tls,
    server: &DirectoryServer,
) -> Result<(Transport, Beneath), DirectoryError> {
    let at = server.at(settings.transport);
    let connecting = connect(settings, tls, server, at);
    timeout(settings.limits.connect, connecting).await.unwrap_or_else(|_| {
        let why = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
        Err(DirectoryError::Connect { server: named(server, at), why })
    })
}

async fn connect(
    settings: &config::ActiveDirectory,
    tls: &Tls,
    server: &DirectoryServer,
    at: SocketAddr,
) -> Result<(Transport, Beneath), DirectoryError> {
    let failed = |why| DirectoryError::Connect { server: named(server, at), why };
    let stream = TcpStream::connect(at).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let patience = settings.limits.answer;
    let Some(tls) = tls else { return Ok((Transport::new(stream, patience), Beneath::Clear)) };
    let plain = Transport::new(stream, patience);
    let stream = match settings.transport {
        DirectoryTransport::StartTls => upgrade(plain, server).await?,
        _ => plain.into_stream().expect("nothing was read of it"),
    };
    let failed = |why: String| DirectoryError::Tls { server: named(server, at), why };
    let name = ServerName::try_from(server.host.clone())
        .map_err(|_| failed("this is no name that a certificate can have".to_owned()))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    let stream = stream.map_err(|why| failed(refusal::handshake(&why)))?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let bindings = leaf.filter(|_| settings.channel_binding).and_then(channel_bindings);
    Ok((Transport::new(stream, patience), Beneath::Tls(bindings)))
}

fn named(server: &DirectoryServer, at: SocketAddr) -> String {
    format!("{server} port {}", at.port())
}

/// Asks the server to go on over TLS.
async fn upgrade(
    mut plain: Transport,
    server: &DirectoryServer,
) -> Result<Pin<Box<dyn Duplex>>, DirectoryError> {
    plain.send(&start_tls(1)).await?;
    let message = LdapMessage::parse(plain.receive().await?)?;
    let failed = |why: String| DirectoryError::Tls { server: server.to_string(), why };
    match message.body {
        ProtocolOp::ExtendedResponse(outcome) if outcome.code == code::SUCCESS => {}
        ProtocolOp::ExtendedResponse(LdapResult { code, diagnostic }) => {
            return Err(failed(format!("it refuses StartTLS (result {code}: {diagnostic})")));
        }
        _ => return Err(failed("it answers StartTLS with something else".to_owned())),
    }
    plain.into_stream().ok_or_else(|| failed("it says more in clear than was asked".to_owned()))
}

/// Proves the account to `server` by NTLM or Kerberos. Afterwards everything on `wire` is sealed,
/// unless it is encrypted already.
pub(super) async fn prove(
    settings: &config::ActiveDirectory,
    server: &DirectoryServer,
    wire: &mut Transport,
    beneath: Beneath,
) -> Result<(), DirectoryError> {
    let failed = |why: sspi::Error| DirectoryError::Proof {
        server: server.to_string(),
        account: settings.account.name.clone(),
        why: explain(&why),
    };
    let encrypted = matches!(beneath, Beneath::Tls(_));
    let mut proof = begin(settings, server, beneath).map_err(failed)?;
    let mut token = Vec::new();
    for id in 1..=STEPS {
        let step = proof.step(token).await.map_err(failed)?;
        if step.done && step.token.is_empty() {
            break;
        }
        let (outcome, answered) = bind(wire, id, &step.token).await?;
        match outcome.code {
            // Over TLS the server has proven itself, and nothing will be sealed.
            code::SUCCESS if encrypted || answered.is_empty() || step.done => break,
            code::SUCCESS | code::SASL_BIND_IN_PROGRESS => token = answered,
            _ => return Err(refused(settings, server, outcome)),
        }
    }
    if let Some(context) = proof.into_context() {
        wire.seal(Seal(context));
    }
    Ok(())
}

/// Sends one step of a proof, and returns what comes of it.
async fn bind(
    wire: &mut Transport,
    id: u32,
    token: &[u8],
) -> Result<(LdapResult, Vec<u8>), DirectoryError> {
    wire.send(&sasl_bind(id, "GSS-SPNEGO", token)).await?;
    let message = LdapMessage::parse(wire.receive().await?)?;
    match message.body {
        ProtocolOp::BindResponse(outcome, token) if message.id == id => {
            Ok((outcome, token.unwrap_or_default().to_vec()))
        }
        ProtocolOp::ExtendedResponse(outcome) => Err(DirectoryError::Closed(outcome)),
        _ => Err(BerError::Unsolicited.into()),
    }
}

/// That `server` does not let the account in.
pub(super) fn refused(
    settings: &config::ActiveDirectory,
    server: &DirectoryServer,
    outcome: LdapResult,
) -> DirectoryError {
    let (server, account) = (server.to_string(), settings.account.name.clone());
    DirectoryError::Refused { server, account, outcome }
}

/// The proof of the configured account to `server`, which is its own KDC.
fn begin(
    settings: &config::ActiveDirectory,
    server: &DirectoryServer,
    beneath: Beneath,
) -> Result<Proof, sspi::Error> {
    let account = settings.account.within(&settings.domain);
    let mechanism = match settings.bind {
        BindMethod::Ntlm => Mechanism::Ntlm,
        BindMethod::Kerberos => Mechanism::Kerberos,
        BindMethod::Simple | BindMethod::Spnego => Mechanism::Either,
    };
    let applicant = Applicant { account: &account, secret: &settings.account.secret, mechanism };
    let at = SocketAddr::new(server.address, KERBEROS);
    let kdc = Kdc { at, patience: settings.limits.connect };
    Proof::new(applicant, format!("ldap/{}", server.host), beneath, kdc)
}
