//! What the server says about itself: its log on standard error, and on standard output what is
//! listening and how to try it.

use std::io::{self, Write};
use std::path::Path;

use rollcall_config::{Format, Level, Log, Settings};
use rollcall_http::rest::ReloadReport;
use rollcall_runtime::tls;
use rollcall_server::ListenAddress;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// Opens the log. `ROLLCALL_LOG` in the environment (for instance `rollcall_producers=trace`) goes
/// before the configured level.
pub(crate) fn open_log(log: Log) {
    let filter = filter(log.level, &std::env::var("ROLLCALL_LOG").unwrap_or_default());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second log in one process is nobody's wish, and no reason to stop.
    let _ = match log.format {
        Format::Json => builder.json().try_init(),
        Format::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
    };
}

/// What is written: lines of the configured level, where `wanted` says nothing else.
fn filter(level: Level, wanted: &str) -> EnvFilter {
    // At its start actix tells of its workers and sockets as information. To an operator that says
    // nothing that `listening` does not say; whoever debugs gets it with the rest.
    let quiet = if level == Level::Info { ",actix_server=warn" } else { "" };
    // sspi writes session keys into its trace: nobody's wish opens it.
    let wanted = wanted.split(',').filter(|wish| !wish.trim().starts_with("sspi"));
    let wanted = wanted.collect::<Vec<_>>().join(",");
    EnvFilter::builder().parse_lossy(format!("{}{quiet},{wanted},sspi=off", level.as_str()))
}

/// A Junos line (IKE_VPN_UP_ALARM_USER, as iked writes it for Juniper Secure Connect).
pub(crate) const LINE: &str = "IKE_VPN_UP_ALARM_USER: VPN ra from 198.51.100.7 is up. Local-ip: 203.0.113.1, \
    gateway name: ra, vpn name: ra, tunnel-id: 500027, local tunnel-if: st0.0, remote tunnel-ip: \
    198.51.100.7, Local IKE-ID: vpn.example.net, Remote IKE-ID: alice, AAA username: alice, VR id: \
    root, Traffic-selector: ts1, Traffic-selector local ID: ipv4(0,0-65535,0.0.0.0-255.255.255.255) \
    , Traffic-selector remote ID: ipv4(0,0-65535,10.1.11.18-10.1.11.18) , SA Type: dynamic";

/// The address that [`LINE`] assigns.
const ADDRESS: &str = "10.1.11.18";

/// Says what listens, and two lines to paste.
pub(crate) fn ready(settings: &Settings, listening: &[ListenAddress], config: Option<&Path>) {
    for ListenAddress { name, scheme, address } in listening {
        info!(name, scheme, %address, "listening");
    }
    for client in settings.syslog.iter().flat_map(|syslog| &syslog.clients) {
        if client.begins_unproven() {
            warn!(client = %client.name, "may begin sessions without proof of who it is");
        }
    }
    let mut text = String::from("Rollcall is ready.\n\n");
    for ListenAddress { name, scheme, address } in listening {
        text += &format!("listening  {name:<12} {scheme}://{address}\n");
    }
    text += &format!("data       {}\n", settings.data.display());
    let authority = tls::authority_file(&settings.data);
    if authority.exists() {
        text += &format!("authority  {} (for the firewalls' ca-profile)\n", authority.display());
    }
    let datagrams = listening.iter().find(|l| l.scheme == "udp" && l.address.ip().is_loopback());
    if let Some(syslog) = datagrams {
        let (host, port) = (syslog.address.ip(), syslog.address.port());
        let config = config.map(|path| format!(" --config {}", path.display())).unwrap_or_default();
        text += &format!(
            "\nTry it: send a VPN line, and ask who has the address it assigned.\n\n  \
             logger --udp --server {host} --port {port} --tag iked '{LINE}'\n  \
             {}{config} who {ADDRESS}\n\n",
            program(),
        );
    }
    say(&text);
}

/// How this program was called, so that the line can be pasted.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "rollcall".to_owned())
}

/// Says what a reload did.
pub(crate) fn reloaded(outcome: &Result<ReloadReport, Vec<String>>) {
    match outcome {
        Ok(ReloadReport { changed, restarted, after_restart }) => {
            info!(?changed, ?restarted, ?after_restart, "configuration reloaded");
        }
        Err(problems) => {
            for problem in problems {
                warn!(problem, "configuration not reloaded, nothing changed");
            }
        }
    }
}

/// Says that the server is about to end.
pub(crate) fn leaving() {
    info!("draining");
}

/// Says that the server cannot go on.
pub(crate) fn ill(why: &dyn std::fmt::Display) {
    error!(%why, "the server cannot go on");
}

/// Whoever closed standard output does not want to read this.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether lines of these targets are written: of ours `info` and `debug`, of actix's `info`.
    fn written(level: Level, wanted: &str) -> [bool; 3] {
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter(level, wanted)).finish();
        tracing::subscriber::with_default(subscriber, || {
            [
                tracing::enabled!(target: "rollcall_server", tracing::Level::INFO),
                tracing::enabled!(target: "rollcall_server", tracing::Level::DEBUG),
                tracing::enabled!(target: "actix_server::builder", tracing::Level::INFO),
            ]
        })
    }

    #[test]
    fn the_log_has_what_an_operator_needs_unless_more_is_wanted() {
        assert_eq!(written(Level::Info, ""), [true, false, false]);
        assert_eq!(written(Level::Debug, ""), [true, true, true]);
        assert_eq!(written(Level::Warn, ""), [false, false, false]);
        assert_eq!(written(Level::Info, "rollcall_server=debug"), [true, true, false]);
        assert_eq!(written(Level::Info, "actix_server=info"), [true, false, true]);
        assert_eq!(written(Level::Info, "warn"), [false, false, false]);
        assert_eq!(written(Level::Info, "none of them,,="), [true, false, false]);
    }
}
