//! The service account that authenticates Rollcall to the servers of a domain.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use rollcall_identity::Name;

use crate::secret::Secret;
use crate::table_reader::TableReader;

/// The default of `credential_retry`. Domains that lock accounts count wrong passwords over 30 minutes
/// or less, so one attempt in this time never reaches a threshold.
pub(crate) const DEFAULT_CREDENTIAL_RETRY: Duration = Duration::from_secs(30 * 60);

/// The valid values of `credential_retry`.
pub(crate) const CREDENTIAL_RETRY: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 24 * 3600);

/// The name and the password of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// As configured: `rollcall@corp.example.com`, `CORP\rollcall`, `rollcall`, or a distinguished
    /// name.
    pub name: String,
    /// The password.
    pub secret: Secret,
}

impl ServiceAccount {
    pub(crate) fn from_table(table: &TableReader<'_>) -> Option<Self> {
        let name = table.required::<String>("account").unwrap_or_default();
        Some(Self { name, secret: Secret::from_table(table)? })
    }

    /// Whether the name has a domain.
    pub fn has_domain(&self) -> bool {
        self.name.contains(['@', '\\'])
    }

    /// Whether the name is a distinguished name: `CN=rollcall,DC=corp,DC=example,DC=com`.
    pub fn is_distinguished(&self) -> bool {
        self.name.contains('=')
    }

    /// The name with a domain: `domain` if the name has none.
    pub fn within(&self, domain: &Name) -> Cow<'_, str> {
        if self.has_domain() {
            Cow::Borrowed(&self.name)
        } else {
            Cow::Owned(format!("{}@{domain}", self.name))
        }
    }
}

impl fmt::Display for ServiceAccount {
    /// The name, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_without_a_domain_gets_the_domain_of_the_directory() {
        let domain = Name::new("corp.example.com").unwrap();
        for (name, expected) in [
            ("rollcall", "rollcall@corp.example.com"),
            ("rollcall@lab.example.com", "rollcall@lab.example.com"),
            ("CORP\\rollcall", "CORP\\rollcall"),
        ] {
            let secret = Secret::new("password").unwrap();
            let account = ServiceAccount { name: name.to_owned(), secret };
            assert_eq!(account.within(&domain), expected);
            assert!(!account.is_distinguished());
        }
    }
}
