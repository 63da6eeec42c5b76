//! A connection to the event log of a server: found, bound to, and sealed.

use std::net::{IpAddr, SocketAddr};

use rollcall_config::{self as config, EndpointMapperAuth, EventLogAuth, ServiceAccount};
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
use crate::resolver::{Names, NoName};
use crate::windows::msrpc::{Patience, RpcClient, Trouble, port_of, unproven};
use crate::windows::sspi::{Applicant, Beneath, KERBEROS, Kdc, Mechanism, Proof};

/// The interface of MS-EVEN6.
const EVENTS: Interface = Interface::new(INTERFACE, VERSION.0, VERSION.1);

/// A connection on which calls are made.
pub(super) struct RpcConnection {
    client: RpcClient,
    patience: Patience,
}

/// A server at one of its addresses.
pub(super) struct EventLogServer<'a> {
    source: &'a Source,
    /// Which.
    pub(super) address: IpAddr,
}

impl<'a> EventLogServer<'a> {
    /// All addresses of the server of `source`.
    pub(super) async fn all(source: &'a Source) -> Result<Vec<Self>, EventLogError> {
        if let Some(address) = source.server.address {
            return Ok(vec![Self { source, address }]);
        }
        let host = &source.server.host;
        let failed = |why| EventLogError::Names { host: host.clone(), why };
        let found = names(source).addresses(host).await;
        let mut servers: Vec<Self> = Vec::new();
        for address in found.map_err(|not_found| failed(not_found.why))? {
            if servers.iter().all(|known| known.address != address) {
                servers.push(Self { source, address });
            }
        }
        match servers.is_empty() {
            true => Err(failed(NoName::None)),
            false => Ok(servers),
        }
    }

    /// The port of its event log: the configured one, or what its endpoint mapper says.
    pub(super) async fn port(&self) -> Result<u16, EventLogError> {
        match self.source.server.port {
            Some(port) => Ok(port.get()),
            None => self.mapped(&EVENTS).await,
        }
    }

    /// The port of `interface`, by the endpoint mapper. One that does not answer strangers is asked
    /// again with a proof (`RestrictRemoteClients`).
    async fn mapped(&self, interface: &Interface) -> Result<u16, EventLogError> {
        let (at, patience) = (self.at(endpoint_mapper::PORT), self.patience());
        if self.source.settings.endpoint_mapper == EndpointMapperAuth::Anonymous {
            let asked = match RpcClient::anonymous(at, endpoint_mapper::INTERFACE, patience).await {
                Ok(mut client) => port_of(&mut client, interface, patience).await,
                Err(why) => Err(why),
            };
            match asked {
                Err(Trouble::NoEndpoint(EndpointError::AccessDenied)) => {}
                asked => return asked.map_err(EventLogError::Endpoint),
            }
        }
        let mut client = self.bind(at, endpoint_mapper::INTERFACE).await?;
        port_of(&mut client, interface, patience).await.map_err(EventLogError::Endpoint)
    }

    /// The domain of a domain controller, by its account manager: the name of NetBIOS, and the SID that
    /// those of its accounts begin with.
    pub(super) async fn domain(&self) -> Result<(String, Sid), EventLogError> {
        let port = self.mapped(&samr::INTERFACE).await?;
        let mut client = self.bind(self.at(port), samr::INTERFACE).await?;
        let patience = Some(self.patience().answer);
        let mut ask = async |call, opnum, stub: Vec<u8>| {
            let answer = client.call(opnum, &stub, patience).await;
            answer.map_err(|why| EventLogError::Call { call, why })
        };
        let call = "SamrConnect5";
        let answer = ask(call, Connect5::OPNUM, Connect5.stub()).await?;
        let handle = told(call, Connect5::decode(&answer))?;
        let call = "SamrEnumerateDomainsInSamServer";
        let enumerate = EnumerateDomains { handle };
        let answer = ask(call, EnumerateDomains::OPNUM, enumerate.stub()).await?;
        let names = told(call, EnumerateDomains::decode(&answer))?;
        let own = names.into_iter().find(|name| !name.eq_ignore_ascii_case(BUILTIN));
        let none =
            || EventLogError::Configured(format!("{call}: the server has no domain of its own"));
        let name = own.ok_or_else(none)?;
        let call = "SamrLookupDomainInSamServer";
        let look_up = LookupDomain { handle, name: &name };
        let answer = ask(call, LookupDomain::OPNUM, look_up.stub()).await?;
        let sid = told(call, LookupDomain::decode(&answer))?;
        ask("SamrCloseHandle", CloseHandle::OPNUM, CloseHandle { handle }.stub()).await?;
        Ok((name, sid))
    }

