//! `who`, `explain` and `sessions`: the state of the server in lines.

use clap::{Args, ValueEnum};
use rollcall_identity::Address;
use serde_json::Value;

use super::Failed;
use super::output::{Form, Output};
use super::server::{Answer, Server};

/// One address.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// IPv4 or IPv6.
    address: Address,
}

impl Who {
    /// Prints who has the address.
    pub(super) fn who(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        let path = format!("/api/v1/sessions/{}", self.address);
        match server.get(&path, &[])? {
            Answer::Found(session) => output.either(&session, line(&session)),
            Answer::Nothing(_) => {
                let nobody = format!("nobody has {0}; rollcall explain {0} says why", self.address);
                output.either(&Value::Null, nobody)?;
                Err(Failed::Nothing)
            }
        }
    }

    /// Prints why the address has its user, or has none.
    pub(super) fn explain(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        let path = format!("/api/v1/sessions/{}/explain", self.address);
        let Answer::Found(why) = server.get(&path, &[])? else { return Err(Failed::Nothing) };
        if output.form() == Form::Json {
            return output.line(&why);
        }
        output.line(word(&why["sentence"]))?;
        let competed = why["competed"].as_array().map_or(&[][..], Vec::as_slice);
        if !competed.is_empty() {
            output.line("what was seen there, newest first:")?;
        }
        competed.iter().try_for_each(|record| {
            output.line(format_args!("  {}", word(&record["sentence"])))
        })
    }
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
