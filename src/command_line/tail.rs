//! `tail`: every change as it happens, one line each, across lost connections.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use rollcall_identity::Address;
use serde_json::Value;

use super::Failed;
use super::output::{Form, Output};
use super::server::Server;
use super::sessions::{who, word};

/// Which changes, and from where on.
#[derive(Debug, Default, Args)]
pub(super) struct Tail {
    /// A glob over domains.
    #[arg(long)]
    domain: Option<String>,
    /// An address.
    #[arg(long)]
    ip: Option<Address>,
    /// Networks, separated by commas.
    #[arg(long)]
    cidr: Option<String>,
    /// Begin with everybody who is there.
    #[arg(long)]
    from_start: bool,
    /// Go on after this cursor, from an earlier `tail --json`.
    #[arg(long, conflicts_with = "from_start")]
    cursor: Option<String>,
}

/// The pause before a lost connection is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest line of a stream: a change with some thousand groups.
const LINE: u64 = 1 << 20;

impl Tail {
    /// Prints changes until nobody reads them any more.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        let mut reader = Reader { place: self.cursor.clone(), fresh: self.cursor.is_none() };
        let mut reached = false;
        loop {
            let lost = match self.connect(server, reader.place.as_deref()) {
                Ok(stream) => {
                    reached = true;
                    follow(stream, &mut reader, output)?
                }
                Err(Failed::Request(why)) if reached => why,
                Err(failed) => return Err(failed),
            };
            reader.fresh = false;
            // On the error channel: what is printed stays what programs read.
            let _ = writeln!(io::stderr(), "rollcall: {lost}; trying again");
            sleep(PAUSE);
        }
    }

    fn connect(&self, server: &Server, place: Option<&str>) -> Result<impl Read + use<>, Failed> {
        let ip = self.ip.map(|ip| ip.to_string());
        let from = (self.from_start && place.is_none()).then_some("start");
        let given = [
            ("domain", self.domain.as_deref()),
            ("ip", ip.as_deref()),
            ("cidr", self.cidr.as_deref()),
            ("from", from),
        ];
        let query: Vec<_> = given.into_iter().filter_map(|(key, v)| Some((key, v?))).collect();
        let headers: Vec<_> = place.map(|place| ("Last-Event-ID", place)).into_iter().collect();
        let response = server.open("/api/v1/stream", &query, &headers)?;
        if response.status().as_u16() != 200 {
            server.answer(response)?;
            return Err(Failed::Request("the server has no live stream".to_owned()));
        }
        Ok(response.into_body().into_reader())
    }
}

/// Whoever reads what is printed.
struct Reader {
    /// Behind which event to go on.
    place: Option<String>,
    /// That nothing was read so far, here or by an earlier `tail`: a first list of everybody makes
    /// nothing void.
    fresh: bool,
}

/// Prints events until the connection is lost, and says how. `reader` follows what was printed.
fn follow(
    stream: impl Read,
    reader: &mut Reader,
    output: &mut Output<'_>,
) -> Result<String, Failed> {
    let mut stream = BufReader::new(stream);
    let mut event = Event::default();
    let mut line = String::new();
    loop {
        line.clear();
        match stream.by_ref().take(LINE).read_line(&mut line) {
            Ok(0) => return Ok("the server closed the stream".to_owned()),
            Ok(_) if !line.ends_with('\n') => return Ok("the stream broke off".to_owned()),
            Ok(_) => {}
            Err(why) => return Ok(format!("the stream broke off: {why}")),
        }
        if !event.field(line.trim_end_matches(['\r', '\n'])) {
            continue;
        }
        let Event { id, name, data } = std::mem::take(&mut event);
        if let Ok(data) = serde_json::from_str::<Value>(&data) {
            if name != "resync" {
                print(&name, &data, output)?;
            } else if output.form() == Form::Json || !reader.fresh {
                output.either(&data, "everything anew: what was printed before is void")?;
            }
            reader.fresh = false;
            output.flush()?;
        }
        reader.place = id.or(reader.place.take());
    }
}

/// An event while its fields come in (HTML Living Standard, section 9.2.6).
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: Option<String>,
    name: String,
    data: String,
}

