//! One look at a directory, from its name in DNS to its first page, said in plain words.

use std::fmt;

use rollcall_config as config;
use rollcall_identity::directory::{AccountKind, Object, Update};
use rollcall_wire::active_directory as wire;

use super::sync::{identify, seconds_ahead};
use super::{DirectoryError, servers, tls};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::tls::TlsError;

/// From how many seconds on a clock is worth a word. Kerberos takes up to 300 for equal.
const SKEW: i64 = 60;

/// What a look at a directory showed.
#[derive(Debug)]
pub struct DirectoryTestReport {
    /// What was found out, a line each.
    pub lines: Vec<String>,
    /// Why it cannot be read, if it cannot.
    pub failure: Option<DirectoryError>,
}

impl fmt::Display for DirectoryTestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        match &self.failure {
            Some(failure) => writeln!(f, "failed: {failure}"),
            None => Ok(()),
        }
    }
}

/// Connects to the directory of `settings`, proves the account, and reads one page.
///
/// # Errors
/// When the file of its authority holds none.
pub async fn test(
    settings: &config::ActiveDirectory,
    clock: &Clock,
) -> Result<DirectoryTestReport, TlsError> {
    let tls = tls::client(settings)?;
    let mut lines = Vec::new();
    let failure = look(settings, &tls, clock, &mut lines).await.err();
    Ok(DirectoryTestReport { lines, failure })
}

async fn look(
    settings: &config::ActiveDirectory,
    tls: &tls::Tls,
    clock: &Clock,
    lines: &mut Vec<String>,
) -> Result<(), DirectoryError> {
    let mut connection = servers::first(settings, tls, usize::MAX, None).await?;
    let (transport, bind): (&str, &str) = (settings.transport.into(), settings.bind.into());
    lines.push(format!("connected to {} over {transport}", connection.server));
    lines.push(format!("{} was let in by {bind} bind", settings.account.name));
    if let Some(theirs) = connection.root.clock {
        let ahead = seconds_ahead(theirs, clock.now());
        let warning = if ahead.abs() >= SKEW { ": set one of them right" } else { "" };
        let side = if ahead < 0 { "behind ours" } else { "ahead of ours" };
        let seconds = ahead.unsigned_abs();
        lines.push(format!("its clock is {seconds} seconds {side}{warning}"));
    }
    let (names, _) = identify(&mut connection).await?;
    let (dns, netbios, sid) = (&names.dns, &names.netbios, &names.sid);
    lines.push(format!("it serves {dns} ({}, {sid})", netbios.as_str().to_uppercase()));
    if let Some(other) = settings.netbios.as_ref().filter(|name| **name != *netbios) {
        lines.push(format!("it is called {other} in the configuration: set netbios right"));
    }
    for base in settings.places() {
        lines.push(first_page(&mut connection, settings, &base).await?);
    }
    connection.close().await;
    Ok(())
}

/// Reads one page below `base`, and says what is on it.
async fn first_page(
    connection: &mut super::connection::LdapConnection,
    settings: &config::ActiveDirectory,
    base: &str,
) -> Result<String, DirectoryError> {
    let (mut users, mut computers, mut groups, mut problems) = (0, 0, 0, 0);
    let asked = wire::all_objects(base, wire::MailAttribute::Skip);
    let controls = [wire::paged_results(settings.limits.page, &[]), wire::extended_names()];
    let done = connection.search(&asked, &controls, |entry| {
        let reading = wire::read(entry);
        problems += reading.problems.len();
        match reading.update {
            Some(Update::Upsert { object: Object::Group { .. }, .. }) => groups += 1,
            Some(Update::Upsert { object: Object::Account(account), .. }) => {
                let count = match account.kind {
                    AccountKind::Device => &mut computers,
                    AccountKind::User | AccountKind::Service => &mut users,
                };
                *count += 1;
            }
            _ => {}
        }
        Ok(())
    });
    let done = done.await?;
    if users + computers + groups == 0 {
        return Err(DirectoryError::Nothing(base.to_owned()));
    }
    let more = !wire::paged_results_cookie(done.control.as_deref())?.is_empty();
    let more = if more { ", and more follow" } else { "" };
    let problems = match problems {
        0 => String::new(),
        count => format!("; {count} values cannot be read"),
    };
    Ok(format!(
        "the first page of {base} holds {users} users, {computers} computers and {groups} \
         groups{more}{problems}"
    ))
}
