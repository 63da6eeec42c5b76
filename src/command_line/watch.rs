//! `rollcall watch`: prints each change as it happens, and reconnects after a lost connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use rollcall_identity::Address;
use serde_json::Value;

use super::CommandError;
use super::output::{Output, OutputFormat};
use super::server::Server;
use super::session_text::{user_or_device, word};

#[derive(Debug, Default, Args)]
pub(super) struct Watch {
    /// Glob over domains.
    #[arg(long)]
    domain: Option<String>,
    /// IP address.
    #[arg(long)]
    ip: Option<Address>,
    /// Networks, separated by commas.
    #[arg(long)]
    cidr: Option<String>,
    /// Begin with all active sessions.
    #[arg(long)]
    from_start: bool,
    /// Resume after this cursor of an earlier `watch --json`.
    #[arg(long, conflicts_with = "from_start")]
    cursor: Option<String>,
}

/// The delay before a reconnection.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// The maximum length of a line in bytes: a change with several thousand groups.
const MAX_LINE: u64 = 1 << 20;

impl Watch {
    /// Prints changes until standard output is closed.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
        let mut reader =
            StreamPosition { last_id: self.cursor.clone(), fresh: self.cursor.is_none() };
        let mut reached = false;
        loop {
            let lost = match self.connect(server, reader.last_id.as_deref()) {
                Ok(stream) => {
                    reached = true;
                    follow(stream, &mut reader, output)?
                }
                Err(CommandError::Request(why)) if reached => why,
                Err(failed) => return Err(failed),
            };
            reader.fresh = false;
            // Standard output has changes only, because programs read it.
            let _ = writeln!(io::stderr(), "rollcall: {lost}; reconnecting");
            sleep(RECONNECT_DELAY);
        }
    }

    fn connect(
        &self,
        server: &Server,
        last_id: Option<&str>,
    ) -> Result<impl Read + use<>, CommandError> {
        let ip = self.ip.map(|ip| ip.to_string());
        let from = (self.from_start && last_id.is_none()).then_some("start");
        let given = [
            ("domain", self.domain.as_deref()),
            ("ip", ip.as_deref()),
            ("cidr", self.cidr.as_deref()),
            ("from", from),
        ];
        let query: Vec<_> = given.into_iter().filter_map(|(key, v)| Some((key, v?))).collect();
        let headers: Vec<_> =
            last_id.map(|last_id| ("Last-Event-ID", last_id)).into_iter().collect();
        let response = server.open("/api/v1/stream", &query, &headers)?;
        if response.status().as_u16() != 200 {
            server.answer(response)?;
            return Err(CommandError::Request(
                "the server has no live stream; check --url".to_owned(),
            ));
        }
        Ok(response.into_body().into_reader())
    }
}

/// The position in the stream.
struct StreamPosition {
    /// The ID of the last event, after which to resume.
    last_id: Option<String>,
    /// Whether nothing was printed, here or by an earlier `watch`. The first snapshot then needs no
    /// resync message.
    fresh: bool,
}

/// Prints events until the connection is lost. Returns the cause. `reader` follows what was printed.
fn follow(
    stream: impl Read,
    reader: &mut StreamPosition,
    output: &mut Output<'_>,
) -> Result<String, CommandError> {
    let mut stream = BufReader::new(stream);
    let mut event = StreamEvent::default();
    let mut line = String::new();
    loop {
        line.clear();
        match stream.by_ref().take(MAX_LINE).read_line(&mut line) {
            Ok(0) => return Ok("the server closed the stream".to_owned()),
            Ok(_) if !line.ends_with('\n') => return Ok("the connection was lost".to_owned()),
            Ok(_) => {}
            Err(why) => return Ok(format!("the connection was lost: {why}")),
        }
        if !event.field(line.trim_end_matches(['\r', '\n'])) {
            continue;
        }
        let StreamEvent { id, name, data } = std::mem::take(&mut event);
        if let Ok(data) = serde_json::from_str::<Value>(&data) {
            if name != "resync" {
                print(&name, &data, output)?;
            } else if output.format() == OutputFormat::Json || !reader.fresh {
                output.either(
                    &data,
                    "full resync: discard all changes above, the active sessions follow",
                )?;
            }
            reader.fresh = false;
            output.flush()?;
        }
        reader.last_id = id.or(reader.last_id.take());
    }
}

/// A server-sent event while its fields are parsed (HTML Living Standard, section 9.2.6).
#[derive(Debug, Default, PartialEq, Eq)]
struct StreamEvent {
    id: Option<String>,
    name: String,
    data: String,
}

impl StreamEvent {
    /// Parses a line. Returns whether it is the empty line at the end of the event.
    fn field(&mut self, line: &str) -> bool {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => return line.is_empty(),
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
        false
    }
}

