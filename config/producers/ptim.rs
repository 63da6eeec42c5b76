//! The `ptim` table: clients other than enforcement points that push events over HTTP.

use ipnet::IpNet;
use rollcall_identity::{Authority, Name};
use rollcall_wire::ptim::MissingTime;

use crate::SecretHash;
use crate::authority::{self, MAX_SESSIONS, all_kinds};
use crate::scalar::Domain;
use crate::table_reader::TableReader;
use crate::token_auth::{ClientCredentials, ClientScope};

/// The PTIM producer. Its requests arrive at the enforcement listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ptim {
    /// The name of the producer.
    pub name: Name,
    /// Whether pushes are accepted.
    pub enabled: bool,
    /// The clients that may push without being enforcement points.
    pub clients: Vec<PtimClient>,
}

/// A client that pushes events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PtimClient {
    /// The name in logs, metrics and explanations.
    pub name: Name,
    /// The source addresses that it may connect from.
    pub addresses: Vec<IpNet>,
    /// The client ID for the token endpoint, 1 to 64 characters.
    pub client_id: String,
    /// The hash of its secret.
    pub secret: SecretHash,
    /// What it may report.
    pub authority: Authority,
    /// The domain of users without a domain.
    pub domain: Option<Name>,
    /// How events without a timestamp are treated.
    pub missing_time: MissingTime,
}

impl Ptim {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Self {
        let default = Name::new("ptim").expect("a plain word is a valid name");
        let name = table.get_or("name", default);
        table.unique("producer", "name", name.as_str());
        Self {
            name,
            enabled: table.get_or("enabled", true),
            clients: table.subtables("clients", PtimClient::from_table),
        }
    }
}

impl PtimClient {
    fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let ClientCredentials { name, addresses, client_id, secret } =
            ClientCredentials::from_table(table, ClientScope::Enforcement);
        let authority = authority::from_table(table, all_kinds().collect(), MAX_SESSIONS);
        let domain = table.get::<Domain>("domain").map(|domain| domain.0);
        let missing_time = missing_time(table);
        Some(Self {
            name: name?,
            addresses,
            client_id: client_id?,
            secret: secret?,
            authority,
            domain,
            missing_time,
        })
    }
}

/// Reads `require_timestamp`.
pub(crate) fn missing_time(table: &TableReader<'_>) -> MissingTime {
    if table.get_or("require_timestamp", false) {
        MissingTime::Reject
    } else {
        MissingTime::UseArrival
    }
}
