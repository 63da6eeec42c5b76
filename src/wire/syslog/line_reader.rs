//! Reads the lines of one client: applies its templates in order and returns events.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, packed};
use rollcall_identity::{Event, Origin, Timestamp};

use super::client_defaults::{ClientDefaults, LineContext};
use super::error::SyslogParseError;
use super::message::SyslogMessage;
use super::template::{Template, TemplateOutcome};
use super::timestamp::SenderClock;

/// The result for a line. `template` is the index in the list of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOutcome {
    /// The line gave events.
    Matched {
        /// The template that matched.
        template: usize,
        /// The number of appended events.
        events: usize,
    },
    /// No template matches: most lines of most senders.
    Unmatched,
    /// A template matches, but the line gives no event.
    Problem {
        /// The first template that matches; `None` without templates.
        template: Option<usize>,
        /// The reason.
        problem: SyslogParseError,
    },
}

/// Searches a line for the prefilters of all rules in one pass. Most lines are rejected here.
#[derive(Debug, Clone)]
enum Prefilter {
    /// Vector instructions, for up to a few dozen literals.
    Packed(packed::Searcher),
    /// An automaton, for more literals and other processors.
    Automaton(AhoCorasick),
    /// No prefilter: all rules are tried.
    Nothing,
}

impl Prefilter {
    fn new(literals: &[&str]) -> Self {
        match packed::Searcher::new(literals) {
            Some(searcher) => Self::Packed(searcher),
            None => AhoCorasick::new(literals).map_or(Self::Nothing, Self::Automaton),
        }
    }

    fn may_match(&self, content: &[u8]) -> bool {
        match self {
            Self::Packed(searcher) => searcher.find(content).is_some(),
            Self::Automaton(automaton) => automaton.is_match(content),
            Self::Nothing => true,
        }
    }
}

/// Reads the lines of one client.
#[derive(Debug, Clone)]
pub struct LineReader {
    templates: Vec<(Arc<Template>, Arc<Origin>)>,
    defaults: ClientDefaults,
    prefilter: Prefilter,
}

impl LineReader {
    /// A reader that tries `templates` in order.
    pub fn new(templates: Vec<(Arc<Template>, Arc<Origin>)>, defaults: ClientDefaults) -> Self {
        let mut literals: Vec<&str> = templates.iter().flat_map(|(t, _)| t.prefilters()).collect();
        literals.sort_unstable();
        literals.dedup();
        let prefilter = Prefilter::new(&literals);
        Self { templates, defaults, prefilter }
    }

    /// The templates in the order in which they are tried.
    pub fn templates(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.templates.iter().map(|(template, _)| template)
    }

    /// Appends the events of `message`, received at `seen`, to `out`. The first template that gives
    /// an event is used, and a rule with `drop` ends the search.
    pub fn read(
        &self,
        message: &SyslogMessage<'_>,
        seen: Timestamp,
        out: &mut Vec<Event>,
    ) -> LineOutcome {
        if self.prefilter.may_match(message.content) {
            self.ask_templates(message, seen, out)
        } else {
            self.unknown()
        }
    }

    /// The same for an unparsed `line` of a sender with this `clock`. Most lines match no template;
    /// for those, not even the header is parsed.
    pub fn read_line(
        &self,
        line: &[u8],
        (seen, clock): (Timestamp, &mut SenderClock),
        out: &mut Vec<Event>,
    ) -> LineOutcome {
        if self.prefilter.may_match(line) {
            self.ask_templates(&SyslogMessage::read(line, seen, clock), seen, out)
        } else {
            self.unknown()
        }
    }

    /// The result for a line without any prefilter.
    fn unknown(&self) -> LineOutcome {
        if self.templates.is_empty() {
            LineOutcome::Problem { template: None, problem: SyslogParseError::NoTemplate }
        } else {
            LineOutcome::Unmatched
        }
    }

    /// Reads a message that contains a prefilter.
    fn ask_templates(
        &self,
        message: &SyslogMessage<'_>,
        seen: Timestamp,
        out: &mut Vec<Event>,
    ) -> LineOutcome {
        let mut outcome = self.unknown();
        for (at, (template, origin)) in self.templates.iter().enumerate() {
            let context = LineContext { seen, defaults: &self.defaults, origin };
            match template.read(message, &context, out) {
                Some(TemplateOutcome::Events(events)) => {
                    return LineOutcome::Matched { template: at, events };
                }
                Some(TemplateOutcome::Dropped(problem)) => {
                    return LineOutcome::Problem { template: Some(at), problem };
                }
                Some(TemplateOutcome::Problem(problem)) if outcome == LineOutcome::Unmatched => {
                    outcome = LineOutcome::Problem { template: Some(at), problem };
                }
                Some(TemplateOutcome::Problem(_)) | None => {}
            }
        }
        outcome
    }
}
