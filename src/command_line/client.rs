//! `rollcall client`: adds enforcement points, prints their Junos configuration, and grants pushes.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use rollcall_config::{
    AddPointError, Enforcement, Environment, NewEnforcementPoint, PushGrants, Settings, Tls,
    add_point, grant_push,
};
use rollcall_http::admission::secret;
use rollcall_identity::Name;
use rollcall_runtime::tls::{SelfSigned, authority_file};
use rollcall_wire::srx::Format;
use serde_json::json;

use super::output::Output;
use super::server::{Response, Server};
use super::{CommandError, ServerOptions, settings};

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Add an enforcement point and print its Junos configuration.
    ///
    /// The secret is generated and printed only once. Example:
    /// `rollcall client add branch-fw --address 10.1.0.1 --server-address rollcall.example.com`
    Add(Add),
    /// Let an enforcement point push events.
    ///
    /// The grant is added to those that it has. Example:
    /// `rollcall client grant branch-fw --vpn-pool 10.8.0.0/16`
    Grant(Grant),
}

#[derive(Debug, Args)]
pub(super) struct Grant {
    /// Name of the enforcement point, which `rollcall client add` added.
    name: Name,
    #[command(flatten)]
    push: PushOptions,
}

/// The events that an enforcement point may push.
#[derive(Debug, Clone, Args)]
struct PushOptions {
    /// Network from which the firewall assigns VPN addresses: it may push the start, rekey and end
    /// of their tunnels. Can be repeated.
    #[arg(long = "vpn-pool", value_name = "NETWORK", value_parser = network)]
    vpn_pools: Vec<IpNet>,
    /// Network of a captive portal of the firewall: it may push its logins and logouts. Can be
    /// repeated.
    #[arg(long = "portal", value_name = "NETWORK", value_parser = network)]
    portals: Vec<IpNet>,
}

impl PushOptions {
    fn grants(&self) -> PushGrants {
        PushGrants { vpn_pools: self.vpn_pools.clone(), portals: self.portals.clone() }
    }
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name in logs, metrics and the REST API.
    name: Name,
    /// Source address or network of the firewall. Can be repeated.
    #[arg(long = "address", value_name = "IP|NETWORK", required = true, value_parser = network)]
    addresses: Vec<IpNet>,
    /// Client ID [default: the name].
    #[arg(long)]
    client_id: Option<String>,
    /// Address of this server for the firewall. With a CA profile, the SRX requires a name that the
    /// certificate contains.
    #[arg(long, value_name = "NAME|IP", value_parser = server)]
    server_address: Option<String>,
    /// Encoding of the responses [default: json].
    #[arg(long, value_enum)]
    dialect: Option<Dialect>,
    #[command(flatten)]
    push: PushOptions,
}

/// The encoding of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// JSON.
    Json,
    /// XML in the model of the Web API of the SRX.
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

/// The placeholder for the address of the server.
const PLACEHOLDER: &str = "SERVER-ADDRESS";

/// The name of the CA profile.
const PROFILE: &str = "ROLLCALL_CA";

/// The default paths of an SRX (Junos `identity-management` statements).
const TOKEN_PATH: &str = "/oauth_token/oauth";
const QUERY_PATH: &str = "/user_query/v2";

fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
    address.or_else(|_| text.parse()).map_err(|_| "not an IP address or network".to_owned())
}

/// An address, or a host name (RFC 1123 section 2.1). Digits and dots only are a mistyped address.
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
        options: &ServerOptions,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let settings = settings(config)?;
        match self {
            Self::Add(add) => add.run(&settings, options, output),
            Self::Grant(grant) => grant.run(&settings, options, output),
        }
    }
}

impl Grant {
    /// Adds the grants to the clients file and reloads the running server.
    fn run(
        &self,
        settings: &Settings,
        options: &ServerOptions,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let grants = self.push.grants();
        if grants.iter().next().is_none() {
            return Err(CommandError::Usage(
                "nothing to grant: add --vpn-pool NETWORK or --portal NETWORK".to_owned(),
            ));
        }
        let file = grant_push(settings, &Environment::process(), &self.name, &grants)
            .map_err(|why| not_added(&why))?;
        let reloaded = reload(settings, options);
        let granted: Vec<String> = granted(&grants).collect();
        let json = json!({
            "name": self.name,
            "clients_file": file.display().to_string(),
            "granted": granted,
            "effective": reloaded.is_ok(),
        });
        let status = reload_status(&reloaded);
        let granted = granted.join("\n# May push: ");
        let file = file.display();
        output.either(
            &json,
            format_args!("# {} in {file}:\n# May push: {granted}\n{status}", self.name),
        )
    }
}

/// `vpn_up, vpn_down, rekey for 10.8.0.0/16` for each grant.
fn granted(grants: &PushGrants) -> impl Iterator<Item = String> {
    grants.iter().map(|(kinds, networks)| {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        format!("{} for {}", kinds.join(", "), networks.join(", "))
    })
}