fn print(name: &str, data: &Value, output: &mut Output<'_>) -> Result<(), CommandError> {
    let cause = &data["cause"];
    let subject = match &data["session"] {
        Value::Null => "all users".to_owned(),
        session => user_or_device(session),
    };
    let line = format!(
        "{}  {name:<7}  {:<15}  {subject}  ({} by {}/{}, {})",
        word(&cause["seen"]),
        word(&data["address"]),
        word(&cause["kind"]),
        word(&cause["producer"]),
        word(&cause["client"]),
        word(&cause["rule"]),
    );
    output.either(data, line)
}

#[cfg(test)]
mod tests {
    use super::super::output::OutputFormat;
    use super::*;
    use proptest::prelude::*;

    const CHANGE: &str = r#"{"address":"10.0.0.1","session":{"user":"alice","domain":"corp"},"cause":{"seen":"2026-11-21T20:00:00Z","kind":"vpn_up","producer":"syslog","client":"fw1","rule":"first_user"}}"#;

    fn fresh() -> StreamPosition {
        StreamPosition { last_id: None, fresh: true }
    }

    fn followed(stream: &str, form: OutputFormat) -> (String, Option<String>, String) {
        let mut reader = fresh();
        let (printed, lost) = followed_by(&mut reader, stream, form);
        (printed, reader.last_id, lost)
    }

    fn followed_by(
        reader: &mut StreamPosition,
        stream: &str,
        form: OutputFormat,
    ) -> (String, String) {
        let mut printed = Vec::new();
        let mut output = Output::new(Box::new(&mut printed), form);
        let lost = follow(stream.as_bytes(), reader, &mut output).unwrap();
        drop(output);
        (String::from_utf8(printed).unwrap(), lost)
    }

    #[test]
    fn a_resync_is_printed_only_after_other_output() {
        let resync = "event: resync\ndata: {\"cursor\":\"1.1\"}\n\n";
        let (printed, ..) = followed(resync, OutputFormat::Text);
        assert_eq!(printed, "", "the first snapshot");
        let (printed, ..) = followed(resync, OutputFormat::Json);
        assert_eq!(printed, "{\"cursor\":\"1.1\"}\n", "programs receive it");
        let stream = format!("event: began\ndata: {CHANGE}\n\n{resync}");
        let (printed, ..) = followed(&stream, OutputFormat::Text);
        assert!(
            printed.ends_with(
                "\nfull resync: discard all changes above, the active sessions follow\n"
            )
        );
        let mut resumed = StreamPosition { last_id: Some("1.1".to_owned()), fresh: false };
        let (printed, _) = followed_by(&mut resumed, resync, OutputFormat::Text);
        assert_eq!(printed, "full resync: discard all changes above, the active sessions follow\n");
    }

    #[test]
    fn an_event_is_printed_and_its_id_recorded() {
        let stream = format!(
            "retry: 2000\nid: 1.1\n\n: alive\nid: 1.2\n\nid: 1.7\nevent: began\ndata: {CHANGE}\n\n"
        );
        let (printed, last_id, lost) = followed(&stream, OutputFormat::Text);
        assert_eq!(
            printed,
            "2026-11-21T20:00:00Z  began    10.0.0.1         alice@corp  \
             (vpn_up by syslog/fw1, first_user)\n"
        );
        assert_eq!(
            (last_id.as_deref(), lost.as_str()),
            (Some("1.7"), "the server closed the stream")
        );
        let (printed, ..) = followed(&stream, OutputFormat::Json);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["address"], "10.0.0.1");
    }

    #[test]
    fn a_partial_event_is_not_printed_and_its_id_not_recorded() {
        for cut in ["id: 1.9\nevent: began\ndata: {\"addr", "id: 1.9\nevent: began\n"] {
            let (printed, last_id, _) = followed(&format!("id: 1.1\n\n{cut}"), OutputFormat::Text);
            assert_eq!((printed.as_str(), last_id.as_deref()), ("", Some("1.1")), "{cut}");
        }
    }

    #[test]
    fn a_closed_output_ends_the_command_without_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let stream = format!("event: began\ndata: {CHANGE}\n\n");
        let mut output = Output::new(Box::new(Closed), OutputFormat::Text);
        let ended = follow(stream.as_bytes(), &mut fresh(), &mut output);
        assert_eq!(ended, Err(CommandError::OutputClosed));
    }
    proptest! {
        #[test]
        fn any_stream_is_read_to_its_end(bytes in any::<Vec<u8>>(), near in "((id|event|data)?:? ?[a-z0-9{}\":]{0,8}\r?\n){0,8}") {
            for stream in [bytes.as_slice(), near.as_bytes()] {
                let mut output = Output::new(Box::new(io::sink()), OutputFormat::Text);
                prop_assert!(follow(stream, &mut fresh(), &mut output).is_ok());
            }
        }
    }
}
