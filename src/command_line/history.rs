//! `rollcall history`, and `lookup` and `explain` with `--at`: queries past sessions.

use clap::{Args, Subcommand};
use jiff::Zoned;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rollcall_identity::{Address, Timestamp};
use serde_json::Value;

use super::CommandError;
use super::output::{Output, OutputFormat};
use super::server::{Response, Server};
use super::session_text::{line, user_or_device, word};

#[derive(Debug, Subcommand)]
pub(super) enum History {
    /// List the past sessions of an address.
    Address(AtAddress),
    /// List the past sessions of a user.
    User(OfUser),
    /// List the sessions that differ between two times.
    Diff(Difference),
}

/// A period.
#[derive(Debug, Args)]
struct Period {
    /// Start: "2026-11-20 14:05" in the local time zone, or RFC 3339 [default: a day before --to].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Option<PointInTime>,
    /// End [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<PointInTime>,
}

#[derive(Debug, Args)]
pub(super) struct AtAddress {
    /// IPv4 or IPv6 address.
    address: Address,
    #[command(flatten)]
    period: Period,
}

#[derive(Debug, Args)]
pub(super) struct OfUser {
    /// `alice`, `alice@corp` or `CORP\alice`; without a domain, the users of all domains.
    user: String,
    #[command(flatten)]
    period: Period,
}

#[derive(Debug, Args)]
pub(super) struct Difference {
    /// First time: "2026-11-20 14:05" in the local time zone, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: PointInTime,
    /// Second time [default: now].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    to: Option<PointInTime>,
    /// Glob over user names and user@domain.
    #[arg(long)]
    user: Option<String>,
    /// Glob over domains.
    #[arg(long)]
    domain: Option<String>,
    /// Networks, separated by commas.
    #[arg(long)]
    cidr: Option<String>,
}

/// A time, and its text for the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PointInTime {
    at: Timestamp,
    text: String,
}

/// Parses RFC 3339, or a date and a time in the local time zone.
pub(super) fn parse_time(text: &str) -> Result<PointInTime, String> {
    parse_time_in(text, &TimeZone::system())
}

fn parse_time_in(text: &str, zone: &TimeZone) -> Result<PointInTime, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(PointInTime { at, text: at.to_string() });
    }
    let civil: DateTime = text.parse().map_err(|_| {
        "is neither a date and a time, such as \"2026-11-20 14:05\", nor RFC 3339".to_owned()
    })?;
    let local = zone.to_ambiguous_zoned(civil).unambiguous().map_err(|_| {
        format!("{civil} is ambiguous or skipped because of daylight saving time; use RFC 3339, such as {civil}Z")
    })?;
    let at = Timestamp::from(local.timestamp());
    Ok(PointInTime { at, text: time_text(&local, at) })
}

/// `2026-11-20T14:05:00+01:00[Europe/Berlin], 2026-11-20T13:05:00Z`.
fn time_text(local: &Zoned, at: Timestamp) -> String {
    if local.offset().is_zero() { at.to_string() } else { format!("{local}, {at}") }
}

/// The header with the name of the operator, for the audit log of the server.
const OPERATOR_HEADER: &str = "Rollcall-Operator";

/// The maximum number of entries per page.
const PAGE: &str = "1000";

/// Sends a query about past sessions.
fn query_history(
    server: &Server,
    path: &str,
    query: &[(&str, &str)],
) -> Result<Value, CommandError> {
    let name = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let name = name.filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
    let headers: Vec<(&str, &str)> =
        name.iter().map(|name| (OPERATOR_HEADER, name.as_str())).collect();
    match server.answer(server.open(path, query, &headers)?)? {
        Response::Found(found) => Ok(found),
        // An unknown period is an error, not an empty result.
        Response::NotFound(why) => Err(CommandError::Request(why)),
    }
}

/// Prints the session of `address` at a time.
pub(super) fn lookup_at(
    (address, time): (Address, &PointInTime),
    server: &Server,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let found = at(address, time, server)?;
    if output.format() == OutputFormat::Json {
        output.line(&found)?;
    } else {
        output.line(format_args!("at {}: {}", time.text, past_session(&found)))?;
        notes(&found, output)?;
    }
    if found["session"].is_null() { Err(CommandError::NotFound) } else { Ok(()) }
}

/// Prints why `address` had its session at a time.
pub(super) fn explain_at(
    (address, time): (Address, &PointInTime),
    server: &Server,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let found = at(address, time, server)?;
    if output.format() == OutputFormat::Json {
        return output.line(&found);
    }
    output.line(format_args!("at {}: {}", time.text, word(&found["sentence"])))?;
    for record in found["competed"].as_array().into_iter().flatten() {
        output.line(format_args!("  {}", word(&record["sentence"])))?;
    }
    notes(&found, output)
}

fn at(address: Address, time: &PointInTime, server: &Server) -> Result<Value, CommandError> {
    let path = format!("/api/v1/history/addresses/{address}");
    query_history(server, &path, &[("at", &time.at.to_string())])
}

