//! Proving who Rollcall is without sending the password: NTLM and Kerberos within GSS-SPNEGO
//! (RFC 4178), to directories and over MSRPC.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rollcall_config::Secret;
use sspi::builders::{AcquireCredentialsHandle, WithoutCredentialUse};
use sspi::credssp::SspiContext;
use sspi::generator::{GeneratorState, NetworkRequest};
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers,
    DataRepresentation, ErrorKind, KerberosConfig, Negotiate, NegotiateConfig, SecurityBuffer,
    SecurityStatus, Sspi, SspiImpl, Username,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The name under which the machine shows itself; domain controllers write it into their logs.
const WORKSTATION: &str = "ROLLCALL";

/// The longest answer of a KDC, in bytes. A ticket with the groups of an account is below 64 KiB.
const TICKET: usize = 1 << 20;

/// The port of Kerberos on a domain controller.
pub(crate) const KERBEROS: u16 = 88;

/// Who is to be believed.
#[derive(Clone, Copy)]
pub(crate) struct Applicant<'a> {
    /// `user@domain`, or `DOMAIN\\user`.
    pub(crate) account: &'a str,
    /// Its password.
    pub(crate) secret: &'a Secret,
    /// By what.
    pub(crate) mechanism: Mechanism,
}

/// What SPNEGO may agree upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// NTLM alone.
    Ntlm,
    /// Kerberos alone.
    Kerberos,
    /// Kerberos, or NTLM where it is not to be had.
    Either,
}

impl Mechanism {
    /// The list of packages, as SSPI has it.
    const fn packages(self) -> &'static str {
        match self {
            Self::Ntlm => "ntlm,!kerberos",
            Self::Kerberos => "kerberos,!ntlm",
            Self::Either => "kerberos,ntlm",
        }
    }
}

/// What a proof is shown over.
pub(crate) enum Beneath {
    /// Nothing that protects it: what follows the proof is sealed.
    Clear,
    /// MSRPC (MS-RPCE section 3.3.1.5.2): the same, and Kerberos has a third leg.
    Rpc,
    /// TLS, to which the proof is bound by what is said here, if by anything.
    Tls(Option<Vec<u8>>),
}

/// A proof that is being made.
pub(crate) struct Proof {
    context: SspiContext,
    credentials: Option<CredentialsBuffers>,
    /// The service to which it is shown.
    target: String,
    requirements: ClientRequestFlags,
    beneath: Beneath,
    kdc: Kdc,
}

/// Where tickets are asked for, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kdc {
    /// With its port.
    pub(crate) at: SocketAddr,
    /// For each answer.
    pub(crate) patience: Duration,
}

/// What comes out of a step.
pub(crate) struct Step {
    /// What is sent to the server; empty for nothing.
    pub(crate) token: Vec<u8>,
    /// Whether nothing more is expected from the server.
    pub(crate) done: bool,
}

impl Proof {
    /// Begins a proof of the `applicant` to the service `target`, such as `ldap/dc1.corp.example.com`.
    /// Over TLS nothing is sealed, which TLS does already.
    pub(crate) fn new(
        applicant: Applicant<'_>,
        target: String,
        beneath: Beneath,
        kdc: Kdc,
    ) -> Result<Self, sspi::Error> {
        let workstation = || WORKSTATION.to_owned();
        let kerberos =
            KerberosConfig::new_with_kdc_url(&format!("tcp://{}", kdc.at), workstation());
        let packages = Some(applicant.mechanism.packages().to_owned());
        let config = match applicant.mechanism {
            Mechanism::Ntlm => NegotiateConfig::new(
                Box::new(NtlmConfig::new(workstation())),
                packages,
                workstation(),
            ),
            Mechanism::Kerberos | Mechanism::Either => {
                NegotiateConfig::new(Box::new(kerberos), packages, workstation())
            }
        };
        let mut context = SspiContext::Negotiate(Negotiate::new_client(config)?);
        let username = Username::parse(applicant.account)
            .map_err(|why| sspi::Error::new(ErrorKind::UnknownCredentials, why.to_string()))?;
        let password = applicant.secret.expose().to_owned().into();
        let identity = Credentials::AuthIdentity(AuthIdentity { username, password });
        let credentials = AcquireCredentialsHandle::<'_, _, _, WithoutCredentialUse>::new()
            .with_auth_data(&identity)
            .with_credential_use(CredentialUse::Outbound)
            .execute(&mut context)?
            .credentials_handle;
        let requirements = beneath.requirements();
        Ok(Self { context, credentials, target, requirements, beneath, kdc })
    }

    /// The next step, after the server answered with `token`; empty for the first.
    pub(crate) async fn step(&mut self, token: Vec<u8>) -> Result<Step, sspi::Error> {
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

    /// What seals from now on; none over TLS.
    pub(crate) fn into_context(self) -> Option<SspiContext> {
        (!matches!(self.beneath, Beneath::Tls(_))).then_some(self.context)
    }
}

impl Beneath {
    fn requirements(&self) -> ClientRequestFlags {
        let sealed = ClientRequestFlags::INTEGRITY
            | ClientRequestFlags::CONFIDENTIALITY
            | ClientRequestFlags::SEQUENCE_DETECT
            | ClientRequestFlags::REPLAY_DETECT;
        ClientRequestFlags::MUTUAL_AUTH
            | match self {
                Self::Tls(_) => ClientRequestFlags::empty(),
                Self::Clear => sealed,
                Self::Rpc => sealed | ClientRequestFlags::USE_DCE_STYLE,
            }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The password is in the credentials.
        f.debug_struct("Proof").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Kdc {
    /// Sends a request and reads its answer, each with its length before it (RFC 4120 section
    /// 7.2.2).
    async fn ask(self, request: &NetworkRequest) -> sspi::Result<Vec<u8>> {
        let failed = |why: &dyn std::fmt::Display| {
            let text = format!("the KDC at {}: {why}", self.at);
            sspi::Error::new(ErrorKind::NoAuthenticatingAuthority, text)
        };
        let asking = async {
            let mut stream = TcpStream::connect(self.at).await?;
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

/// Why a proof did not come to an end, in words for an administrator.
pub(crate) fn explain(why: &sspi::Error) -> String {
    match why.error_type {
        ErrorKind::TimeSkew => "its clock and ours differ by more than Kerberos allows".to_owned(),
        ErrorKind::LogonDenied => "the user name or the password is wrong".to_owned(),
        _ => why.description.clone(),
    }
}
