//! Proving who Rollcall is without sending the password: NTLM and Kerberos within GSS-SPNEGO
//! (RFC 4178), and the sealing of what is sent afterwards (RFC 4422 section 3.7).

use std::net::IpAddr;
use std::time::Duration;

use rollcall_config::{self as config, Bind};
use sspi::builders::{AcquireCredentialsHandle, WithoutCredentialUse};
use sspi::credssp::SspiContext;
use sspi::generator::{GeneratorState, NetworkRequest};
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers,
    DataRepresentation, EncryptionFlags, ErrorKind, KerberosConfig, Negotiate, NegotiateConfig,
    SecurityBuffer, SecurityBufferRef, SecurityStatus, Sspi, SspiImpl, Username,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Failure;
use super::servers::Server;

/// The name under which the machine shows itself; domain controllers write it into their logs.
const WORKSTATION: &str = "ROLLCALL";

/// The port of Kerberos.
const KDC: u16 = 88;

/// The longest answer of a KDC, in bytes. A ticket with the groups of an account is below 64 KiB.
const TICKET: usize = 1 << 20;

/// What a proof is shown over.
pub(super) enum Beneath {
    /// Nothing that protects it: what follows the proof is sealed.
    Clear,
    /// TLS, to which the proof is bound by what is said here, if by anything.
    Tls(Option<Vec<u8>>),
}

/// A proof that is being made.
pub(super) struct Proof {
    context: SspiContext,
    credentials: Option<CredentialsBuffers>,
    /// The service to which it is shown.
    target: String,
    requirements: ClientRequestFlags,
    beneath: Beneath,
    kdc: Kdc,
}

/// Where tickets are asked for, and for how long.
#[derive(Clone, Copy)]
struct Kdc {
    address: IpAddr,
    patience: Duration,
}

/// What comes out of a step.
pub(super) struct Step {
    /// What is sent to the server; empty for nothing.
    pub(super) token: Vec<u8>,
    /// Whether nothing more is expected from the server.
    pub(super) done: bool,
}

impl Proof {
    /// Begins a proof for the account of `settings` to `server`. Over TLS nothing is sealed, which
    /// TLS does already.
    pub(super) fn new(
        settings: &config::ActiveDirectory,
        server: &Server,
        beneath: Beneath,
    ) -> Result<Self, sspi::Error> {
        let host = match server.address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let workstation = || WORKSTATION.to_owned();
        let kerberos =
            KerberosConfig::new_with_kdc_url(&format!("tcp://{host}:{KDC}"), workstation());
        let config = match settings.bind {
            Bind::Ntlm => NegotiateConfig::new(
                Box::new(NtlmConfig::new(workstation())),
                Some("ntlm,!kerberos".to_owned()),
                workstation(),
            ),
            Bind::Kerberos => NegotiateConfig::new(
                Box::new(kerberos),
                Some("kerberos,!ntlm".to_owned()),
                workstation(),
            ),
            Bind::Simple | Bind::Spnego => NegotiateConfig::new(
                Box::new(kerberos),
                Some("kerberos,ntlm".to_owned()),
                workstation(),
            ),
        };
        let mut context = SspiContext::Negotiate(Negotiate::new_client(config)?);
        let account = match settings.account.contains(['@', '\\']) {
            true => settings.account.clone(),
            false => format!("{}@{}", settings.account, settings.domain),
        };
        let username = Username::parse(&account)
            .map_err(|why| sspi::Error::new(ErrorKind::UnknownCredentials, why.to_string()))?;
        let password = settings.secret.expose().to_owned().into();
        let identity = Credentials::AuthIdentity(AuthIdentity { username, password });
        let credentials = AcquireCredentialsHandle::<'_, _, _, WithoutCredentialUse>::new()
            .with_auth_data(&identity)
            .with_credential_use(CredentialUse::Outbound)
            .execute(&mut context)?
            .credentials_handle;
        let mut requirements = ClientRequestFlags::MUTUAL_AUTH;
        if matches!(beneath, Beneath::Clear) {
            requirements |= ClientRequestFlags::INTEGRITY
                | ClientRequestFlags::CONFIDENTIALITY
                | ClientRequestFlags::SEQUENCE_DETECT
                | ClientRequestFlags::REPLAY_DETECT;
        }
        let target = format!("ldap/{}", server.host);
        let kdc = Kdc { address: server.address, patience: settings.limits.connect };
        Ok(Self { context, credentials, target, requirements, beneath, kdc })
    }

