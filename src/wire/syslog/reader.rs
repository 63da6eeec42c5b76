//! Reads the lines of one client: applies its templates in order and returns events.

use std::sync::Arc;

use aho_corasick::{AhoCorasick, packed};
use rollcall_identity::{Event, Origin, Timestamp};

use super::defaults::{Context, Defaults};
use super::message::Message;
use super::moment::SenderClock;
use super::problem::Problem;
use super::template::{Answer, Template};

/// The result for a line. `template` is the index in the list of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
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
        problem: Problem,
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
pub struct Reader {
    templates: Vec<(Arc<Template>, Arc<Origin>)>,
    defaults: Defaults,
    prefilter: Prefilter,
}

impl Reader {
    /// A reader that tries `templates` in order.
    pub fn new(templates: Vec<(Arc<Template>, Arc<Origin>)>, defaults: Defaults) -> Self {
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
    pub fn read(&self, message: &Message<'_>, seen: Timestamp, out: &mut Vec<Event>) -> Outcome {
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
    ) -> Outcome {
        if self.prefilter.may_match(line) {
            self.ask_templates(&Message::read(line, seen, clock), seen, out)
        } else {
            self.unknown()
        }
    }

    /// The result for a line without any prefilter.
    fn unknown(&self) -> Outcome {
        if self.templates.is_empty() {
            Outcome::Problem { template: None, problem: Problem::NoTemplate }
        } else {
            Outcome::Unmatched
        }
    }

    /// Reads a message that contains a prefilter.
    fn ask_templates(
        &self,
        message: &Message<'_>,
        seen: Timestamp,
        out: &mut Vec<Event>,
    ) -> Outcome {
        let mut outcome = self.unknown();
        for (at, (template, origin)) in self.templates.iter().enumerate() {
            let context = Context { seen, defaults: &self.defaults, origin };
            match template.read(message, &context, out) {
                Some(Answer::Events(events)) => return Outcome::Matched { template: at, events },
                Some(Answer::Dropped(problem)) => {
                    return Outcome::Problem { template: Some(at), problem };
                }
                Some(Answer::Problem(problem)) if outcome == Outcome::Unmatched => {
                    outcome = Outcome::Problem { template: Some(at), problem };
                }
                Some(Answer::Problem(_)) | None => {}
            }
        }
        outcome
    }
}
