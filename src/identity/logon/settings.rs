//! What is read of a server's log: by its role, and as an administrator decides otherwise.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use strum::{EnumIter, EnumString, IntoStaticStr};

use crate::{Glob, Globs};

/// What kind of server it is.
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
    /// It gives out the tickets of its domain.
    DomainController,
    /// Users' mail programs log on to it.
    Exchange,
}

/// What is read of the log of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogonSettings {
    /// The event ids that are read, out of [`readable`](super::readable).
    pub ids: Vec<u16>,
    /// The types of logon (`LogonType` of 4624) that say who is at the address that they came from.
    pub logon_types: Vec<u8>,
    /// Users who are nobody, as patterns over `user` and `user@domain`.
    pub ignored_accounts: Globs,
    /// Where no person is: the addresses of domain controllers, Exchange and other servers, of load
    /// balancers and address translation, of hosts that many share.
    pub servers: Vec<IpNet>,
}

/// The accounts that are nobody in every network: Exchange's monitoring and system mailboxes and its
/// connectivity test, the synchronisation with Entra, the Kerberos service.
const SERVICE_ACCOUNTS: [&str; 7] =
    ["HealthMailbox*", "SystemMailbox*", "SM_*", "MSOL_*", "AAD_*", "krbtgt*", "extest_*"];

/// Over the network: the only type in which a domain controller sees a user's computer. Type 8, a
/// password in clear, is on a controller the LDAP bind of some other server; types 7 and 10 have the
/// address of a remote desktop client, whose own user would be displaced by an administrator's look
/// at a server; all others have no address.
const NETWORK: u8 = 3;

/// With the password in clear: Exchange's Basic authentication of mail programs.
const NETWORK_CLEARTEXT: u8 = 8;

impl LogonSettings {
    /// What is read of a server of this `role` unless an administrator decides otherwise. Nothing is
    /// known of its network: [`LogonSettings::servers`] is empty.
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
