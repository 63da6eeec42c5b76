//! `client add`: a firewall that may ask, with a new secret and the statements that make it ask.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use rollcall_config::{Enforcement, Environment, NewPoint, NotAdded, Settings, Tls, add_point};
use rollcall_http::admission::secret;
use rollcall_identity::Name;
use rollcall_runtime::tls::{SelfSigned, authority_file};
use rollcall_wire::srx::Format;
use serde_json::json;

use super::output::Output;
use super::server::{Answer, Server};
use super::{Failed, Reach, settings};

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Add a firewall and print the statements to paste into it. The secret is shown only now.
    Add(Add),
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// What it is called in the log, the metrics and the REST interface.
    name: Name,
    /// From where it asks, an address or a network; may be given several times.
    #[arg(long = "address", value_name = "IP|NETWORK", required = true, value_parser = network)]
    addresses: Vec<IpNet>,
    /// Its client id [default: its name].
    #[arg(long)]
    client_id: Option<String>,
    /// This server as the firewall reaches it: with a CA profile the SRX wants a name that is in
    /// the certificate.
    #[arg(long, value_name = "NAME|IP", value_parser = server)]
    server_address: Option<String>,
    /// The encoding of its answers [default: json].
    #[arg(long, value_enum)]
    dialect: Option<Dialect>,
}

/// In which encoding a firewall is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// JSON.
    Json,
    /// XML, the model of the SRX's Web API.
    Xml,
}

impl From<Dialect> for Format {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Json => Self::Json,
            Dialect::Xml => Self::Xml,
        }
    }
}

/// Where the address of the server belongs when nobody said it.
const PLACEHOLDER: &str = "SERVER-ADDRESS";

/// The CA profile of the statements.
const PROFILE: &str = "ROLLCALL_CA";

/// The paths that an SRX asks without being told (Junos "identity-management" statements).
const TOKEN_PATH: &str = "/oauth_token/oauth";
const QUERY_PATH: &str = "/user_query/v2";

fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    address.or_else(|_| text.parse()).map_err(|_| "not an IP address or network".to_owned())
}

/// An address, or a host name (RFC 1123 section 2.1), which is not all digits and dots: that would
/// be a mistyped address.
fn server(text: &str) -> Result<String, String> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(ip.to_canonical().to_string());
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let named = text.len() <= 253
        && text.split('.').all(is_label)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    if named { Ok(text.to_owned()) } else { Err("not a host name or an IP address".to_owned()) }
}

impl Client {
    pub(super) fn run(
        &self,
        config: Option<&Path>,
        reach: &Reach,
        output: &mut Output<'_>,
    ) -> Result<(), Failed> {
        let Self::Add(add) = self;
        add.run(&settings(config)?, reach, output)
    }
}

impl Add {
    /// Writes the firewall into the clients file, tells the running server, and prints what to
    /// paste.
    pub(super) fn run(
        &self,
        settings: &Settings,
        reach: &Reach,
        output: &mut Output<'_>,
    ) -> Result<(), Failed> {
        let secret = secret::generate();
        let point = NewPoint {
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            client_id: self.client_id.clone().unwrap_or_else(|| self.name.to_string()),
            secret: secret::hash(&secret),
            format: self.dialect.map(Format::from),
        };
        let file =
            add_point(settings, &Environment::process(), &point).map_err(|why| not_added(&why))?;
        let told = reload(settings, reach);
        let statements = statements(&Pasted {
            enforcement: &settings.enforcement,
            data: &settings.data,
            server: self.server_address.as_deref(),
            client_id: &point.client_id,
            secret: &secret,
        });
        let json = json!({
            "name": point.name,
            "client_id": point.client_id,
            "client_secret": secret.as_str(),
            "clients_file": file.display().to_string(),
            "in_force": told.is_ok(),
            "statements": statements.lines().collect::<Vec<_>>(),
        });
        let in_force = match told {
            Ok(()) => "# The running server knows it.".to_owned(),
            Err(why) => format!(
                "# Not in force yet ({}): start the server, or run rollcall reload.",
                why.lines().next().unwrap_or_default()
            ),
        };
        let head = format!("# {} is in {}.\n{in_force}", point.name, file.display());
        output.either(&json, format_args!("{head}\n{}", statements.trim_end()))
    }
}

