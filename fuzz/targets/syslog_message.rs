//! One datagram or frame, read by every shipped template: it gives sound events or a reason why
//! not, and the sender's clock remembers nothing that would change what a line says.

use std::sync::LazyLock;

use super::{check, name, origin, seen, shipped};
use jiff::tz::{TimeZone, offset};
use rollcall_identity::{Event, Producer};
use rollcall_wire::syslog::{ClientDefaults, LineOutcome, LineReader, SenderClock, SyslogMessage};

fn defaults() -> ClientDefaults {
    ClientDefaults {
        domain: Some(name("corp.example.com")),
        zone: zone(),
        ..ClientDefaults::default()
    }
}

fn zone() -> TimeZone {
    TimeZone::fixed(offset(2))
}

static READER: LazyLock<LineReader> = LazyLock::new(|| {
    let templates = shipped().into_iter().map(|template| (template, origin(Producer::Syslog)));
    LineReader::new(templates.collect(), defaults())
});

fn read(line: &[u8], clock: &mut SenderClock) -> (LineOutcome, Vec<Event>) {
    let message = SyslogMessage::read(line, seen(), clock);
    assert!(message.text.len() <= message.content.len(), "text outside of the content");
    assert!(message.content.len() <= line.len(), "content from nowhere");
    let names = message.data.params().map(|param| param.value().len()).sum::<usize>();
    assert!(names <= line.len(), "structured data from nowhere");
    let (mut events, mut of_line) = (Vec::new(), Vec::new());
    let outcome = READER.read(&message, seen(), &mut events);
    let same = READER.read_line(line, (seen(), clock), &mut of_line);
    assert_eq!((same, &of_line), (outcome, &events), "as it came, or its message");
    (outcome, events)
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let mut clock = SenderClock::new(zone());
    let first = read(data, &mut clock);
    assert_eq!(read(data, &mut clock), first, "the clock remembers more than the minute");
    let (outcome, events) = first;
    events.iter().for_each(check);
    let count = match outcome {
        LineOutcome::Matched { events, .. } => events,
        LineOutcome::Unmatched | LineOutcome::Problem { .. } => 0,
    };
    assert_eq!(count, events.len());
    assert_eq!(count > 0, matches!(outcome, LineOutcome::Matched { .. }), "matched, and no event");
}
