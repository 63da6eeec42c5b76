//! A connection to the event log service of a server: address, port, authentication, calls.

use std::net::{IpAddr, SocketAddr};

use rollcall_config::{EndpointMapperAuth, EventLogAuth};
use rollcall_identity::directory::Sid;
use rollcall_identity::logon::ServerRole;
use rollcall_wire::event_log::call::{EventLogCall, INTERFACE, VERSION};
use rollcall_wire::msrpc::Interface;
use rollcall_wire::msrpc::endpoint_mapper::{self, EndpointError};
use rollcall_wire::msrpc::ndr::NdrError;
use rollcall_wire::msrpc::samr::{
    self, BUILTIN, CloseHandle, Connect5, EnumerateDomains, LookupDomain, SamrError,
};

use super::{EventLogError, Source};
use crate::remote::{AuthAttempt, RemoteAccount, Resolver};
use crate::windows::kdc::{KERBEROS_PORT, Kdc};
use crate::windows::msrpc::{RpcClient, RpcError, RpcTimeouts, query_port};
use crate::windows::sspi::{AuthError, Authenticator, Channel, Mechanism, Target};

/// The interface of MS-EVEN6.
const EVENTS: Interface = Interface::new(INTERFACE, VERSION.0, VERSION.1);

/// A connection on which calls are made.
pub(super) struct RpcConnection {
    client: RpcClient,
    timeouts: RpcTimeouts,
}

/// A server at one of its addresses.
pub(super) struct EventLogServer<'a> {
    source: &'a Source,
    account: &'a RemoteAccount,
    pub(super) address: IpAddr,
}

impl<'a> EventLogServer<'a> {
    /// The server of `source` at each of its addresses.
    pub(super) async fn resolve(
        source: &'a Source,
        account: &'a RemoteAccount,
    ) -> Result<Vec<Self>, EventLogError> {
        let addresses = match source.server.address {
            Some(address) => vec![address],
            None => resolver(source).addresses(&source.server.host).await?,
        };
        Ok(addresses.into_iter().map(|address| Self { source, account, address }).collect())
    }

