//! The domain controllers of a directory, and the first of them that lets Rollcall in.

use rollcall_config as config;

use super::DirectoryError;
use super::connection::LdapConnection;
use super::server::DirectoryServer;
use super::tls::Tls;
use crate::resolver::{Names, NoName};

/// Connects to the first server that lets the account in, of those before `below` in their order;
/// `doubtful`, which let it in and then gave nothing, is tried after the others.
///
/// # Errors
/// Why each of them does not.
pub(super) async fn first(
    settings: &config::ActiveDirectory,
    tls: &Tls,
    below: usize,
    doubtful: Option<&str>,
) -> Result<LdapConnection, DirectoryError> {
    let names = Names { servers: &settings.name_servers };
    let hosts = if settings.servers.is_empty() {
        names.controllers(settings.domain.as_str()).await?
    } else {
        settings.servers.clone()
    };
    let what = format!("a domain controller of {}", settings.domain);
    let mut tried = Vec::new();
    for (rank, host) in in_turn(hosts.into_iter().take(below), doubtful) {
        let addresses = match names.addresses(&host).await {
            Ok(addresses) => addresses,
            Err(why) => {
                tried.push((host, why.into()));
                continue;
            }
        };
        for address in addresses {
            let server = DirectoryServer { host: host.clone(), address, rank };
            match LdapConnection::open(settings, tls, server).await {
                Ok(connection) => return Ok(connection),
                Err(why) => tried.push((host.clone(), why)),
            }
        }
    }
    if tried.len() > 1 {
        return Err(DirectoryError::Tried(tried));
    }
    let alone = tried.pop().map(|(_, why)| why);
    Err(alone.unwrap_or(DirectoryError::Names { what, why: NoName::None }))
}

/// The hosts with their ranks, `doubtful` last.
fn in_turn(
    hosts: impl Iterator<Item = String>,
    doubtful: Option<&str>,
) -> impl Iterator<Item = (usize, String)> {
    let is_doubtful = |(_, host): &(usize, String)| Some(host.as_str()) == doubtful;
    let (last, first): (Vec<_>, Vec<_>) = hosts.enumerate().partition(is_doubtful);
    first.into_iter().chain(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gave_nothing_is_tried_last_and_keeps_its_rank() {
        let hosts = || ["dc1", "dc2", "dc3"].into_iter().map(str::to_owned);
        let names = |doubtful| in_turn(hosts(), doubtful).collect::<Vec<_>>();
        let named = |rank, host: &str| (rank, host.to_owned());
        assert_eq!(names(None), [named(0, "dc1"), named(1, "dc2"), named(2, "dc3")]);
        assert_eq!(names(Some("dc1")), [named(1, "dc2"), named(2, "dc3"), named(0, "dc1")]);
        assert_eq!(names(Some("dc9")), names(None));
    }
}
