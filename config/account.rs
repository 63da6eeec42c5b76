//! The account by which Rollcall proves itself to the servers of a domain.

use std::borrow::Cow;
use std::fmt;

use rollcall_identity::Name;

use crate::secret::Secret;
use crate::section::Section;

/// Its name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// As it is written: `rollcall@corp.example.com`, `CORP\rollcall`, `rollcall`, or a distinguished name.
    pub name: String,
    /// Its password.
    pub secret: Secret,
}

impl ServiceAccount {
    pub(crate) fn read(section: &Section<'_>) -> Option<Self> {
        let name = section.required::<String>("account").unwrap_or_default();
        Some(Self { name, secret: Secret::read(section)? })
    }

    /// Whether its domain is written with it.
    pub fn has_domain(&self) -> bool {
        self.name.contains(['@', '\\'])
    }

    /// Whether it is a distinguished name, such as `CN=rollcall,DC=corp,DC=example,DC=com`.
    pub fn is_distinguished(&self) -> bool {
        self.name.contains('=')
    }

    /// Its name with a domain, which is `domain` where none is written.
    pub fn within(&self, domain: &Name) -> Cow<'_, str> {
        if self.has_domain() {
            Cow::Borrowed(&self.name)
        } else {
            Cow::Owned(format!("{}@{domain}", self.name))
        }
    }
}

impl fmt::Display for ServiceAccount {
    /// Its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_without_a_domain_is_of_the_one_that_is_asked() {
        let domain = Name::new("corp.example.com").unwrap();
        for (written, wanted) in [
            ("rollcall", "rollcall@corp.example.com"),
            ("rollcall@lab.example.com", "rollcall@lab.example.com"),
            ("CORP\\rollcall", "CORP\\rollcall"),
        ] {
            let secret = Secret::new("password").unwrap();
            let account = ServiceAccount { name: written.to_owned(), secret };
            assert_eq!(account.within(&domain), wanted);
            assert!(!account.is_distinguished());
        }
    }
}
