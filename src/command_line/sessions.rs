//! `rollcall lookup`, `explain` and `sessions`: queries the current sessions.

use std::path::Path;

use clap::{Args, ValueEnum};
use rollcall_identity::Address;
use serde_json::Value;

use super::CommandError;
use super::history::{PointInTime, explain_at, lookup_at, parse_time};
use super::output::{Output, OutputFormat};
use super::server::{Response, Server};
use super::session_text::{line, word};

#[derive(Debug, Args)]
pub(super) struct AddressArgs {
    /// IPv4 or IPv6 address.
    address: Address,
    /// Time in the past: "2026-11-20 14:05" in the local time zone, or RFC 3339 [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<PointInTime>,
}

impl AddressArgs {
    /// Prints the session of the address, or the command that explains why there is none.
    pub(super) fn lookup(
        &self,
        server: &Server,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        if let Some(at) = &self.at {
            return lookup_at((self.address, at), server, output);
        }
        let path = format!("/api/v1/sessions/{}", self.address);
        if let Response::Found(session) = server.get(&path, &[])? {
            return output.either(&session, line(&session));
        }
        let (address, mut rollcall) = (self.address, "rollcall".to_owned());
        if let Some(config) = config {
            rollcall += &format!(" --config {}", config.display());
        }
        let explanation = server.get(&format!("{path}/explain"), &[]);
        let message = match explanation {
            Ok(Response::Found(why)) if why["previous"].is_null() && competed(&why).is_empty() => {
                format!(
                    "{address} has no session, and there are no events for it; run `{rollcall} status \
                     producers` to see which events arrive and which are refused"
                )
            }
            _ => format!(
                "{address} has no session; run `{rollcall} explain {address}` for the reason"
            ),
        };
        output.either(&Value::Null, message)?;
        Err(CommandError::NotFound)
    }

    /// Prints why the address has its session, or has none.
    pub(super) fn explain(
        &self,
        server: &Server,
        output: &mut Output<'_>,
    ) -> Result<(), CommandError> {
        if let Some(at) = &self.at {
            return explain_at((self.address, at), server, output);
        }
        let path = format!("/api/v1/sessions/{}/explain", self.address);
        let Response::Found(why) = server.get(&path, &[])? else {
            return Err(CommandError::NotFound);
        };
        if output.format() == OutputFormat::Json {
            return output.line(&why);
        }
        output.line(word(&why["sentence"]))?;
        let competed = competed(&why);
        if !competed.is_empty() {
            output.line("events for the address, newest first:")?;
        }
        competed
            .iter()
            .try_for_each(|record| output.line(format_args!("  {}", word(&record["sentence"]))))
    }
}

/// The other events for an address, newest first.
fn competed(why: &Value) -> &[Value] {
    why["competed"].as_array().map_or(&[][..], Vec::as_slice)
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Glob over user names and user@domain.
    #[arg(long)]
    user: Option<String>,
    /// Glob over domains.
    #[arg(long)]
    domain: Option<String>,
    /// IP address.
    #[arg(long)]
    ip: Option<Address>,
    /// Networks, separated by commas.
    #[arg(long)]
    cidr: Option<String>,
    /// Name of a producer.
    #[arg(long)]
    producer: Option<String>,
    /// State of the sessions.
    #[arg(long, value_enum, default_value_t)]
    state: StateFilter,
    /// Maximum number of sessions [default: all].
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum StateFilter {
    /// Active sessions.
    #[default]
    Active,
    /// Ended sessions.
    Ended,
    /// Both.
    All,
}

impl StateFilter {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::All => "all",
        }
    }
}

/// The maximum number of entries per page.
const PAGE: usize = 1000;

impl List {
    /// Prints one line per session, page by page.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
        let ip = self.ip.map(|ip| ip.to_string());
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut after: Option<String> = None;
        while left > 0 {
            let limit = left.min(PAGE).to_string();
            let given = [
                ("user", self.user.as_deref()),
                ("domain", self.domain.as_deref()),
                ("ip", ip.as_deref()),
                ("cidr", self.cidr.as_deref()),
                ("producer", self.producer.as_deref()),
                ("after", after.as_deref()),
                ("state", Some(self.state.as_str())),
                ("limit", Some(&limit)),
            ];
            let query: Vec<_> = given.into_iter().filter_map(|(key, v)| Some((key, v?))).collect();
            let Response::Found(page) = server.get("/api/v1/sessions", &query)? else { break };
            let sessions = page["sessions"].as_array().map_or(&[][..], Vec::as_slice);
            for session in sessions {
                output.either(session, line(session))?;
            }
            left = left.saturating_sub(sessions.len());
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(())
    }
}