/// `alice@corp had 10.0.0.7, since …, until …`.
fn past_session(found: &Value) -> String {
    let (session, address) = (&found["session"], word(&found["address"]));
    if session.is_null() {
        return format!("{address} had no session");
    }
    let until = match (found["visible_until"].as_str(), found["ended_by"]["kind"].as_str()) {
        (Some(until), Some(kind)) => format!("until {until} ({kind})"),
        (Some(until), None) => format!("until {until} (logoff time)"),
        (None, _) => format!("and still at {}", word(&found["known_until"])),
    };
    let since = word(&session["since"]);
    format!("{} had {address}, since {since}, {until}", user_or_device(session))
}

/// Prints the notes of a response.
fn notes(found: &Value, output: &mut Output<'_>) -> Result<(), CommandError> {
    let notes = found["sources"]["notes"].as_array().into_iter().flatten();
    notes.filter_map(Value::as_str).try_for_each(|note| output.line(format_args!("note: {note}")))
}

impl History {
    /// Prints the result, page by page.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
        match self {
            Self::Address(AtAddress { address, period }) => {
                let path = format!("/api/v1/history/addresses/{address}");
                let query = query(period.from.as_ref(), period.to.as_ref());
                pages((&path, "intervals"), &query, server, output)
            }
            Self::User(OfUser { user, period }) => {
                let path = format!("/api/v1/history/users/{}", in_path(user));
                let query = query(period.from.as_ref(), period.to.as_ref());
                pages((&path, "intervals"), &query, server, output)
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

/// The query parameters of every page.
fn query(from: Option<&PointInTime>, to: Option<&PointInTime>) -> Vec<(&'static str, String)> {
    let mut query = vec![("limit", PAGE.to_owned())];
    query.extend(from.map(|from| ("from", from.at.to_string())));
    query.extend(to.map(|to| ("to", to.at.to_string())));
    query
}

/// Prints all entries of all pages, and each note once.
fn pages(
    (path, list): (&str, &str),
    query: &[(&str, String)],
    server: &Server,
    output: &mut Output<'_>,
) -> Result<(), CommandError> {
    let (mut after, mut printed_notes, mut found): (Option<String>, Vec<Value>, bool) =
        (None, Vec::new(), false);
    loop {
        let mut parameters: Vec<(&str, &str)> = query.iter().map(|(key, v)| (*key, &**v)).collect();
        parameters.extend(after.as_deref().map(|after| ("after", after)));
        let page = query_history(server, path, &parameters)?;
        for entry in page[list].as_array().into_iter().flatten() {
            found = true;
            output.either(entry, entry_line(entry))?;
        }
        for note in page["sources"]["notes"].as_array().into_iter().flatten() {
            if output.format() == OutputFormat::Text && !printed_notes.contains(note) {
                output.line(format_args!("note: {}", word(note)))?;
                printed_notes.push(note.clone());
            }
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None if found => return Ok(()),
            None => return Err(CommandError::NotFound),
        }
    }
}

/// A session, or an address with a difference.
fn entry_line(entry: &Value) -> String {
    let side =
        |side: &Value| if side.is_null() { "no session".to_owned() } else { user_or_device(side) };
    match entry["what"].as_str() {
        Some(what) => {
            let (before, after) = (side(&entry["before"]), side(&entry["after"]));
            format!("{:<15}  {what:<8}  {before} -> {after}", word(&entry["address"]))
        }
        None => line(&entry["session"]),
    }
}

/// Percent-encodes a text as one path segment (RFC 3986 section 3.3).
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
    fn a_time_is_parsed_in_the_local_zone_or_with_its_offset() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let read = |text: &str| parse_time_in(text, &berlin).map(|time| time.text);
        let found = read("2026-11-20 14:05").unwrap();
        assert_eq!(found, "2026-11-20T14:05:00+01:00[Europe/Berlin], 2026-11-20T13:05:00Z");
        assert_eq!(read("2026-11-20T14:05:00Z").unwrap(), "2026-11-20T14:05:00Z");
        assert_eq!(read("2026-11-20T14:05:00+02:00").unwrap(), "2026-11-20T12:05:00Z");
        assert!(read("2026-11-20").unwrap().starts_with("2026-11-20T00:00:00+01:00"));
        let twice = read("2026-10-25 02:30").unwrap_err();
        assert!(twice.contains("daylight saving time"), "{twice}");
        assert!(read("2026-03-29 02:30").is_err(), "skipped by daylight saving time");
        assert!(read("yesterday").is_err());
    }

    #[test]
    fn a_past_session_is_printed_with_its_end() {
        let session = json!({"user": "alice", "domain": null, "since": "S"});
        let found = json!({"address": "10.0.0.7", "session": session, "visible_until": "U",
            "ended_by": {"kind": "logout"}});
        assert_eq!(past_session(&found), "alice had 10.0.0.7, since S, until U (logout)");
        let found = json!({"address": "10.0.0.7", "session": session, "known_until": "K"});
        assert_eq!(past_session(&found), "alice had 10.0.0.7, since S, and still at K");
        assert_eq!(past_session(&json!({"address": "10.0.0.7"})), "10.0.0.7 had no session");
    }

    #[test]
    fn a_user_name_is_encoded_as_one_segment() {
        assert_eq!(in_path("CORP\\zo\u{eb}/x"), "CORP%5Czo%C3%AB%2Fx");
    }
}
