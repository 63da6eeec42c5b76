//! The log on standard error, and the startup message on standard output.

use std::io::{self, Write};
use std::path::Path;

use rollcall_config::{LogFormat, LogLevel, LogSettings, Settings};
use rollcall_http::rest::ReloadReport;
use rollcall_runtime::tls;
use rollcall_server::ListenAddress;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

/// Initializes the log. The environment variable `ROLLCALL_LOG`, for example
/// `rollcall_producers=trace`, overrides the configured level.
pub(crate) fn open_log(log: LogSettings) {
    let filter = filter(log.level, &std::env::var("ROLLCALL_LOG").unwrap_or_default());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // If a log is already initialized, it stays.
    let _ = match log.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
    };
}

/// The log filter: the configured level, unless `directives` overrides it.
fn filter(level: LogLevel, directives: &str) -> EnvFilter {
    // At level info, actix logs its workers and sockets, which duplicate our `listening` lines.
    let actix = if level == LogLevel::Info { ",actix_server=warn" } else { "" };
    // hickory logs each DNS message at level debug, in several lines.
    let hickory = ",hickory_net=warn,hickory_resolver=warn";
    // sspi logs session keys at level trace, so that it cannot be enabled.
    let directives = directives.split(',').filter(|one| !one.trim().starts_with("sspi"));
    let directives = directives.collect::<Vec<_>>().join(",");
    EnvFilter::builder()
        .parse_lossy(format!("{}{actix}{hickory},{directives},sspi=off", level.as_str()))
}

/// A Junos message (IKE_VPN_UP_ALARM_USER), as iked logs it for Juniper Secure Connect.
pub(crate) const LINE: &str = "IKE_VPN_UP_ALARM_USER: VPN ra from 198.51.100.7 is up. Local-ip: 203.0.113.1, \
    gateway name: ra, vpn name: ra, tunnel-id: 500027, local tunnel-if: st0.0, remote tunnel-ip: \
    198.51.100.7, Local IKE-ID: vpn.example.net, Remote IKE-ID: alice, AAA username: alice, VR id: \
    root, Traffic-selector: ts1, Traffic-selector local ID: ipv4(0,0-65535,0.0.0.0-255.255.255.255) \
    , Traffic-selector remote ID: ipv4(0,0-65535,10.1.11.18-10.1.11.18) , SA Type: dynamic";

/// The address that [`LINE`] assigns.
const ADDRESS: &str = "10.1.11.18";

/// Logs the listeners, and prints them with two example commands.
pub(crate) fn ready(settings: &Settings, listening: &[ListenAddress], config: Option<&Path>) {
    for ListenAddress { name, scheme, address } in listening {
        info!(name, scheme, %address, "listening");
    }
    for client in settings.syslog.iter().flat_map(|syslog| &syslog.clients) {
        if client.allows_unauthenticated_sessions() {
            warn!(client = %client.name, "unauthenticated sender may create sessions");
        }
    }
    let mut text = String::from("Rollcall is ready.\n\n");
    if settings.is_evaluation {
        text += "Evaluation mode: there is no configuration file, and every program of this machine can \
                 create sessions.\nFor operation, write one: rollcall --config FILE\n\n";
    }
    for ListenAddress { name, scheme, address } in listening {
        text += &format!("listening  {name:<12} {scheme}://{address}\n");
    }
    text += &format!("data       {}\n", settings.data.display());
    let authority = tls::authority_file(&settings.data);
    if authority.exists() {
        text +=
            &format!("CA         {} (for the ca-profile of the firewalls)\n", authority.display());
    }
    let datagrams = listening.iter().find(|l| l.scheme == "udp" && l.address.ip().is_loopback());
    if let Some(syslog) = datagrams {
        let (host, port) = (syslog.address.ip(), syslog.address.port());
        let config = config.map(|path| format!(" --config {}", path.display())).unwrap_or_default();
        text += &format!(
            "\nTry it: send a VPN login, and look up the assigned address.\n\n  \
             logger --udp --server {host} --port {port} --tag iked '{LINE}'\n  \
             {}{config} lookup {ADDRESS}\n\n",
            program(),
        );
    }
    print(&text);
}

/// The path of this program, for the example commands.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "rollcall".to_owned())
}

/// Logs the result of a reload.
pub(crate) fn reloaded(outcome: &Result<ReloadReport, Vec<String>>) {
    match outcome {
        Ok(ReloadReport { changed, restarted, after_restart }) => {
            info!(?changed, ?restarted, ?after_restart, "configuration reloaded");
        }
        Err(problems) => {
            for problem in problems {
                warn!(problem, "configuration not reloaded; the previous one stays effective");
            }
        }
    }
}

/// Logs the start of the shutdown.
pub(crate) fn shutting_down() {
    info!("shutting down");
}

/// Logs an error that ends the server.
pub(crate) fn fatal(why: &dyn std::fmt::Display) {
    error!(%why, "fatal error, shutting down");
}

/// Prints to standard output. A closed output is not an error.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether lines are written: our `info`, our `debug`, the `info` of actix.
    fn written(level: LogLevel, directives: &str) -> [bool; 3] {
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter(level, directives)).finish();
        tracing::subscriber::with_default(subscriber, || {
            [
                tracing::enabled!(target: "rollcall_server", tracing::Level::INFO),
                tracing::enabled!(target: "rollcall_server", tracing::Level::DEBUG),
                tracing::enabled!(target: "actix_server::builder", tracing::Level::INFO),
            ]
        })
    }

    #[test]
    fn the_environment_variable_overrides_the_level() {
        assert_eq!(written(LogLevel::Info, ""), [true, false, false]);
        assert_eq!(written(LogLevel::Debug, ""), [true, true, true]);
        assert_eq!(written(LogLevel::Warn, ""), [false, false, false]);
        assert_eq!(written(LogLevel::Info, "rollcall_server=debug"), [true, true, false]);
        assert_eq!(written(LogLevel::Info, "actix_server=info"), [true, false, true]);
        assert_eq!(written(LogLevel::Info, "warn"), [false, false, false]);
        assert_eq!(written(LogLevel::Info, "none of them,,="), [true, false, false]);
    }
}
