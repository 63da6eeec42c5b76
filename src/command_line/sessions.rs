//! `who`, `explain` and `sessions`: the state of the server in lines.

use std::path::Path;

use clap::{Args, ValueEnum};
use rollcall_identity::Address;
use serde_json::Value;

use super::Failed;
use super::history::{Moment, explain_at, moment, who_at};
use super::output::{Form, Output};
use super::server::{Answer, Server};

/// One address.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// IPv4 or IPv6.
    address: Address,
    /// At this moment instead of now: "2026-11-20 14:05" on the clock of this machine, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Moment>,
}

impl Who {
    /// Prints who has the address, or where to read why nobody has: with the same configuration.
    pub(super) fn who(
        &self,
        server: &Server,
        config: Option<&Path>,
        output: &mut Output<'_>,
    ) -> Result<(), Failed> {
        if let Some(at) = &self.at {
            return who_at((self.address, at), server, output);
        }
        let path = format!("/api/v1/sessions/{}", self.address);
        if let Answer::Found(session) = server.get(&path, &[])? {
            return output.either(&session, line(&session));
        }
        let (address, mut rollcall) = (self.address, "rollcall".to_owned());
        if let Some(config) = config {
            rollcall += &format!(" --config {}", config.display());
        }
        let heard = server.get(&format!("{path}/explain"), &[]);
        let nobody = match heard {
            Ok(Answer::Found(why)) if why["previous"].is_null() && competed(&why).is_empty() => {
                format!(
                    "nobody has {address}, and nothing was heard of it; {rollcall} producers shows \
                     what arrives and what cannot be read"
                )
            }
            _ => format!("nobody has {address}; {rollcall} explain {address} says why"),
        };
        output.either(&Value::Null, nobody)?;
        Err(Failed::Nothing)
    }

    /// Prints why the address has its user, or has none.
    pub(super) fn explain(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        if let Some(at) = &self.at {
            return explain_at((self.address, at), server, output);
        }
        let path = format!("/api/v1/sessions/{}/explain", self.address);
        let Answer::Found(why) = server.get(&path, &[])? else { return Err(Failed::Nothing) };
        if output.form() == Form::Json {
            return output.line(&why);
        }
        output.line(word(&why["sentence"]))?;
        let competed = competed(&why);
        if !competed.is_empty() {
            output.line("what was seen there, newest first:")?;
        }
        competed
            .iter()
            .try_for_each(|record| output.line(format_args!("  {}", word(&record["sentence"]))))
    }
}

/// What else was seen at an address, newest first.
fn competed(why: &Value) -> &[Value] {
    why["competed"].as_array().map_or(&[][..], Vec::as_slice)
}

/// Which sessions.
#[derive(Debug, Args)]
pub(super) struct List {
    /// A glob over user names and over user@domain.
    #[arg(long)]
    user: Option<String>,
    /// A glob over domains.
    #[arg(long)]
    domain: Option<String>,
    /// An address.
    #[arg(long)]
    ip: Option<Address>,
    /// Networks, separated by commas.
    #[arg(long)]
    cidr: Option<String>,
    /// A producer's name.
    #[arg(long)]
    producer: Option<String>,
    /// Whether they still are.
    #[arg(long, value_enum, default_value_t)]
    state: Wish,
    /// How many at most; all when not given.
    #[arg(long)]
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Wish {
    /// Those that are.
    #[default]
    Active,
    /// Those that were.
    Ended,
    /// Both.
    All,
}

impl Wish {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Ended => "ended",
            Self::All => "all",
        }
    }
}

/// What one page holds at most.
const PAGE: usize = 1000;

impl List {
    /// Prints one line for each session, page after page.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
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
            let Answer::Found(page) = server.get("/api/v1/sessions", &query)? else { break };
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

/// `10.0.0.7  alice@corp  since … until …  by syslog/branch-fw`, with device and groups if known.
pub(super) fn line(session: &Value) -> String {
    let until = match session["ended"].as_str() {
        Some(ended) => format!("ended {ended}"),
        None if session["state"] == "ended" => "ended".to_owned(),
        None => format!("until {}", word(&session["expires"])),
    };
    let mut line = format!(
        "{:<15}  {:<24}  since {}  {until}  by {}/{}",
        word(&session["address"]),
        who(session),
        word(&session["since"]),
        word(&session["producer"]),
        word(&session["client"]),
    );
    if let Some(device) = session["device"].as_str().filter(|_| !session["user"].is_null()) {
        line += &format!("  on {device}");
    }
    let roles: Vec<&str> =
        session["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !roles.is_empty() {
        line += &format!("  in {}", roles.join(", "));
    }
    line
}

/// `alice@corp`, `alice`, or `device pc1`.
pub(super) fn who(session: &Value) -> String {
    match (session["user"].as_str(), session["domain"].as_str()) {
        (Some(user), Some(domain)) => format!("{user}@{domain}"),
        (Some(user), None) => user.to_owned(),
        (None, _) => format!("device {}", word(&session["device"])),
    }
}

/// A text of the answer; `-` where there is none.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
