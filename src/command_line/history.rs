//! `history`, and `who` and `explain` with `--at`: who was where, told from the journal.

use clap::{Args, Subcommand};
use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rollcall_identity::{Address, Timestamp};
use serde_json::Value;

use super::Failed;
use super::output::{Form, Output};
use super::server::{Answer, Server};
use super::sessions::{line, who, word};

/// What of the past is asked.
#[derive(Debug, Subcommand)]
pub(super) enum History {
    /// Print who had an address, one after the other.
    Address(AtAddress),
    /// Print which addresses a user had.
    User(OfUser),
    /// Print what was different between two moments: who came, left, was replaced or altered.
    Diff(Difference),
}

/// From one moment to another.
#[derive(Debug, Args)]
struct Period {
    /// From when on: "2026-11-20 14:05" on the clock of this machine, or RFC 3339 [default: a day
    /// before --to].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Moment>,
    /// Until when [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Moment>,
}

/// An address over a time.
#[derive(Debug, Args)]
pub(super) struct AtAddress {
    /// IPv4 or IPv6.
    address: Address,
    #[command(flatten)]
    period: Period,
}

/// A user over a time.
#[derive(Debug, Args)]
pub(super) struct OfUser {
    /// `alice`, `alice@corp` or `CORP\alice`; without a domain, all of that name.
    user: String,
    #[command(flatten)]
    period: Period,
}

/// Two moments.
#[derive(Debug, Args)]
pub(super) struct Difference {
    /// The first: "2026-11-20 14:05" on the clock of this machine, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Moment,
    /// The second [default: now].
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Moment>,
    /// Only these users: a glob over user names and over user@domain.
    #[arg(long)]
    user: Option<String>,
    /// Only these domains: a glob.
    #[arg(long)]
    domain: Option<String>,
    /// Only these networks, separated by commas.
    #[arg(long)]
    cidr: Option<String>,
}

/// A moment, and the words in which it is told of again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    at: Timestamp,
    words: String,
}

/// Reads RFC 3339, or a date and a time on the clock of this machine.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    moment_in(text, &TimeZone::system())
}

fn moment_in(text: &str, zone: &TimeZone) -> Result<Moment, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment { at, words: at.to_string() });
    }
    let civil: DateTime = text.parse().map_err(|_| {
        "neither a date and a time, such as \"2026-11-20 14:05\", nor RFC 3339".to_owned()
    })?;
    let local = zone.to_ambiguous_zoned(civil).unambiguous().map_err(|_| {
        format!("the clocks were changed then: write it as RFC 3339, such as {civil}Z")
    })?;
    let at = Timestamp::from(local.timestamp());
    Ok(Moment { at, words: words(&local, at) })
}

/// `2026-11-20T14:05:00+01:00[Europe/Berlin], 2026-11-20T13:05:00Z`.
fn words(local: &Zoned, at: Timestamp) -> String {
    if local.offset().is_zero() { at.to_string() } else { format!("{local}, {at}") }
}

/// The header in which the server is told who asks: it goes into its record.
const ASKER: &str = "Rollcall-Asker";

/// What one page holds at most.
const PAGE: &str = "1000";

/// Asks the server of the past.
fn ask(server: &Server, path: &str, query: &[(&str, &str)]) -> Result<Value, Failed> {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
    let headers: Vec<(&str, &str)> = name.iter().map(|name| (ASKER, name.as_str())).collect();
    match server.answer(server.open(path, query, &headers)?)? {
        Answer::Found(told) => Ok(told),
        // What is not known is not nothing: it is said on the way out, and the exit status is 1.
        Answer::Nothing(why) => Err(Failed::Request(why)),
    }
}

/// Prints who had `address` at a moment.
pub(super) fn who_at(
    (address, moment): (Address, &Moment),
    server: &Server,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let told = at(address, moment, server)?;
    if output.form() == Form::Json {
        output.line(&told)?;
    } else {
        output.line(format_args!("at {}: {}", moment.words, holder(&told)))?;
        notes(&told, output)?;
    }
    if told["session"].is_null() { Err(Failed::Nothing) } else { Ok(()) }
}

/// Prints why `address` had whom it had at a moment.
pub(super) fn explain_at(
    (address, moment): (Address, &Moment),
    server: &Server,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let told = at(address, moment, server)?;
    if output.form() == Form::Json {
        return output.line(&told);
    }
    output.line(format_args!("at {}: {}", moment.words, word(&told["sentence"])))?;
    for record in told["competed"].as_array().into_iter().flatten() {
        output.line(format_args!("  {}", word(&record["sentence"])))?;
    }
    notes(&told, output)
}

fn at(address: Address, moment: &Moment, server: &Server) -> Result<Value, Failed> {
    let path = format!("/api/v1/history/addresses/{address}");
    ask(server, &path, &[("at", &moment.at.to_string())])
}

/// `alice@corp had 10.0.0.7, since …, until …`.
fn holder(told: &Value) -> String {
    let (session, address) = (&told["session"], word(&told["address"]));
    if session.is_null() {
        return format!("nobody had {address}");
    }
    let until = match (told["until"].as_str(), told["ended_by"]["kind"].as_str()) {
        (Some(until), Some(kind)) => format!("until {until} ({kind})"),
        (Some(until), None) => format!("until {until} (logoff time)"),
        (None, _) => format!("and still at {}", word(&told["known_until"])),
    };
    let since = word(&session["since"]);
    format!("{} had {address}, since {since}, {until}", who(session))
}