    /// Binds to the event log at `port`.
    pub(super) async fn connect(&self, port: u16) -> Result<RpcConnection, EventLogError> {
        let client = self.bind(self.at(port), EVENTS).await?;
        Ok(RpcConnection { client, patience: self.patience() })
    }

    async fn bind(&self, at: SocketAddr, interface: Interface) -> Result<RpcClient, EventLogError> {
        let account = &self.source.settings.account.name;
        let failed = |why| EventLogError::Credentials { account: account.clone(), why };
        let kdc = self.kdc().await.map_err(failed)?;
        let proof = self.proof(kdc).map_err(|why| failed(unproven(&why)))?;
        RpcClient::sealed(at, interface, proof, self.patience()).await.map_err(failed)
    }

    /// Who gives out tickets: whoever is configured, the server itself where it does so, or else whom
    /// DNS names for the domain.
    async fn kdc(&self) -> Result<SocketAddr, Trouble> {
        let Source { settings, server } = self.source;
        let itself = self.at(KERBEROS);
        let realm = match (settings.auth, server.role) {
            _ if settings.kdc.is_some() => None,
            (EventLogAuth::Ntlm, _) | (_, ServerRole::DomainController) => None,
            (EventLogAuth::Kerberos | EventLogAuth::Spnego, ServerRole::Exchange) => {
                settings.realm(server)
            }
        };
        let Some(realm) = realm else { return Ok(settings.kdc.unwrap_or(itself)) };
        match names(self.source).kdc(realm).await {
            Ok(kdc) => Ok(kdc),
            // NTLM is left, and needs none.
            Err(_) if settings.auth == EventLogAuth::Spnego => Ok(itself),
            Err(why) => Err(Trouble::NoKdc(why.to_string())),
        }
    }

    fn proof(&self, kdc: SocketAddr) -> Result<Proof, sspi::Error> {
        let config::EventLog { account, auth, .. } = &self.source.settings;
        let mechanism = match auth {
            EventLogAuth::Kerberos => Mechanism::Kerberos,
            EventLogAuth::Spnego => Mechanism::Either,
            EventLogAuth::Ntlm => Mechanism::Ntlm,
        };
        let kdc = Kdc { at: kdc, patience: self.patience().connect };
        // The service principal name that every computer of a domain has.
        let target = format!("host/{}", self.source.server.host);
        let ServiceAccount { name: account, secret } = account;
        Proof::new(Applicant { account, secret, mechanism }, target, Beneath::Rpc, kdc)
    }

    const fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }

    const fn patience(&self) -> Patience {
        let limits = &self.source.settings.limits;
        Patience { connect: limits.connect, answer: limits.answer }
    }
}

/// Who says where the servers of `source` are.
fn names(source: &Source) -> Names<'_> {
    Names { servers: &source.settings.name_servers }
}

/// What an answer of the account manager says.
fn told<T>(
    call: &'static str,
    answer: Result<Result<T, SamrError>, NdrError>,
) -> Result<T, EventLogError> {
    let answer = answer.map_err(|why| EventLogError::Answer { call, why })?;
    answer.map_err(|why| EventLogError::NotTold { call, why })
}

impl RpcConnection {
    /// Makes the call that is `named` so in MS-EVEN6; the answer is the stub, to be read by
    /// `C::decode`.
    pub(super) async fn call<C: EventLogCall>(
        &mut self,
        named: &'static str,
        call: &C,
    ) -> Result<Vec<u8>, EventLogError> {
        let stub = call.stub()?;
        let patience = Some(self.patience.answer);
        let answer = self.client.call(C::OPNUM, &stub, patience).await;
        answer.map_err(|why| EventLogError::Call { call: named, why })
    }

    /// The same for a call that is answered when something happens, however long that takes.
    pub(super) async fn wait<C: EventLogCall>(
        &mut self,
        named: &'static str,
        call: &C,
    ) -> Result<Vec<u8>, EventLogError> {
        let stub = call.stub()?;
        let answer = self.client.call(C::OPNUM, &stub, None).await;
        answer.map_err(|why| EventLogError::Call { call: named, why })
    }
}
