//! A matcher for patterns that consist mostly of literals, as patterns for log lines do.
//!
//! Such a pattern is a sequence of literals, runs of a class and lazy gaps. One pass that takes the
//! preferred choice at each step finds the match that the regular expression would find, because it
//! tries its choices in that order. When the pass fails, the regular expression decides, because it
//! can backtrack. If a literal is missing after its first possible position, no match is possible.
//! The matcher is our own because it reads a Junos VPN line in 742 ns, where the captures of the
//! regex crate alone take 6,301 ns (docs/performance.md).

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Start and end of a capture group in the text; `None` for a group that did not take part.
pub(super) type Span = Option<(usize, usize)>;

/// A pattern as a sequence of steps.
#[derive(Debug, Clone)]
pub(super) struct LiteralMatcher {
    begins: StartAnchor,
    steps: Box<[Step]>,
}

#[derive(Debug, Clone)]
enum StartAnchor {
    /// At the first occurrence of the literal.
    At(Box<Finder<'static>>),
    /// At the beginning of the text.
    Start,
}

#[derive(Debug, Clone)]
enum Step {
    Open(usize),
    Close(usize),
    Literal(Box<[u8]>),
    /// The longest run of the class.
    Run {
        class: ByteSet,
        least: usize,
        most: usize,
    },
    /// The shortest run of the class before the literal, which a later step consumes.
    Gap {
        class: ByteSet,
        least: usize,
        until: Box<Finder<'static>>,
    },
    /// The rest of the text, if it is of the class.
    GapToEnd {
        class: ByteSet,
        least: usize,
    },
    End,
}

/// The result of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchResult {
    /// A match.
    Match,
    /// No match is possible.
    NoMatch,
    /// Undecided: the regular expression decides.
    Undecided,
}

/// A set of bytes.
#[derive(Debug, Clone)]
struct ByteSet {
    has: Box<[bool; 256]>,
    scan: Scan,
}

/// How to find the first byte outside of the set.
#[derive(Debug, Clone, Copy)]
enum Scan {
    /// The set has every byte.
    All,
    AllBut(u8),
    AllButTwo(u8, u8),
    Table,
}

impl LiteralMatcher {
    /// Compiles `pattern`, if it has this form. Capture indexes must be below `groups`.
    pub(super) fn of(pattern: &Hir, groups: usize) -> Option<Self> {
        let mut parts = Vec::new();
        flatten(pattern, &mut parts)?;
        let opened = |part: &&Part| matches!(part, Part::Step(Step::Open(_) | Step::Close(_)));
        let first = parts.iter().find(|part| !opened(part))?;
        let begins = match first {
            Part::Start => StartAnchor::Start,
            Part::Step(Step::Literal(_)) => StartAnchor::At(finder(&literal_ahead(&parts))),
            _ => return None,
        };
        let mut steps = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            let ahead = literal_ahead(&parts[at + 1..]);
            match part {
                // `^` after the beginning never matches; the regular expression handles it.
                Part::Start if parts[..at].iter().any(|part| !opened(&part)) => return None,
                Part::Start => {}
                Part::Step(Step::Open(group) | Step::Close(group)) if *group >= groups => {
                    return None;
                }
                Part::Step(step) => steps.push(step.clone()),
                Part::Greedy { class, least, most } => {
                    let (class, least, most) = (class.clone(), *least, *most);
                    // A run that can consume the next literal would fail for every text.
                    if least != most && ahead.first().is_some_and(|byte| class.contains(*byte)) {
                        return None;
                    }
                    steps.push(Step::Run { class, least, most });
                }
                Part::Lazy { class, least } => {
                    let (class, least) = (class.clone(), *least);
                    let next = parts[at + 1..].iter().find(|part| !opened(part));
                    steps.push(match next {
                        Some(Part::Step(Step::Literal(_))) => {
                            Step::Gap { class, least, until: finder(&ahead) }
                        }
                        Some(Part::Step(Step::End)) => Step::GapToEnd { class, least },
                        _ => return None,
                    });
                }
            }
        }
        Some(Self { begins, steps: steps.into() })
    }

    /// Matches `text` and writes the spans of the capture groups.
    pub(super) fn run(&self, text: &[u8], spans: &mut [Span]) -> MatchResult {
        let start = match &self.begins {
            StartAnchor::Start => 0,
            StartAnchor::At(literal) => match literal.find(text) {
                Some(at) => at,
                None => return MatchResult::NoMatch,
            },
        };
        self.walk(text, start, spans)
    }

    fn walk(&self, text: &[u8], start: usize, spans: &mut [Span]) -> MatchResult {
        let mut at = start;
        // After literals and unrestricted gaps only, this is the earliest possible position.
        let mut foremost = true;
        for step in &self.steps {
            let next = match step {
                Step::Open(group) => {
                    spans[*group] = Some((at, at));
                    Some(at)
                }
                Step::Close(group) => {
                    spans[*group] = spans[*group].map(|(from, _)| (from, at));
                    Some(at)
                }
                Step::Literal(literal) => {
                    text[at..].starts_with(literal).then_some(at + literal.len())
                }
                Step::Run { class, least, most } => {
                    foremost = false;
                    let rest = &text[at..text.len().min(at.saturating_add(*most))];
                    Some(class.run(rest)).filter(|length| length >= least).map(|n| at + n)
                }
                Step::Gap { class, least, until } => {
                    let rest = text.get(at + least..).unwrap_or_default();
                    match until.find(rest) {
                        None if foremost => return MatchResult::NoMatch,
                        found => {
                            let end = found.map(|found| at + least + found);
                            foremost &= matches!(class.scan, Scan::All);
                            end.filter(|end| class.run(&text[at..*end]) == end - at)
                        }
                    }
                }
                Step::GapToEnd { class, least } => {
                    let rest = &text[at..];
                    let fits = rest.len() >= *least && class.run(rest) == rest.len();
                    fits.then_some(text.len())
                }
                Step::End => (at == text.len()).then_some(at),
            };
            match next {
                Some(next) => at = next,
                None => return MatchResult::Undecided,
            }
        }
        MatchResult::Match
    }
}