/// What has to be said with an answer.
fn notes(told: &Value, output: &mut Output<'_>) -> Result<(), Failed> {
    let notes = told["sources"]["notes"].as_array().into_iter().flatten();
    notes.filter_map(Value::as_str).try_for_each(|note| output.line(format_args!("note: {note}")))
}

impl History {
    /// Prints it, page after page.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        match self {
            Self::Address(AtAddress { address, period }) => {
                let path = format!("/api/v1/history/addresses/{address}");
                let query = query(period.from.as_ref(), period.to.as_ref());
                pages((&path, "stays"), &query, server, output)
            }
            Self::User(OfUser { user, period }) => {
                let path = format!("/api/v1/history/users/{}", in_path(user));
                let query = query(period.from.as_ref(), period.to.as_ref());
                pages((&path, "stays"), &query, server, output)
            }
            Self::Diff(Difference { from, to, user, domain, cidr }) => {
                let mut query = query(Some(from), to.as_ref());
                let given = [("user", user), ("domain", domain), ("cidr", cidr)];
                query.extend(given.into_iter().filter_map(|(key, v)| Some((key, v.clone()?))));
                pages(("/api/v1/history/diff", "differences"), &query, server, output)
            }
        }
    }
}

/// What is asked of every page.
fn query(from: Option<&Moment>, to: Option<&Moment>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", PAGE.to_owned())];
    query.extend(from.map(|from| ("from", from.at.to_string())));
    query.extend(to.map(|to| ("to", to.at.to_string())));
    query
}

/// Prints every entry of every page, and the notes of each page that are new.
fn pages(
    (path, list): (&str, &str),
    query: &[(&str, String)],
    server: &Server,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let (mut after, mut said, mut found): (Option<String>, Vec<Value>, bool) =
        (None, Vec::new(), false);
    loop {
        let mut asked: Vec<(&str, &str)> = query.iter().map(|(key, v)| (*key, &**v)).collect();
        asked.extend(after.as_deref().map(|after| ("after", after)));
        let page = ask(server, path, &asked)?;
        for entry in page[list].as_array().into_iter().flatten() {
            found = true;
            output.either(entry, entry_line(entry))?;
        }
        for note in page["sources"]["notes"].as_array().into_iter().flatten() {
            if output.form() == Form::Plain && !said.contains(note) {
                output.line(format_args!("note: {}", word(note)))?;
                said.push(note.clone());
            }
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None if found => return Ok(()),
            None => return Err(Failed::Nothing),
        }
    }
}

/// A stay, or an address that differs.
fn entry_line(entry: &Value) -> String {
    let side = |side: &Value| if side.is_null() { "nobody".to_owned() } else { who(side) };
    match entry["what"].as_str() {
        Some(what) => {
            let (before, after) = (side(&entry["before"]), side(&entry["after"]));
            format!("{:<15}  {what:<8}  {before} -> {after}", word(&entry["address"]))
        }
        None => line(&entry["session"]),
    }
}

/// A text as one segment of a path (RFC 3986 section 3.3).
fn in_path(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~@".contains(byte);
    let written = |byte: u8| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(written).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_moment_is_read_on_the_clock_of_the_machine_or_with_its_distance_to_utc() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str| moment_in(text, &berlin).map(|moment| moment.words);
        let told = read("2026-11-20 14:05").unwrap();
        assert_eq!(told, "2026-11-20T14:05:00+01:00[Europe/Berlin], 2026-11-20T13:05:00Z");
        assert_eq!(read("2026-11-20T14:05:00Z").unwrap(), "2026-11-20T14:05:00Z");
        assert_eq!(read("2026-11-20T14:05:00+02:00").unwrap(), "2026-11-20T12:05:00Z");
        assert!(read("2026-11-20").unwrap().starts_with("2026-11-20T00:00:00+01:00"));
        let twice = read("2026-10-25 02:30").unwrap_err();
        assert!(twice.contains("the clocks were changed"), "{twice}");
        assert!(read("2026-03-29 02:30").is_err(), "never was");
        assert!(read("yesterday").is_err());
    }

    #[test]
    fn whoever_had_it_is_told_with_the_end() {
        let session = json!({"user": "alice", "domain": null, "since": "S"});
        let told = json!({"address": "10.0.0.7", "session": session, "until": "U",
            "ended_by": {"kind": "logout"}});
        assert_eq!(holder(&told), "alice had 10.0.0.7, since S, until U (logout)");
        let told = json!({"address": "10.0.0.7", "session": session, "known_until": "K"});
        assert_eq!(holder(&told), "alice had 10.0.0.7, since S, and still at K");
        assert_eq!(holder(&json!({"address": "10.0.0.7"})), "nobody had 10.0.0.7");
    }

    #[test]
    fn a_user_of_any_name_is_one_segment_of_the_path() {
        assert_eq!(in_path("CORP\\zo\u{eb}/x"), "CORP%5Czo%C3%AB%2Fx");
    }
}
