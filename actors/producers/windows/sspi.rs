//! Authentication without sending the password: NTLM and Kerberos in GSS-SPNEGO (RFC 4178), for LDAP
//! and MSRPC.

use std::fmt;

use sspi::builders::{AcquireCredentialsHandle, WithoutCredentialUse};
use sspi::credssp::SspiContext;
use sspi::generator::GeneratorState;
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers,
    DataRepresentation, ErrorKind, KerberosConfig, Negotiate, NegotiateConfig, SecurityBuffer,
    SecurityStatus, Sspi, SspiImpl, Username,
};

use super::kdc::{Kdc, KdcVerdict};
use crate::remote::AuthAttempt;

/// The workstation name in NTLM messages. Domain controllers write it to their logs.
const WORKSTATION: &str = "ROLLCALL";

/// The authentication protocols that SPNEGO may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    /// NTLM only.
    Ntlm,
    /// Kerberos only.
    Kerberos,
    /// Kerberos, or NTLM if Kerberos is not available.
    Either,
}

impl Mechanism {
    /// The list of packages in the notation of SSPI.
    const fn packages(self) -> &'static str {
        match self {
            Self::Ntlm => "ntlm,!kerberos",
            Self::Kerberos => "kerberos,!ntlm",
            Self::Either => "kerberos,ntlm",
        }
    }
}

/// The connection that is authenticated.
pub(crate) enum Channel {
    /// LDAP without TLS: all messages are sealed after the authentication.
    Clear,
    /// MSRPC: all messages are sealed, and Kerberos has a third leg (MS-RPCE section 3.3.1.5.2).
    Rpc,
    /// TLS, which already encrypts all messages, with its channel bindings if they are used.
    Tls(Option<Vec<u8>>),
}

/// The service and the means to authenticate to it.
pub(crate) struct Target<'a> {
    /// The account. With a domain: `user@domain`, or `DOMAIN\user`.
    pub(crate) account: &'a str,
    /// The service principal name, such as `ldap/dc1.corp.example.com`.
    pub(crate) service: String,
    /// The allowed protocols.
    pub(crate) mechanism: Mechanism,
    /// The KDC of the domain.
    pub(crate) kdc: Kdc,
}

/// The client side of an authentication.
pub(crate) struct Authenticator {
    context: SspiContext,
    credentials: Option<CredentialsBuffers>,
    service: String,
    requirements: ClientRequestFlags,
    channel: Channel,
    kdc: Kdc,
    verdict: KdcVerdict,
}

/// The result of one step.
pub(crate) struct Step {
    /// The token for the server; empty for none.
    pub(crate) token: Vec<u8>,
    /// Whether no further token of the server is expected.
    pub(crate) done: bool,
}

/// Why an authentication failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The account was refused. Another attempt with the same password has the same result.
    #[error("{0}")]
    Refused(String),
    /// No KDC responds.
    #[error("{0}")]
    NoKdc(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl AuthError {
    fn new(error: &sspi::Error, verdict: KdcVerdict) -> Self {
        match (verdict, error.error_type) {
            (KdcVerdict::Refused(reason), _) => Self::Refused(reason.to_owned()),
            (_, ErrorKind::NoAuthenticatingAuthority) => Self::NoKdc(error.description.clone()),
            (_, ErrorKind::TimeSkew) => Self::Failed(
                "the clocks of the server and of this machine differ by more than Kerberos allows"
                    .to_owned(),
            ),
            _ => Self::Failed(error.description.clone()),
        }
    }
}

impl From<sspi::Error> for AuthError {
    fn from(error: sspi::Error) -> Self {
        Self::new(&error, KdcVerdict::None)
    }
}

impl Authenticator {
    /// Begins the authentication of `attempt` to `target` over `channel`.
    ///
    /// # Errors
    /// The account name or the configuration that SSPI does not accept.
    pub(crate) fn new(
        attempt: &AuthAttempt,
        target: Target<'_>,
        channel: Channel,
    ) -> Result<Self, AuthError> {
        let workstation = || WORKSTATION.to_owned();
        let Target { account, service, mechanism, kdc } = target;
        let kdc_url = format!("tcp://{}", kdc.address);
        let kerberos = KerberosConfig::new_with_kdc_url(&kdc_url, workstation());
        let packages = Some(mechanism.packages().to_owned());
        let config = match mechanism {
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
        let username = Username::parse(account)
            .map_err(|error| sspi::Error::new(ErrorKind::UnknownCredentials, error.to_string()))?;
        let password = attempt.secret().expose().to_owned().into();
        let identity = Credentials::AuthIdentity(AuthIdentity { username, password });
        let credentials = AcquireCredentialsHandle::<'_, _, _, WithoutCredentialUse>::new()
            .with_auth_data(&identity)
            .with_credential_use(CredentialUse::Outbound)
            .execute(&mut context)?
            .credentials_handle;
        let (requirements, verdict) = (channel.requirements(), KdcVerdict::default());
        Ok(Self { context, credentials, service, requirements, channel, kdc, verdict })
    }

    /// The next step, after the server responded with `token`; empty for the first step.
    ///
    /// # Errors
    /// Why the authentication cannot continue.
    pub(crate) async fn step(&mut self, token: Vec<u8>) -> Result<Step, AuthError> {
        let mut input = vec![SecurityBuffer::new(token, BufferType::Token)];
        if let Channel::Tls(Some(bindings)) = &self.channel {
            input.push(SecurityBuffer::new(bindings.clone(), BufferType::ChannelBindings));
        }
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = self
            .context
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(self.requirements)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name(&self.service)
            .with_input(&mut input)
            .with_output(&mut output);
        let mut generator =
            SspiImpl::initialize_security_context_impl(&mut self.context, &mut builder)?;
        let mut state = generator.start();
        let result = loop {
            match state {
                GeneratorState::Suspended(request) => {
                    let response = self.kdc.exchange(&request).await;
                    if let Ok(response) = &response {
                        self.verdict = self.verdict.after(response);
                    }
                    state = generator.resume(response.map_err(|error| {
                        sspi::Error::new(ErrorKind::NoAuthenticatingAuthority, error)
                    }));
                }
                GeneratorState::Completed(result) => break result,
            }
        };
        drop(generator);
        let result = result.map_err(|error| AuthError::new(&error, self.verdict))?;
        let done = result.status == SecurityStatus::Ok;
        Ok(Step { token: output.swap_remove(0).buffer, done })
    }

    /// Whether a KDC has confirmed the password. A refusal by the server then has another cause.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.verdict == KdcVerdict::Accepted
    }

    /// The context that seals the messages from now on; `None` over TLS.
    pub(crate) fn into_context(self) -> Option<SspiContext> {
        (!matches!(self.channel, Channel::Tls(_))).then_some(self.context)
    }
}

impl Channel {
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

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials contain the password.
        f.debug_struct("Authenticator").field("service", &self.service).finish_non_exhaustive()
    }
}