/// The parts of a pattern, before the following part is known.
#[derive(Debug, Clone)]
enum Part {
    Start,
    Step(Step),
    Greedy { class: ByteSet, least: usize, most: usize },
    Lazy { class: ByteSet, least: usize },
}

/// Appends the parts of `hir`; `None` for an unsupported construct.
fn flatten(hir: &Hir, parts: &mut Vec<Part>) -> Option<()> {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => parts.push(Part::Step(Step::Literal(literal.0.clone()))),
        HirKind::Class(class) => {
            let class = ByteSet::of(class)?;
            parts.push(Part::Greedy { class, least: 1, most: 1 });
        }
        HirKind::Look(Look::Start) => parts.push(Part::Start),
        HirKind::Look(Look::End) => parts.push(Part::Step(Step::End)),
        HirKind::Repetition(repetition) => parts.push(repeated(repetition)?),
        HirKind::Capture(capture) => {
            let group = usize::try_from(capture.index).ok()?;
            parts.push(Part::Step(Step::Open(group)));
            flatten(&capture.sub, parts)?;
            parts.push(Part::Step(Step::Close(group)));
        }
        HirKind::Concat(subs) => subs.iter().try_for_each(|sub| flatten(sub, parts))?,
        HirKind::Look(_) | HirKind::Alternation(_) => return None,
    }
    Some(())
}

fn repeated(repetition: &Repetition) -> Option<Part> {
    let class = match repetition.sub.kind() {
        HirKind::Class(class) => ByteSet::of(class)?,
        HirKind::Literal(literal) => match *literal.0 {
            [byte] => ByteSet::new(|candidate| candidate == byte),
            _ => return None,
        },
        _ => return None,
    };
    let least = usize::try_from(repetition.min).ok()?;
    let most = match repetition.max {
        Some(most) => usize::try_from(most).ok()?,
        None => usize::MAX,
    };
    match repetition.greedy || least == most {
        true => Some(Part::Greedy { class, least, most }),
        false if most == usize::MAX => Some(Part::Lazy { class, least }),
        false => None,
    }
}

fn finder(literal: &[u8]) -> Box<Finder<'static>> {
    Box::new(Finder::new(literal).into_owned())
}

/// The next literal, across group boundaries; empty when something else follows.
fn literal_ahead(parts: &[Part]) -> Vec<u8> {
    let mut literal = Vec::new();
    for part in parts {
        match part {
            Part::Step(Step::Literal(more)) => literal.extend_from_slice(more),
            Part::Step(Step::Open(_) | Step::Close(_)) => {}
            _ => break,
        }
    }
    literal
}

impl ByteSet {
    fn of(class: &Class) -> Option<Self> {
        let Class::Bytes(class) = class else { return None };
        let ranges = class.ranges();
        Some(Self::new(|byte| ranges.iter().any(|r| (r.start()..=r.end()).contains(&byte))))
    }

    fn new(contains: impl Fn(u8) -> bool) -> Self {
        let mut has = Box::new([false; 256]);
        for byte in 0..=u8::MAX {
            has[usize::from(byte)] = contains(byte);
        }
        let missing: Vec<u8> = (0..=u8::MAX).filter(|byte| !has[usize::from(*byte)]).collect();
        let scan = match missing[..] {
            [] => Scan::All,
            [one] => Scan::AllBut(one),
            [one, other] => Scan::AllButTwo(one, other),
            _ => Scan::Table,
        };
        Self { has, scan }
    }

    fn contains(&self, byte: u8) -> bool {
        self.has[usize::from(byte)]
    }

    /// The number of bytes at the beginning of `text` that are in the set.
    fn run(&self, text: &[u8]) -> usize {
        let end = match self.scan {
            Scan::All => None,
            Scan::AllBut(one) => memchr(one, text),
            Scan::AllButTwo(one, other) => memchr2(one, other, text),
            Scan::Table => text.iter().position(|byte| !self.contains(*byte)),
        };
        end.unwrap_or(text.len())
    }
}
