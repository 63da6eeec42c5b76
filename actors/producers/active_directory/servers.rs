//! The domain controllers of a domain, and the connection to the first one that can be used.

use std::sync::Arc;

use rollcall_config as config;
use rustls::ClientConfig;

use super::DirectoryError;
use super::connection::LdapConnection;
use super::handshake::connect;
use super::server::DirectoryServer;
use super::tls;
use crate::remote::{AccountGuard, RemoteAccount, Resolver};
use rollcall_runtime::tls::TlsError;

/// The domain controllers of one domain, and the means to connect to them.
pub(super) struct DomainControllers {
    pub(super) settings: config::ActiveDirectory,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) account: RemoteAccount,
    resolver: Resolver,
}

impl DomainControllers {
    /// The domain controllers of `settings`. All directories of `accounts` share the bound on the
    /// attempts with an account.
    ///
    /// # Errors
    /// The CA file that cannot be used.
    pub(super) fn new(
        settings: &config::ActiveDirectory,
        accounts: &AccountGuard,
    ) -> Result<Self, TlsError> {
        let config::ActiveDirectory { account, domain, limits, .. } = settings;
        Ok(Self {
            tls: tls::client(settings)?,
            account: accounts.account(account, Some(domain), limits.credential_retry),
            resolver: Resolver::new(&settings.name_servers),
            settings: settings.clone(),
        })
    }

    /// Connects to the first controller that can be used. A refused account ends the search, because
    /// it is the same on every controller.
    ///
    /// # Errors
    /// The error of each controller.
    pub(super) async fn connect(&self) -> Result<LdapConnection, DirectoryError> {
        self.connect_before(usize::MAX, None).await
    }

    /// As [`connect`](Self::connect), with the controllers before the rank `end` only. The controller
    /// `suspect`, which authenticated the account and then failed, is tried last.
    ///
    /// # Errors
    /// The error of each controller.
    pub(super) async fn connect_before(
        &self,
        end: usize,
        suspect: Option<&str>,
    ) -> Result<LdapConnection, DirectoryError> {
        let hosts = match self.settings.servers.as_slice() {
            [] => self.resolver.domain_controllers(self.settings.domain.as_str()).await?,
            servers => servers.to_vec(),
        };
        let mut errors = Vec::new();
        for (rank, host) in ordered(hosts.into_iter().take(end), suspect) {
            let addresses = match self.resolver.addresses(&host).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    errors.push((host, error.into()));
                    continue;
                }
            };
            for address in addresses {
                match self.open(DirectoryServer { host: host.clone(), address, rank }).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if error.is_credentials_refused() => return Err(error),
                    Err(error) => errors.push((host.clone(), error)),
                }
            }
        }
        Err(DirectoryError::of_all(errors))
    }

    /// Connects to `server`, authenticates the account, and reads the root DSE. The attempt begins
    /// when the connection is open, so that an unreachable server does not hold back the others.
    async fn open(&self, server: DirectoryServer) -> Result<LdapConnection, DirectoryError> {
        let started = rollcall_runtime::clock::Clock::instant();
        let connected = connect(&self.settings, &self.tls, &server).await?;
        let left = self.settings.limits.connect_timeout.saturating_sub(started.elapsed());
        let attempt = self.account.begin().await?;
        let opened = LdapConnection::open(&self.settings, &attempt, connected, server, left).await;
        match &opened {
            Ok(_) => attempt.accepted(),
            Err(error) if error.is_credentials_refused() => attempt.refused(&error.to_string()),
            Err(_) => drop(attempt),
        }
        opened
    }
}

/// The hosts with their ranks, `suspect` last.
fn ordered(
    hosts: impl Iterator<Item = String>,
    suspect: Option<&str>,
) -> impl Iterator<Item = (usize, String)> {
    let is_suspect = |(_, host): &(usize, String)| Some(host.as_str()) == suspect;
    let (last, first): (Vec<_>, Vec<_>) = hosts.enumerate().partition(is_suspect);
    first.into_iter().chain(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspect_controller_is_tried_last_and_keeps_its_rank() {
        let hosts = || ["dc1", "dc2", "dc3"].into_iter().map(str::to_owned);
        let names = |suspect| ordered(hosts(), suspect).collect::<Vec<_>>();
        let named = |rank, host: &str| (rank, host.to_owned());
        assert_eq!(names(None), [named(0, "dc1"), named(1, "dc2"), named(2, "dc3")]);
        assert_eq!(names(Some("dc1")), [named(1, "dc2"), named(2, "dc3"), named(0, "dc1")]);
        assert_eq!(names(Some("dc9")), names(None));
    }
}