    /// The next step, after the server answered with `token`; empty for the first.
    pub(super) async fn step(&mut self, token: Vec<u8>) -> Result<Step, sspi::Error> {
        let mut input = vec![SecurityBuffer::new(token, BufferType::Token)];
        if let Beneath::Tls(Some(bindings)) = &self.beneath {
            input.push(SecurityBuffer::new(bindings.clone(), BufferType::ChannelBindings));
        }
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = self
            .context
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(self.requirements)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name(&self.target)
            .with_input(&mut input)
            .with_output(&mut output);
        let mut generator =
            SspiImpl::initialize_security_context_impl(&mut self.context, &mut builder)?;
        let mut state = generator.start();
        let result = loop {
            match state {
                GeneratorState::Suspended(request) => {
                    state = generator.resume(self.kdc.ask(&request).await);
                }
                GeneratorState::Completed(result) => break result?,
            }
        };
        drop(generator);
        let done = result.status == SecurityStatus::Ok;
        Ok(Step { token: output.swap_remove(0).buffer, done })
    }

    /// The sealing that was agreed upon; none over TLS.
    pub(super) fn into_seal(self) -> Option<Seal> {
        matches!(self.beneath, Beneath::Clear).then_some(Seal(self.context))
    }
}

impl Kdc {
    /// Sends a request and reads its answer, each with its length before it (RFC 4120 section
    /// 7.2.2).
    async fn ask(self, request: &NetworkRequest) -> sspi::Result<Vec<u8>> {
        let failed = |why: &dyn std::fmt::Display| {
            let text = format!("the KDC at {}:{KDC}: {why}", self.address);
            sspi::Error::new(ErrorKind::NoAuthenticatingAuthority, text)
        };
        let asking = async {
            let mut stream = TcpStream::connect((self.address, KDC)).await?;
            stream.write_all(&request.data).await?;
            let mut answer = vec![0; 4];
            stream.read_exact(&mut answer).await?;
            let length = u32::from_be_bytes([answer[0], answer[1], answer[2], answer[3]]) as usize;
            if length > TICKET {
                return Err(std::io::Error::other("its answer is longer than any ticket"));
            }
            answer.resize(4 + length, 0);
            stream.read_exact(&mut answer[4..]).await?;
            Ok(answer)
        };
        match timeout(self.patience, asking).await {
            Ok(answer) => answer.map_err(|why| failed(&why)),
            Err(_) => Err(failed(&"no answer")),
        }
    }
}

/// What seals and opens the buffers of a connection.
pub(super) struct Seal(SspiContext);

impl Seal {
    /// Seals `message`, with the length before it.
    pub(super) fn close(&mut self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut data = message.to_vec();
        let mut token = vec![0; self.trailer()?];
        let mut buffers =
            [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut data)];
        self.0
            .encrypt_message(EncryptionFlags::empty(), &mut buffers)
            .map_err(|why| broken(&why))?;
        // The token may turn out shorter than was made room for.
        let token = buffers[0].data();
        let length = u32::try_from(token.len() + message.len()).unwrap_or(u32::MAX);
        Ok([&length.to_be_bytes(), token, buffers[1].data()].concat())
    }

    /// Opens a buffer, and checks that it is the server's next one.
    pub(super) fn open(&mut self, buffer: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut buffer = buffer.to_vec();
        let trailer = self.trailer()?;
        let Some((token, data)) = buffer.split_at_mut_checked(trailer) else {
            return Err(rollcall_wire::ldap::BadBer::Cut.into());
        };
        let mut buffers = [SecurityBufferRef::data_buf(data), SecurityBufferRef::token_buf(token)];
        self.0.decrypt_message(&mut buffers).map_err(|why| broken(&why))?;
        Ok(buffers[0].data().to_vec())
    }

    fn trailer(&mut self) -> Result<usize, Failure> {
        let sizes = self.0.query_context_sizes().map_err(|why| broken(&why))?;
        Ok(sizes.security_trailer as usize)
    }
}

fn broken(why: &sspi::Error) -> Failure {
    let text = format!("its sealing is broken: {}", why.description);
    Failure::Broken(std::io::Error::other(text))
}

/// Why a proof did not come to an end, in words for an administrator.
pub(super) fn explain(why: &sspi::Error) -> String {
    match why.error_type {
        ErrorKind::TimeSkew => "its clock and ours differ by more than Kerberos allows".to_owned(),
        ErrorKind::LogonDenied => "the account or its password is wrong".to_owned(),
        _ => why.description.clone(),
    }
}
