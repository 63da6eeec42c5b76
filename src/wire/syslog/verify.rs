//! Runs the sample lines of a template through the template.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rollcall_identity::{Origin, Producer};

use super::client_defaults::ClientDefaults;
use super::line_reader::{LineOutcome, LineReader};
use super::message::SyslogMessage;
use super::sample::{NoEvent, SampleFailure};
use super::template::Template;
use super::timestamp::SenderClock;

impl Template {
    /// Reads every sample line, as for a client without settings of its own, and compares the
    /// result with the expectation in the file.
    pub fn verify(&self) -> Vec<SampleFailure> {
        let name = self.name().clone();
        let (kind, producer, client) = (Producer::Syslog, name.clone(), name.clone());
        let origin = Arc::new(Origin { kind, producer, client, form: name });
        let reader =
            LineReader::new(vec![(Arc::new(self.clone()), origin)], ClientDefaults::default());
        let check = |(at, sample): (usize, &super::sample::Sample)| {
            let (seen, mut events) = (sample.seen(), Vec::new());
            let mut clock = SenderClock::new(TimeZone::UTC);
            let message = SyslogMessage::read(sample.line().as_bytes(), seen, &mut clock);
            let got = match reader.read(&message, seen, &mut events) {
                LineOutcome::Matched { .. } => Ok(&*events),
                LineOutcome::Unmatched => Err(NoEvent::Unmatched),
                LineOutcome::Problem { problem, .. } => Err(NoEvent::Problem(problem)),
            };
            sample.check(at + 1, got)
        };
        self.samples().iter().enumerate().filter_map(check).collect()
    }
}