fn not_added(why: &NotAdded) -> Failed {
    match why {
        NotAdded::File { .. } => Failed::Request(why.to_string()),
        _ => Failed::Usage(why.to_string()),
    }
}

/// Tells the running server, or says why it does not know.
fn reload(settings: &Settings, reach: &Reach) -> Result<(), String> {
    let server = Server::configured(reach, settings);
    match server.and_then(|server| server.post("/api/v1/reload")) {
        Ok(Answer::Found(_)) => Ok(()),
        Ok(Answer::Nothing(why)) => Err(why),
        Err(failed) => Err(failed.text().unwrap_or("the server did not answer").to_owned()),
    }
}

/// What the statements are made from.
struct Pasted<'a> {
    enforcement: &'a Enforcement,
    data: &'a Path,
    server: Option<&'a str>,
    client_id: &'a str,
    secret: &'a str,
}

/// The statements for the SRX, with what has to be done by hand as comments.
fn statements(pasted: &Pasted<'_>) -> String {
    let Pasted { enforcement, data, server, client_id, secret } = pasted;
    let prefix = "set services user-identification identity-management";
    let server = server.unwrap_or(PLACEHOLDER);
    let mut text = String::new();
    let mut line = |statement: &str| {
        let _ = writeln!(text, "{statement}");
    };
    if server == PLACEHOLDER {
        line(&format!(
            "# Replace {PLACEHOLDER} by the address at which the SRX reaches this server."
        ));
    } else if let Tls::SelfMade { names } = &enforcement.tls
        && !SelfSigned::new(data, "enforcement", &enforcement.listen, names).covers(server)
    {
        line(&format!(
            "# WARNING: the self-made certificate does not name {server}, and the SRX would"
        ));
        line("# refuse it. Write this into the configuration, and reload the server:");
        line(&format!("#   [enforcement.tls] names = [\"{server}\"]"));
    }
    let method = if enforcement.tls == Tls::Plain { "http" } else { "https" };
    line(&format!("{prefix} connection connect-method {method}"));
    match enforcement.listen.first() {
        Some(listen) => line(&format!("{prefix} connection port {}", listen.port())),
        None => line("# The configuration switches the enforcement listener off: nobody can ask."),
    }
    for (statement, path, default) in [
        ("token-api", &enforcement.token_path, TOKEN_PATH),
        ("query-api", &enforcement.query_path, QUERY_PATH),
    ] {
        if path != default {
            line(&format!("{prefix} connection {statement} {}", path.trim_start_matches('/')));
        }
    }
    line(&format!("{prefix} connection primary address {server}"));
    line(&format!("{prefix} connection primary client-id {}", quoted(client_id)));
    line(&format!("{prefix} connection primary client-secret \"{secret}\""));
    if enforcement.tls != Tls::Plain {
        line(&format!("{prefix} connection primary ca-profile {PROFILE}"));
        line(&format!("set security pki ca-profile {PROFILE} ca-identity {PROFILE}"));
        line(&format!("set security pki ca-profile {PROFILE} revocation-check disable"));
    }
    let certificate = match &enforcement.tls {
        Tls::SelfMade { .. } => authority_file(data).display().to_string(),
        Tls::Files { .. } => "the certificate of the authority".to_owned(),
        Tls::Plain => return text,
    };
    line(&format!(
        "# After the commit, copy {certificate} to the SRX as /var/tmp/rollcall.pem, then:"
    ));
    line(&format!(
        "# request security pki ca-certificate load ca-profile {PROFILE} filename /var/tmp/rollcall.pem"
    ));
    text
}

/// As Junos wants a value: in quotes when it holds more than letters, digits, `-`, `_` and `.`.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
