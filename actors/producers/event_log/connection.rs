//! A connection to the event log of a server: found, bound to, and sealed.

use std::net::{IpAddr, SocketAddr};

use rollcall_config::{self as config, Auth, ServiceAccount};
use rollcall_wire::event_log::call::{Call, INTERFACE, VERSION};
use rollcall_wire::msrpc::Interface;
use rollcall_wire::msrpc::endpoint_mapper::{self, NoEndpoint};

use super::{Failure, Source};
use crate::msrpc::{Client, Patience, Trouble, port_of, unproven};
use crate::proof::{Applicant, Beneath, KERBEROS, Kdc, Mechanism, Proof};

/// The interface of MS-EVEN6.
const EVENTS: Interface = Interface::new(INTERFACE, VERSION.0, VERSION.1);

/// A connection on which calls are made.
pub(super) struct Connection {
    client: Client,
    patience: Patience,
}

/// A server at one of its addresses.
pub(super) struct Server<'a> {
    source: &'a Source,
    /// Which.
    pub(super) address: IpAddr,
}

impl<'a> Server<'a> {
    /// All addresses of the server of `source`.
    pub(super) async fn all(source: &'a Source) -> Result<Vec<Self>, Failure> {
        if let Some(address) = source.server.address {
            return Ok(vec![Self { source, address }]);
        }
        let host = &source.server.host;
        let failed = |why| Failure::Names { host: host.clone(), why };
        let found = tokio::net::lookup_host((host.as_str(), endpoint_mapper::PORT)).await;
        let mut servers: Vec<Self> = Vec::new();
        for at in found.map_err(failed)? {
            if servers.iter().all(|known| known.address != at.ip()) {
                servers.push(Self { source, address: at.ip() });
            }
        }
        match servers.is_empty() {
            true => Err(failed(std::io::Error::other("there is none"))),
            false => Ok(servers),
        }
    }

    /// The port of its event log: the configured one, or what its endpoint mapper says. Who does not
    /// answer strangers is asked again with a proof (`RestrictRemoteClients`).
    pub(super) async fn port(&self) -> Result<u16, Failure> {
        if let Some(port) = self.source.server.port {
            return Ok(port.get());
        }
        let (at, patience) = (self.at(endpoint_mapper::PORT), self.patience());
        let asked = match Client::anonymous(at, endpoint_mapper::INTERFACE, patience).await {
            Ok(mut client) => port_of(&mut client, &EVENTS, patience).await,
            Err(why) => Err(why),
        };
        match asked {
            Err(Trouble::NoEndpoint(NoEndpoint::AccessDenied)) => {
                let mut client = self.bind(at, endpoint_mapper::INTERFACE).await?;
                port_of(&mut client, &EVENTS, patience).await.map_err(Failure::Endpoint)
            }
            asked => asked.map_err(Failure::Endpoint),
        }
    }

    /// Binds to the event log at `port`.
    pub(super) async fn connect(&self, port: u16) -> Result<Connection, Failure> {
        let client = self.bind(self.at(port), EVENTS).await?;
        Ok(Connection { client, patience: self.patience() })
    }

    async fn bind(&self, at: SocketAddr, interface: Interface) -> Result<Client, Failure> {
        let account = &self.source.settings.account.name;
        let failed = |why| Failure::Credentials { account: account.clone(), why };
        let proof = self.proof().map_err(|why| failed(unproven(&why)))?;
        Client::sealed(at, interface, proof, self.patience()).await.map_err(failed)
    }

    fn proof(&self) -> Result<Proof, sspi::Error> {
        let config::EventLog { account, auth, kdc, .. } = &self.source.settings;
        let mechanism = match auth {
            Auth::Kerberos => Mechanism::Kerberos,
            Auth::Spnego => Mechanism::Either,
            Auth::Ntlm => Mechanism::Ntlm,
        };
        let at = kdc.unwrap_or(self.at(KERBEROS));
        let kdc = Kdc { at, patience: self.patience().connect };
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

impl Connection {
    /// Makes the call that is `named` so in MS-EVEN6; the answer is the stub, to be read by
    /// `C::answer`.
    pub(super) async fn call<C: Call>(
        &mut self,
        named: &'static str,
        call: &C,
    ) -> Result<Vec<u8>, Failure> {
        let stub = call.stub()?;
        let patience = Some(self.patience.answer);
        let answer = self.client.call(C::OPNUM, &stub, patience).await;
        answer.map_err(|why| Failure::Call { call: named, why })
    }

    /// The same for a call that is answered when something happens, however long that takes.
    pub(super) async fn wait<C: Call>(
        &mut self,
        named: &'static str,
        call: &C,
    ) -> Result<Vec<u8>, Failure> {
        let stub = call.stub()?;
        let answer = self.client.call(C::OPNUM, &stub, None).await;
        answer.map_err(|why| Failure::Call { call: named, why })
    }
}
