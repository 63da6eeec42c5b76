//! Who, besides the enforcement points, may push events over HTTP.

use ipnet::IpNet;
use rollcall_identity::{Authority, Name};
use rollcall_wire::ptim::MissingTime;

use crate::SecretHash;
use crate::authority::{self, everything};
use crate::leaf::{ClientId, Domain};
use crate::section::Section;

/// The pushing producer. Its requests arrive on the enforcement listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ptim {
    /// Its name as a producer.
    pub name: Name,
    /// Whether pushes are taken at all.
    pub enabled: bool,
    /// Who may push without being an enforcement point.
    pub clients: Vec<Pusher>,
}

/// A program that posts events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pusher {
    /// Its name in the log, the metrics and explanations.
    pub name: Name,
    /// From where it may connect.
    pub addresses: Vec<IpNet>,
    /// With which client id it asks for a token, 1 to 64 characters.
    pub client_id: String,
    /// What its secret must hash to.
    pub secret: SecretHash,
    /// What it may speak for.
    pub authority: Authority,
    /// The domain of users that are written without one.
    pub domain: Option<Name>,
    /// What becomes of events that do not say their time.
    pub untimed: MissingTime,
}

impl Ptim {
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let default = || Name::new("ptim").expect("a plain word is a name");
        let name = section.get("name").unwrap_or_else(default);
        section.claim("producer", "name", name.as_str());
        Self {
            name,
            enabled: section.or("enabled", true),
            clients: section.sections("clients", Pusher::read),
        }
    }
}

impl Pusher {
    fn read(section: &Section<'_>) -> Option<Self> {
        let Login { name, addresses, client_id, secret } =
            Login::read(section, Doorway::Enforcement);
        let authority = authority::read(section, everything());
        let domain = section.get::<Domain>("domain").map(|domain| domain.0);
        let untimed = untimed(section);
        Some(Self {
            name: name?,
            addresses,
            client_id: client_id?,
            secret: secret?,
            authority,
            domain,
            untimed,
        })
    }
}

/// Reads `require_time`.
pub(crate) fn untimed(section: &Section<'_>) -> MissingTime {
    if section.or("require_time", false) { MissingTime::Reject } else { MissingTime::UseArrival }
}

/// Which listener somebody logs in at: names and client ids differ among those who come by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doorway {
    /// Pushers and enforcement points.
    Enforcement,
    /// Those who validate.
    Validator,
}

/// How somebody proves on a listener who it is; `None` for what is missing or wrong.
pub(crate) struct Login {
    pub(crate) name: Option<Name>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) client_id: Option<String>,
    pub(crate) secret: Option<SecretHash>,
}

impl Login {
    pub(crate) fn read(section: &Section<'_>, doorway: Doorway) -> Self {
        let (names, ids) = match doorway {
            Doorway::Enforcement => ("login", "client_id"),
            Doorway::Validator => ("validator login", "validator client_id"),
        };
        let name = section.required::<Name>("name");
        if let Some(name) = &name {
            section.claim(names, "name", name.as_str());
        }
        let client_id = section.required::<ClientId>("client_id").map(|id| id.0);
        if let Some(id) = &client_id {
            section.claim(ids, "client_id", id);
        }
        let addresses: Vec<IpNet> = section.list("addresses").unwrap_or_default();
        if addresses.is_empty() {
            section.complain("addresses", "must hold at least one address or network");
        }
        Self { name, addresses, client_id, secret: SecretHash::read(section) }
    }
}
