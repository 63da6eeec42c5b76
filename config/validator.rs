//! The `validator` table: the listener for the web interface of an SRX (J-Web, `jims-validator`).

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::Name;

use crate::socket::TransportProtocol;
use crate::table_reader::TableReader;
use crate::token_auth::{self, ClientCredentials, ClientScope};
use crate::{HttpLimits, Lockout, SecretHash, Tls};

/// The settings of the validator listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// The listen addresses; empty disables the listener.
    pub listen: Vec<SocketAddr>,
    /// The certificate.
    pub tls: Tls,
    /// The path of the token endpoint, with a leading slash.
    pub token_path: String,
    /// The path prefix of all queries, with a leading slash.
    pub query_path: String,
    /// The lifetime of a token.
    pub token_lifetime: Duration,
    /// The limits of the listener.
    pub limits: HttpLimits,
    /// The delay of failed logins.
    pub lockout: Lockout,
    /// The firewalls that may send queries.
    pub clients: Vec<ValidatorClient>,
}

/// A firewall whose web interface may send queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorClient {
    /// The name in logs and metrics.
    pub name: Name,
    /// The source addresses that it may connect from.
    pub addresses: Vec<IpNet>,
    /// The `client-id` of `jims-validator`, 1 to 64 characters.
    pub client_id: String,
    /// The hash of its `client-secret`.
    pub secret: SecretHash,
}

/// The default maximum number of connections. The load is one person per web interface.
const CONNECTIONS: usize = 256;

impl Validator {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let listen: Vec<SocketAddr> = table.list_or("listen", Vec::new());
        table.unique_listeners(TransportProtocol::Tcp, "listen", &listen);
        let tls = Tls::with_insecure(table);
        let (token_path, query_path) = token_auth::paths(table, "/validator/v1");
        let clients = table.subtables("clients", ValidatorClient::from_table);
        if !listen.is_empty() && !table.has("clients") {
            let message =
                "is not empty, but there are no clients; add a [[validator.clients]] table";
            table.error_at("listen", message);
        }
        Self {
            listen,
            tls,
            token_path,
            query_path,
            token_lifetime: token_auth::token_lifetime(table),
            limits: table.subtable("limits", |limits| {
                HttpLimits::from_table(limits, &HttpLimits::with_connections(CONNECTIONS))
            }),
            lockout: table.subtable("lockout", Lockout::from_table),
            clients,
        }
    }
}

impl ValidatorClient {
    fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let ClientCredentials { name, addresses, client_id, secret } =
            ClientCredentials::from_table(table, ClientScope::Validator);
        Some(Self { name: name?, addresses, client_id: client_id?, secret: secret? })
    }
}
