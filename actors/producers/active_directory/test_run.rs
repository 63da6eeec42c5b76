//! The self-test of a directory, from its name in DNS to its first page.

use rollcall_config as config;
use rollcall_identity::directory::{AccountKind, Object, Update};
use rollcall_wire::active_directory as wire;

use super::DirectoryError;
use super::connection::LdapConnection;
use super::servers::DomainControllers;
use super::sync::{identify, seconds_ahead};
use crate::remote::{AccountGuard, TestReport};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::tls::TlsError;

/// The difference of the clocks, in seconds, from which the report contains advice. Kerberos tolerates
/// 300.
const SKEW_ADVICE: i64 = 60;

/// Connects to the directory of `settings`, authenticates the account, and reads one page of each base.
///
/// # Errors
/// The CA file that cannot be used.
pub async fn test(
    settings: &config::ActiveDirectory,
    accounts: &AccountGuard,
    clock: &Clock,
) -> Result<TestReport<DirectoryError>, TlsError> {
    let controllers = DomainControllers::new(settings, accounts)?;
    let mut lines = Vec::new();
    let failure = run(&controllers, clock, &mut lines).await.err();
    Ok(TestReport { lines, failure })
}

async fn run(
    controllers: &DomainControllers,
    clock: &Clock,
    lines: &mut Vec<String>,
) -> Result<(), DirectoryError> {
    let settings = &controllers.settings;
    let mut connection = controllers.connect().await?;
    let (transport, bind): (&str, &str) = (settings.transport.into(), settings.bind.into());
    lines.push(format!("connected to {} over {transport}", connection.server));
    lines.push(format!("{} authenticated with {bind} bind", settings.account.name));
    if let Some(theirs) = connection.root.clock {
        let ahead = seconds_ahead(theirs, clock.now());
        let warning = if ahead.abs() >= SKEW_ADVICE { ": correct one of them" } else { "" };
        let side = if ahead < 0 { "behind" } else { "ahead of" };
        let seconds = ahead.unsigned_abs();
        lines.push(format!(
            "its clock is {seconds} seconds {side} the clock of this machine{warning}"
        ));
    }
    let (names, _) = identify(&mut connection).await?;
    let (dns, netbios, sid) = (&names.dns, &names.netbios, &names.sid);
    lines.push(format!("it serves {dns} ({}, {sid})", netbios.as_str().to_uppercase()));
    if let Some(other) = settings.netbios.as_ref().filter(|name| **name != *netbios) {
        lines.push(format!("the configuration has netbios = {other}: correct it"));
    }
    for base in settings.effective_search_bases() {
        lines.push(first_page(&mut connection, settings, &base).await?);
    }
    connection.close().await;
    Ok(())
}

/// Reads one page below `base` and counts its objects.
async fn first_page(
    connection: &mut LdapConnection,
    settings: &config::ActiveDirectory,
    base: &str,
) -> Result<String, DirectoryError> {
    let (mut users, mut computers, mut groups, mut problems) = (0, 0, 0, 0);
    let asked = wire::all_objects(base, wire::MailAttribute::Skip);
    let controls = [wire::paged_results(settings.limits.page_size, &[]), wire::extended_names()];
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
        count => format!("; {count} values are unusable"),
    };
    Ok(format!(
        "the first page of {base} holds {users} users, {computers} computers and {groups} \
         groups{more}{problems}"
    ))
}
