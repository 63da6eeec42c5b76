//! The steps of a connection that the LDAP library cannot do: TLS with the CA of one directory, and an
//! authentication that does not send the password.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use rollcall_config::{self as config, BindMethod, DirectoryTransport};
use rollcall_wire::ldap::{
    BerError, LdapMessage, LdapResult, ProtocolOp, code, sasl_bind, start_tls,
};
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::DirectoryError;
use super::seal::Seal;
use super::server::DirectoryServer;
use super::tls::{Tls, channel_bindings, error_text};
use super::transport::{Duplex, Transport};
use crate::remote::AuthAttempt;
use crate::windows::kdc::{KERBEROS_PORT, Kdc};
use crate::windows::sspi::{AuthError, Authenticator, Channel, Mechanism, Target};

/// The maximum number of SASL bind requests. Kerberos takes two, NTLM three.
const MAX_STEPS: u32 = 8;

/// Connects to `server`, with TLS unless the transport is `ldap`.
pub(super) async fn connect(
    settings: &config::ActiveDirectory,
    tls: &Tls,
    server: &DirectoryServer,
) -> Result<(Transport, Channel), DirectoryError> {
    let address = server.at(settings.transport);
    let limit = settings.limits.connect_timeout;
    let connecting = secure(settings, tls, server, address);
    timeout(limit, connecting).await.unwrap_or_else(|_| {
        let why = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time");
        Err(DirectoryError::Connect { server: named(server, address), why })
    })
}

async fn secure(
    settings: &config::ActiveDirectory,
    tls: &Tls,
    server: &DirectoryServer,
    address: SocketAddr,
) -> Result<(Transport, Channel), DirectoryError> {
    let failed = |why| DirectoryError::Connect { server: named(server, address), why };
    let stream =
        crate::remote::connect(address, settings.limits.connect_timeout).await.map_err(failed)?;
    let plain = Transport::new(stream, settings.limits.response_timeout);
    let Some(tls) = tls else { return Ok((plain, Channel::Clear)) };
    let stream = match settings.transport {
        DirectoryTransport::StartTls => upgrade(plain, server).await?,
        _ => plain.into_stream().expect("nothing was read from it"),
    };
    let failed = |why: String| DirectoryError::Tls { server: named(server, address), why };
    let name = ServerName::try_from(server.host.clone())
        .map_err(|_| failed("the host name cannot be in a certificate".to_owned()))?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    let stream = stream.map_err(|why| failed(error_text::handshake(&why)))?;
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let bindings = leaf.filter(|_| settings.channel_binding).and_then(channel_bindings);
    Ok((Transport::new(stream, settings.limits.response_timeout), Channel::Tls(bindings)))
}

fn named(server: &DirectoryServer, address: SocketAddr) -> String {
    format!("{server} port {}", address.port())
}

/// Requests StartTLS.
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
            return Err(failed(format!("it rejects StartTLS (result {code}: {diagnostic})")));
        }
        _ => return Err(failed("it answers StartTLS with another message".to_owned())),
    }
    plain
        .into_stream()
        .ok_or_else(|| failed("it sent more before TLS than the response".to_owned()))
}

/// Authenticates with NTLM or Kerberos. Afterwards all messages on `transport` are sealed, unless TLS
/// encrypts them already.
pub(super) async fn sasl_authenticate(
    settings: &config::ActiveDirectory,
    attempt: &AuthAttempt,
    server: &DirectoryServer,
    (transport, channel): (&mut Transport, Channel),
) -> Result<(), DirectoryError> {
    let failed = |why| DirectoryError::Auth {
        server: server.to_string(),
        account: settings.account.name.clone(),
        why,
    };
    let encrypted = matches!(channel, Channel::Tls(_));
    let mut authenticator = authenticator(settings, attempt, server, channel).map_err(failed)?;
    let mut token = Vec::new();
    for id in 1..=MAX_STEPS {
        let step = authenticator.step(token).await.map_err(failed)?;
        if step.done && step.token.is_empty() {
            break;
        }
        let (outcome, response) = bind(transport, id, &step.token).await?;
        match outcome.code {
            // Over TLS, the server has authenticated by its certificate, and nothing is sealed.
            code::SUCCESS if encrypted || response.is_empty() || step.done => break,
            code::SUCCESS | code::SASL_BIND_IN_PROGRESS => token = response,
            _ => {
                let is_confirmed = authenticator.is_confirmed();
                return Err(rejected(settings, server, outcome, is_confirmed));
            }
        }
    }
    if let Some(context) = authenticator.into_context() {
        transport.seal(Seal(context));
    }
    Ok(())
}

/// Sends one SASL bind request, and returns the result and the token of the server.
async fn bind(
    transport: &mut Transport,
    id: u32,
    token: &[u8],
) -> Result<(LdapResult, Vec<u8>), DirectoryError> {
    transport.send(&sasl_bind(id, "GSS-SPNEGO", token)).await?;
    let message = LdapMessage::parse(transport.receive().await?)?;
    match message.body {
        ProtocolOp::BindResponse(outcome, token) if message.id == id => {
            Ok((outcome, token.unwrap_or_default().to_vec()))
        }
        ProtocolOp::ExtendedResponse(outcome) => Err(DirectoryError::Closed(outcome)),
        _ => Err(BerError::Unsolicited.into()),
    }
}

/// The error for a bind that `server` rejected. If the KDC has confirmed the password, the account is
/// not the cause.
pub(super) fn rejected(
    settings: &config::ActiveDirectory,
    server: &DirectoryServer,
    outcome: LdapResult,
    is_confirmed: bool,
) -> DirectoryError {
    let (server, account) = (server.to_string(), settings.account.name.clone());
    DirectoryError::BindRejected { server, account, outcome, is_confirmed }
}

/// The authentication of the account to `server`, which is also the KDC.
fn authenticator(
    settings: &config::ActiveDirectory,
    attempt: &AuthAttempt,
    server: &DirectoryServer,
    channel: Channel,
) -> Result<Authenticator, AuthError> {
    let account = &*attempt.account().within(&settings.domain);
    let mechanism = match settings.bind {
        BindMethod::Ntlm => Mechanism::Ntlm,
        BindMethod::Kerberos => Mechanism::Kerberos,
        BindMethod::Simple | BindMethod::Spnego => Mechanism::Either,
    };
    let address = SocketAddr::new(server.address, KERBEROS_PORT);
    let kdc = Kdc { address, timeout: settings.limits.connect_timeout };
    let service = format!("ldap/{}", server.host);
    Authenticator::new(attempt, Target { account, service, mechanism, kdc }, channel)
}