    /// Connects to the event log service of the first of `servers` that can be used.
    pub(super) async fn connect_first(servers: &[Self]) -> Result<RpcConnection, EventLogError> {
        let mut last = None;
        for server in servers {
            let connected = match server.port().await {
                Ok(port) => server.connect(port).await,
                Err(error) => Err(error),
            };
            match connected {
                Ok(connection) => return Ok(connection),
                // The account is the same at every address.
                Err(error) if error.is_credentials_refused() => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        let none = || EventLogError::Configured("the server has no address".to_owned());
        Err(last.unwrap_or_else(none))
    }

    /// The port of the event log service: the configured one, or that of the endpoint mapper.
    pub(super) async fn port(&self) -> Result<u16, EventLogError> {
        match self.source.server.port {
            Some(port) => Ok(port.get()),
            None => self.mapped_port(&EVENTS).await,
        }
    }

    /// The port of `interface`, from the endpoint mapper. If the mapper refuses the anonymous query
    /// (`RestrictRemoteClients`), the query is repeated with authentication.
    async fn mapped_port(&self, interface: &Interface) -> Result<u16, EventLogError> {
        if self.source.settings.endpoint_mapper == EndpointMapperAuth::Anonymous {
            match self.query_anonymously(interface).await {
                Err(RpcError::NoEndpoint(EndpointError::AccessDenied)) => {}
                port => return port.map_err(EventLogError::Endpoint),
            }
        }
        let mapper = self.at(endpoint_mapper::PORT);
        let mut client = self.bind(mapper, endpoint_mapper::INTERFACE).await?;
        let port = query_port(&mut client, interface, self.timeouts()).await;
        port.map_err(EventLogError::Endpoint)
    }

    async fn query_anonymously(&self, interface: &Interface) -> Result<u16, RpcError> {
        let timeouts = self.timeouts();
        let stream = timeouts.connect(self.at(endpoint_mapper::PORT)).await?;
        let mapper = endpoint_mapper::INTERFACE;
        let mut client = RpcClient::anonymous(stream, mapper, timeouts).await?;
        query_port(&mut client, interface, timeouts).await
    }

    /// The domain of a domain controller, from its account manager (MS-SAMR): the NetBIOS name, and
    /// the SID that the SIDs of its accounts begin with.
    pub(super) async fn domain(&self) -> Result<(String, Sid), EventLogError> {
        let port = self.mapped_port(&samr::INTERFACE).await?;
        let mut client = self.bind(self.at(port), samr::INTERFACE).await?;
        let limit = Some(self.timeouts().response);
        let mut query = async |call, opnum, stub: Vec<u8>| {
            let response = client.call(opnum, &stub, limit).await;
            response.map_err(|why| EventLogError::Call { call, why })
        };
        let call = "SamrConnect5";
        let response = query(call, Connect5::OPNUM, Connect5.stub()).await?;
        let handle = samr_result(call, Connect5::decode(&response))?;
        let call = "SamrEnumerateDomainsInSamServer";
        let enumerate = EnumerateDomains { handle };
        let response = query(call, EnumerateDomains::OPNUM, enumerate.stub()).await?;
        let names = samr_result(call, EnumerateDomains::decode(&response))?;
        let own = names.into_iter().find(|name| !name.eq_ignore_ascii_case(BUILTIN));
        let none =
            || EventLogError::Configured(format!("{call}: the server has no domain of its own"));
        let name = own.ok_or_else(none)?;
        let call = "SamrLookupDomainInSamServer";
        let look_up = LookupDomain { handle, name: &name };
        let response = query(call, LookupDomain::OPNUM, look_up.stub()).await?;
        let sid = samr_result(call, LookupDomain::decode(&response))?;
        query("SamrCloseHandle", CloseHandle::OPNUM, CloseHandle { handle }.stub()).await?;
        Ok((name, sid))
    }

    /// Binds to the event log service at `port`.
    pub(super) async fn connect(&self, port: u16) -> Result<RpcConnection, EventLogError> {
        let client = self.bind(self.at(port), EVENTS).await?;
        Ok(RpcConnection { client, timeouts: self.timeouts() })
    }

    /// Connects to `server`, authenticates the account and binds to `interface`. The attempt begins
    /// when the connection is open, so that an unreachable server does not hold back the others.
    async fn bind(
        &self,
        server: SocketAddr,
        interface: Interface,
    ) -> Result<RpcClient, EventLogError> {
        let account = &self.source.settings.account.name;
        let failed = |why| EventLogError::Credentials { account: account.clone(), why };
        let timeouts = self.timeouts();
        let stream = timeouts.connect(server).await.map_err(failed)?;
        let kdc = self.kdc().await.map_err(failed)?;
        let attempt = self.account.begin().await?;
        let bound = match self.authenticator(&attempt, kdc) {
            Ok(authenticator) => {
                RpcClient::sealed(stream, interface, authenticator, timeouts).await
            }
            Err(error) => Err(error.into()),
        };
        match &bound {
            Ok(_) => attempt.accepted(),
            Err(RpcError::Auth(AuthError::Refused(reason))) => attempt.refused(reason),
            Err(_) => drop(attempt),
        }
        bound.map_err(failed)
    }

    /// The KDC: the configured one, the server itself if it is a domain controller, or else the one
    /// that DNS lists for the domain.
    async fn kdc(&self) -> Result<Kdc, RpcError> {
        let Source { settings, server } = self.source;
        let timeout = settings.limits.connect_timeout;
        let itself = self.at(KERBEROS_PORT);
        let realm = match (settings.auth, server.role) {
            _ if settings.kdc.is_some() => None,
            (EventLogAuth::Ntlm, _) | (_, ServerRole::DomainController) => None,
            (EventLogAuth::Kerberos | EventLogAuth::Spnego, ServerRole::Exchange) => {
                settings.realm(server)
            }
        };
        let Some(realm) = realm else {
            return Ok(Kdc { address: settings.kdc.unwrap_or(itself), timeout });
        };
        match resolver(self.source).kdc(realm).await {
            Ok(address) => Ok(Kdc { address, timeout }),
            // NTLM remains, which needs no KDC.
            Err(_) if settings.auth == EventLogAuth::Spnego => Ok(Kdc { address: itself, timeout }),
            Err(error) => Err(error.into()),
        }
    }

    fn authenticator(&self, attempt: &AuthAttempt, kdc: Kdc) -> Result<Authenticator, AuthError> {
        let mechanism = match self.source.settings.auth {
            EventLogAuth::Kerberos => Mechanism::Kerberos,
            EventLogAuth::Spnego => Mechanism::Either,
            EventLogAuth::Ntlm => Mechanism::Ntlm,
        };
        // Every computer of a domain has this service principal name.
        let service = format!("host/{}", self.source.server.host);
        let account = &attempt.account().name;
        Authenticator::new(attempt, Target { account, service, mechanism, kdc }, Channel::Rpc)
    }

    const fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    const fn timeouts(&self) -> RpcTimeouts {
        let limits = &self.source.settings.limits;
        RpcTimeouts { connect: limits.connect_timeout, response: limits.response_timeout }
    }
}

/// The resolver for the servers of `source`.
fn resolver(source: &Source) -> Resolver {
    Resolver::new(&source.settings.name_servers)
}

/// The result in a response of the account manager.
fn samr_result<T>(
    call: &'static str,
    response: Result<Result<T, SamrError>, NdrError>,
) -> Result<T, EventLogError> {
    let response = response.map_err(|why| EventLogError::Answer { call, why })?;
    response.map_err(|why| EventLogError::AccountManager { call, why })
}

impl RpcConnection {
    /// Makes the call with the name `name` in MS-EVEN6. The result is the stub for `C::decode`.
    pub(super) async fn call<C: EventLogCall>(
        &mut self,
        name: &'static str,
        call: &C,
    ) -> Result<Vec<u8>, EventLogError> {
        let stub = call.stub()?;
        let response = self.client.call(C::OPNUM, &stub, Some(self.timeouts.response)).await;
        response.map_err(|why| EventLogError::Call { call: name, why })
    }

    /// As [`call`](Self::call), without a timeout: the server responds when something happens.
    pub(super) async fn wait<C: EventLogCall>(
        &mut self,
        name: &'static str,
        call: &C,
    ) -> Result<Vec<u8>, EventLogError> {
        let stub = call.stub()?;
        let response = self.client.call(C::OPNUM, &stub, None).await;
        response.map_err(|why| EventLogError::Call { call: name, why })
    }
}
