//! Runs the sample lines of a template through the template.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rollcall_identity::{Origin, Producer};

use super::defaults::Defaults;
use super::message::Message;
use super::moment::SenderClock;
use super::reader::{Outcome, Reader};
use super::sample::{Nothing, SampleFailure};
use super::template::Template;

impl Template {
    /// Reads every sample line, as for a client without settings of its own, and compares the
    /// result with the expectation in the file.
    pub fn verify(&self) -> Vec<SampleFailure> {
        let name = self.name().clone();
        let (kind, producer, client) = (Producer::Syslog, name.clone(), name.clone());
        let origin = Arc::new(Origin { kind, producer, client, form: name });
        let reader = Reader::new(vec![(Arc::new(self.clone()), origin)], Defaults::default());
        let check = |(at, sample): (usize, &super::sample::Sample)| {
            let (seen, mut events) = (sample.seen(), Vec::new());
            let mut clock = SenderClock::new(TimeZone::UTC);
            let message = Message::read(sample.line().as_bytes(), seen, &mut clock);
            let got = match reader.read(&message, seen, &mut events) {
                Outcome::Matched { .. } => Ok(&*events),
                Outcome::Unmatched => Err(Nothing::Unmatched),
                Outcome::Problem { problem, .. } => Err(Nothing::Problem(problem)),
            };
            sample.check(at + 1, got)
        };
        self.samples().iter().enumerate().filter_map(check).collect()
    }
}