impl Event {
    /// Takes in a line; whether it is the empty one at the event's end.
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

fn print(name: &str, data: &Value, output: &mut Output<'_>) -> Result<(), Failed> {
    let cause = &data["cause"];
    let whom = match &data["session"] {
        Value::Null => "whoever was there".to_owned(),
        session => who(session),
    };
    let line = format!(
        "{}  {name:<7}  {:<15}  {whom}  ({} by {}/{}, {})",
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
    use super::super::output::Form;
    use super::*;
    use proptest::prelude::*;

    const CHANGE: &str = r#"{"address":"10.0.0.1","session":{"user":"alice","domain":"corp"},"cause":{"seen":"2026-11-21T20:00:00Z","kind":"vpn_up","producer":"syslog","client":"fw1","rule":"first_user"}}"#;

    fn fresh() -> Reader {
        Reader { place: None, fresh: true }
    }

    fn followed(stream: &str, form: Form) -> (String, Option<String>, String) {
        let mut reader = fresh();
        let (printed, lost) = followed_by(&mut reader, stream, form);
        (printed, reader.place, lost)
    }

    fn followed_by(reader: &mut Reader, stream: &str, form: Form) -> (String, String) {
        let mut printed = Vec::new();
        let mut output = Output::new(Box::new(&mut printed), form);
        let lost = follow(stream.as_bytes(), reader, &mut output).unwrap();
        drop(output);
        (String::from_utf8(printed).unwrap(), lost)
    }

    #[test]
    fn everything_anew_is_said_only_to_whoever_has_read_something() {
        let resync = "event: resync\ndata: {\"cursor\":\"1.1\"}\n\n";
        let (printed, ..) = followed(resync, Form::Plain);
        assert_eq!(printed, "", "the first list of everybody");
        let (printed, ..) = followed(resync, Form::Json);
        assert_eq!(printed, "{\"cursor\":\"1.1\"}\n", "programs hear of it");
        let stream = format!("event: began\ndata: {CHANGE}\n\n{resync}");
        let (printed, ..) = followed(&stream, Form::Plain);
        assert!(printed.ends_with("\neverything anew: what was printed before is void\n"));
        let mut resumed = Reader { place: Some("1.1".to_owned()), fresh: false };
        let (printed, _) = followed_by(&mut resumed, resync, Form::Plain);
        assert_eq!(printed, "everything anew: what was printed before is void\n");
    }

    #[test]
    fn an_event_is_a_line_and_its_id_the_place() {
        let stream = format!(
            "retry: 2000\nid: 1.1\n\n: alive\nid: 1.2\n\nid: 1.7\nevent: began\ndata: {CHANGE}\n\n"
        );
        let (printed, place, lost) = followed(&stream, Form::Plain);
        assert_eq!(
            printed,
            "2026-11-21T20:00:00Z  began    10.0.0.1         alice@corp  \
             (vpn_up by syslog/fw1, first_user)\n"
        );
        assert_eq!(
            (place.as_deref(), lost.as_str()),
            (Some("1.7"), "the server closed the stream")
        );
        let (printed, ..) = followed(&stream, Form::Json);
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["address"], "10.0.0.1");
    }

    #[test]
    fn half_an_event_is_neither_printed_nor_passed_over() {
        for cut in ["id: 1.9\nevent: began\ndata: {\"addr", "id: 1.9\nevent: began\n"] {
            let (printed, place, _) = followed(&format!("id: 1.1\n\n{cut}"), Form::Plain);
            assert_eq!((printed.as_str(), place.as_deref()), ("", Some("1.1")), "{cut}");
        }
    }

    #[test]
    fn a_reader_of_the_output_that_goes_away_ends_it_without_an_error() {
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
        let mut output = Output::new(Box::new(Closed), Form::Plain);
        let ended = follow(stream.as_bytes(), &mut fresh(), &mut output);
        assert_eq!(ended, Err(Failed::Unread));
    }
    proptest! {
        #[test]
        fn any_stream_is_read_to_its_end(bytes in any::<Vec<u8>>(), near in "((id|event|data)?:? ?[a-z0-9{}\":]{0,8}\r?\n){0,8}") {
            for stream in [bytes.as_slice(), near.as_bytes()] {
                let mut output = Output::new(Box::new(io::sink()), Form::Plain);
                prop_assert!(follow(stream, &mut fresh(), &mut output).is_ok());
            }
        }
    }
}
