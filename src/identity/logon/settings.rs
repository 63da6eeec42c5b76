//! The settings for reading a server's log: defaults by role, and overrides.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use crate::{Glob, Globs};

/// The role of a server.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ServerRole {
    /// A domain controller, which issues the tickets of its domain.
    DomainController,
    /// An Exchange server, to which mail clients log on.
    Exchange,
}

/// What is read from the log of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogonSettings {
    /// The event IDs that are read, out of [`readable_event_ids`](super::readable_event_ids).
    pub ids: Vec<u16>,
    /// The types of logon (`LogonType` of 4624) that identify the user at the source address.
    pub logon_types: Vec<u8>,
    /// Accounts that are no users, as patterns over `user` and `user@domain`.
    pub ignored_accounts: Globs,
    /// Networks without users: domain controllers, Exchange and other servers, load balancers, NAT
    /// gateways and hosts shared by many users.
    pub servers: Vec<IpNet>,
}

/// Accounts that are no users in any network: the monitoring and system mailboxes and the
/// connectivity test of Exchange, the synchronization with Entra, the Kerberos service.
const SERVICE_ACCOUNTS: [&str; 7] =
    ["HealthMailbox*", "SystemMailbox*", "SM_*", "MSOL_*", "AAD_*", "krbtgt*", "extest_*"];

/// Network logons: the only type in which a domain controller sees a user's computer. Type 8,
/// cleartext password, is the LDAP bind of another server. Types 7 and 10 have the address of a
/// remote desktop client, where an administrator's visit to a server would displace the local user.
/// All other types have no address.
const NETWORK: u8 = 3;

/// Cleartext password over the network: Exchange's Basic authentication for mail clients.
const NETWORK_CLEARTEXT: u8 = 8;

impl LogonSettings {
    /// The defaults for a server of this `role`. [`LogonSettings::servers`] is empty, because
    /// nothing is known of the network.
    pub fn for_role(role: ServerRole) -> Self {
        let (ids, logon_types): (&[u16], &[u8]) = match role {
            ServerRole::DomainController => {
                (&[4768, 4769, 4770, 4624, 4634, 4647, 4608], &[NETWORK])
            }
            ServerRole::Exchange => (&[4624, 4634, 4647, 4608], &[NETWORK, NETWORK_CLEARTEXT]),
        };
        let glob = |pattern| Glob::new(pattern).expect("the pattern is in the source");
        let noise = SERVICE_ACCOUNTS.into_iter().map(glob).collect();
        Self {
            ids: ids.into(),
            logon_types: logon_types.into(),
            ignored_accounts: noise,
            servers: Vec::new(),
        }
    }

    pub(super) fn reads_type(&self, logon_type: u64) -> bool {
        self.logon_types.iter().any(|read| u64::from(*read) == logon_type)
    }
}
