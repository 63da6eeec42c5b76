//! The listener that the web interface of an SRX (J-Web) asks while an administrator writes a policy,
//! and the firewalls that may.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use rollcall_identity::Name;

use crate::enforcement::{Lockout, TOKEN_LIFETIME, TOKEN_LIFETIMES};
use crate::leaf::UrlPath;
use crate::listener::Transport;
use crate::producers::ptim::{Doorway, Login};
use crate::section::Section;
use crate::{HttpLimits, SecretHash, Tls};

/// The validator listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validator {
    /// Where it listens; empty switches it off.
    pub listen: Vec<SocketAddr>,
    /// How its connections are protected.
    pub tls: Tls,
    /// Where a client secret buys a token, with the slash before it.
    pub token_path: String,
    /// Under which path all questions are, with the slash before it.
    pub query_path: String,
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// Its limits.
    pub limits: HttpLimits,
    /// What follows wrong secrets.
    pub lockout: Lockout,
    /// Who may ask.
    pub clients: Vec<ValidatorClient>,
}

/// A firewall whose web interface may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorClient {
    /// Its name in the log and the metrics.
    pub name: Name,
    /// From where it may connect.
    pub addresses: Vec<IpNet>,
    /// The `client-id` of `jims-validator`, 1 to 64 characters.
    pub client_id: String,
    /// What its `client-secret` must hash to.
    pub secret: SecretHash,
}

/// Connections at once: a person types in the web interface of each firewall.
const CONNECTIONS: usize = 256;

impl Validator {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let listen: Vec<SocketAddr> = section.list("listen").unwrap_or_default();
        section.listens(Transport::Tcp, "listen", &listen);
        let insecure = section.or("insecure", false);
        let tls = section.section("tls", Tls::read);
        if insecure && section.has("tls") {
            section.complain("insecure", "is plain HTTP: there is a tls section beside it");
        }
        let path = |key, default: &str| {
            section.get::<UrlPath>(key).map_or_else(|| default.to_owned(), |path| path.0)
        };
        let token_path = path("token_path", "/oauth_token/oauth");
        let query_path = path("query_path", "/validator/v1");
        if token_path == query_path {
            section.complain("token_path", "is the query_path too");
        }
        let clients = section.sections("clients", ValidatorClient::read);
        if !listen.is_empty() && !section.has("clients") {
            section.complain("listen", "is for nobody: there is no [[validator.clients]]");
        }
        Self {
            listen,
            tls: if insecure { Tls::Plain } else { tls },
            token_path,
            query_path,
            token_lifetime: section.within("token_lifetime", TOKEN_LIFETIME, TOKEN_LIFETIMES),
            limits: section.section("limits", |limits| {
                HttpLimits::read(limits, &HttpLimits::with_connections(CONNECTIONS))
            }),
            lockout: section.section("lockout", Lockout::read),
            clients,
        }
    }
}

impl ValidatorClient {
    fn read(section: &Section<'_>) -> Option<Self> {
        let Login { name, addresses, client_id, secret } = Login::read(section, Doorway::Validator);
        Some(Self { name: name?, addresses, client_id: client_id?, secret: secret? })
    }
}