/// Whether the running server uses the change, as a comment.
fn reload_status(reloaded: &Result<(), String>) -> String {
    match reloaded {
        Ok(()) => "# The running server has loaded it.".to_owned(),
        Err(why) => format!(
            "# Not effective yet ({}): start the server, or run `rollcall reload`.",
            why.lines().next().unwrap_or_default()
        ),
    }
}

impl Add {
    /// Adds the firewall to the clients file, reloads the running server, and prints the statements.
    pub(super) fn run(
        &self,
        settings: &Settings,
        options: &ServerOptions,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        let secret = secret::generate();
        let point = NewEnforcementPoint {
            name: self.name.clone(),
            addresses: self.addresses.clone(),
            client_id: self.client_id.clone().unwrap_or_else(|| self.name.to_string()),
            secret: secret::hash_generated(&secret),
            format: self.dialect.map(Format::from),
            push: self.push.grants(),
        };
        let file =
            add_point(settings, &Environment::process(), &point).map_err(|why| not_added(&why))?;
        let reloaded = reload(settings, options);
        let statements = statements(&StatementInputs {
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
            "granted": granted(&point.push).collect::<Vec<_>>(),
            "effective": reloaded.is_ok(),
            "statements": statements.lines().collect::<Vec<_>>(),
        });
        let status = reload_status(&reloaded);
        let mut may = vec!["May query sessions.".to_owned()];
        may.extend(granted(&point.push).map(|granted| format!("May push {granted}.")));
        if may.len() == 1 {
            may.push(format!(
                "May not push events; to grant it: rollcall client grant {} --vpn-pool NETWORK",
                point.name
            ));
        }
        let may = may.join("\n# ");
        let head = format!("# {} was added to {}.\n# {may}\n{status}", point.name, file.display());
        output.either(&json, format_args!("{head}\n{}", statements.trim_end()))
    }
}

fn not_added(why: &AddPointError) -> CommandError {
    match why {
        AddPointError::File { .. } => CommandError::Request(why.to_string()),
        _ => CommandError::Usage(why.to_string()),
    }
}

/// Reloads the running server. The error is the reason for a failure.
fn reload(settings: &Settings, options: &ServerOptions) -> Result<(), String> {
    let server = Server::configured(options, settings);
    match server.and_then(|server| server.post("/api/v1/reload")) {
        Ok(Response::Found(_)) => Ok(()),
        Ok(Response::NotFound(why)) => Err(why),
        Err(failed) => Err(failed.text().unwrap_or("the server did not respond").to_owned()),
    }
}

/// The inputs of the Junos statements.
struct StatementInputs<'a> {
    enforcement: &'a Enforcement,
    data: &'a Path,
    server: Option<&'a str>,
    client_id: &'a str,
    secret: &'a str,
}

/// The Junos statements, with manual steps as comments.
fn statements(inputs: &StatementInputs<'_>) -> String {
    let StatementInputs { enforcement, data, server, client_id, secret } = inputs;
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
    } else if let Tls::BuiltInCa { names } = &enforcement.tls
        && !SelfSigned::new(data, "enforcement", &enforcement.listen, names).covers(server)
    {
        line(&format!(
            "# WARNING: the certificate of this server does not contain {server}, and the SRX would"
        ));
        line("# refuse it. Add this to the configuration, and run `rollcall reload`:");
        line(&format!("#   [enforcement.tls] names = [\"{server}\"]"));
    }
    let method = if enforcement.tls == Tls::Disabled { "http" } else { "https" };
    line(&format!("{prefix} connection connect-method {method}"));
    match enforcement.listen.first() {
        Some(listen) => line(&format!("{prefix} connection port {}", listen.port())),
        None => line(
            "# The enforcement listener is disabled: set [enforcement] listen in the configuration.",
        ),
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
    if enforcement.tls != Tls::Disabled {
        line(&format!("{prefix} connection primary ca-profile {PROFILE}"));
        line(&format!("set security pki ca-profile {PROFILE} ca-identity {PROFILE}"));
        line(&format!("set security pki ca-profile {PROFILE} revocation-check disable"));
    }
    let certificate = match &enforcement.tls {
        Tls::BuiltInCa { .. } => authority_file(data).display().to_string(),
        Tls::Files { .. } => "the certificate of the CA".to_owned(),
        Tls::Disabled => return text,
    };
    line(&format!(
        "# After the commit, copy {certificate} to the SRX as /var/tmp/rollcall.pem, then:"
    ));
    line(&format!(
        "# request security pki ca-certificate load ca-profile {PROFILE} filename /var/tmp/rollcall.pem"
    ));
    text
}

/// A Junos value: in quotes if it contains more than letters, digits, `-`, `_` and `.`.
fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}
