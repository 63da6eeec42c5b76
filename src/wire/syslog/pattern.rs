//! The regular expression of a template: its named groups, the literal matcher where possible, and
//! the progress of a failed match.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

use super::literal_matcher::{LiteralMatcher, MatchResult, Span};

/// The maximum number of groups of a pattern, including the whole match.
pub(super) const MAX_GROUPS: usize = 16;

/// The maximum length of a pattern, in bytes. The longest shipped one has 400.
const LONGEST: usize = 4096;

/// The maximum memory of a compiled pattern, in bytes.
const SIZE_LIMIT: usize = 1024 * 1024;

/// A compiled pattern. `.` is any byte, and `\d`, `\w`, `\s` are ASCII, because lines need not be
/// UTF-8.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    hir: Hir,
    program: Option<LiteralMatcher>,
}

/// The progress of a failed match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    /// The number of matched parts, and of all parts.
    pub(super) parts: (usize, usize),
    /// The end of the matched part of the line.
    pub(super) end: usize,
    /// The first part that did not match, as a pattern.
    pub(super) wanted: String,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// The message of the regex crate, or about a limit.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        let regex = builder(text).build().map_err(|error| error.to_string())?;
        if regex.captures_len() > MAX_GROUPS {
            return Err(format!("has more than {} groups", MAX_GROUPS - 1));
        }
        let hir = ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .dot_matches_new_line(true)
            .build()
            .parse(text)
            .map_err(|error| error.to_string())?;
        let program = LiteralMatcher::of(&hir, MAX_GROUPS);
        Ok(Self { regex, hir, program })
    }

    /// Whether the pattern has a literal matcher.
    pub(super) fn is_literal(&self) -> bool {
        self.program.is_some()
    }

    /// The names of the groups, by index.
    pub(super) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.regex.capture_names().enumerate().filter_map(|(at, name)| name.map(|name| (at, name)))
    }

    /// The spans of the groups of the first match in `text`; `None` without a match.
    pub(super) fn find(&self, text: &[u8]) -> Option<[Span; MAX_GROUPS]> {
        let mut spans = [None; MAX_GROUPS];
        let way = self
            .program
            .as_ref()
            .map_or(MatchResult::Undecided, |program| program.run(text, &mut spans));
        match way {
            MatchResult::Match => Some(spans),
            MatchResult::NoMatch => None,
            MatchResult::Undecided => self.find_by_regex(text),
        }
    }

    /// The same with the regular expression only.
    pub(super) fn find_by_regex(&self, text: &[u8]) -> Option<[Span; MAX_GROUPS]> {
        let mut locations = self.regex.capture_locations();
        self.regex.captures_read(&mut locations, text)?;
        let mut spans = [None; MAX_GROUPS];
        for (group, span) in spans.iter_mut().enumerate().take(locations.len()).skip(1) {
            *span = locations.get(group);
        }
        Some(spans)
    }

    /// The progress of the pattern in `text`. It compiles one pattern per part: for template
    /// authors, not for received lines.
    pub(super) fn progress(&self, text: &[u8]) -> Progress {
        let parts = parts(&self.hir);
        for count in (0..parts.len()).rev() {
            let front = Hir::concat(parts[..count].iter().map(|part| (*part).clone()).collect());
            let found = builder(&front.to_string()).build().ok();
            if let Some(found) = found.as_ref().and_then(|regex| regex.find(text)) {
                let end = if count == 0 { 0 } else { found.end() };
                let wanted = wanted(&parts[count..]);
                return Progress { parts: (count, parts.len()), end, wanted };
            }
        }
        Progress { parts: (0, parts.len()), end: 0, wanted: wanted(&parts) }
    }
}

fn builder(text: &str) -> RegexBuilder {
    let mut builder = RegexBuilder::new(text);
    builder.unicode(false).dot_matches_new_line(true).size_limit(SIZE_LIMIT);
    builder
}

fn parts(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().collect(),
        _ => vec![hir],
    }
}

/// A literal as text, anything else as a pattern.
fn wanted(parts: &[&Hir]) -> String {
    let text: Cow<'_, str> = match parts.first().map(|part| part.kind()) {
        Some(HirKind::Literal(literal)) => String::from_utf8_lossy(&literal.0),
        Some(_) => Cow::Owned(parts[0].to_string()),
        None => Cow::Borrowed(""),
    };
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(pattern: &str, text: &[u8]) -> bool {
        let pattern = Pattern::new(pattern).unwrap();
        assert_eq!(pattern.find(text), pattern.find_by_regex(text));
        pattern.is_literal()
    }

    #[test]
    fn literal_patterns_use_the_literal_matcher() {
        for (pattern, straight) in [
            (r"VPN (?<vpn>.*?) from (?<peer>[^ ]+) is up\.", true),
            (r"^user=(?<user>[^,]*), ip=(?<ip>[0-9.]+)$", true),
            (r"a(?<x>.+?)$", true),
            (r"a(?<x>\d{3})b", true),
            (r"a(?<x>[^b]*)", true),
            (r"[ab]c", false),
            (r"a(?:b|cd)e", false),
            (r"a\bb", false),
            (r"a(?<x>.*)b", false),
            (r"a(?<x>.*?)(?<y>[ab]*)", false),
        ] {
            assert_eq!(both(pattern, b"VPN a from b is up."), straight, "{pattern}");
        }
    }

    #[test]
    fn backtracking_is_left_to_the_regular_expression() {
        let pattern = Pattern::new(r"a(?<x>.*?)b(?<y>[0-9]+)c").unwrap();
        assert!(pattern.is_literal());
        let text = b"a--b-a-bx-b12c";
        let way = pattern.program.as_ref().unwrap().run(text, &mut [None; MAX_GROUPS]);
        assert_eq!(way, MatchResult::Undecided);
        assert_eq!(pattern.find(text).unwrap()[2], Some((11, 13)));
    }

    #[test]
    fn limits_are_reported() {
        assert!(Pattern::new(&"a".repeat(5000)).unwrap_err().contains("longer"));
        assert!(Pattern::new(&"(a)".repeat(30)).unwrap_err().contains("groups"));
        assert!(Pattern::new("(?:[a-z]{1000}){1000}").unwrap_err().contains("size"));
        assert!(Pattern::new("(").is_err());
    }

    #[test]
    fn progress_is_the_end_of_the_match() {
        let pattern = Pattern::new(r"VPN (?<vpn>[^ ]+) from .*? is up\.").unwrap();
        let progress = pattern.progress(b"x VPN a from b is down.");
        assert_eq!((progress.end, &*progress.wanted), (13, " is up."));
    }

    /// Parts of patterns that the literal matcher supports, and some that it does not.
    fn piece() -> impl Strategy<Value = String> {
        let class = prop_oneof![
            Just("."),
            Just("[^,]"),
            Just("[^ab]"),
            Just("[0-9]"),
            Just("[a-c]"),
            Just("a")
        ];
        let count = prop_oneof![
            Just(""),
            Just("*"),
            Just("+"),
            Just("*?"),
            Just("+?"),
            Just("{2}"),
            Just("{1,2}"),
            Just("{2,}?"),
            Just("?"),
        ];
        prop_oneof![
            "[abc,1 ]{1,3}",
            (class, count).prop_map(|(class, count)| format!("{class}{count}")),
        ]
    }

    fn pattern() -> impl Strategy<Value = String> {
        let group = prop_oneof![piece().prop_map(|p| format!("({p})")), piece()];
        (
            prop_oneof![Just("^"), Just("a"), Just("")],
            proptest::collection::vec(group, 1..6),
            prop_oneof![Just("$"), Just(","), Just("")],
        )
            .prop_map(|(start, groups, end)| format!("{start}{}{end}", groups.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn literal_matcher_equals_the_regular_expression(
            pattern in pattern(),
            texts in proptest::collection::vec("[abc,1 x]{0,24}", 8),
        ) {
            let pattern = Pattern::new(&pattern).unwrap();
            for text in texts {
                prop_assert_eq!(
                    pattern.find(text.as_bytes()), pattern.find_by_regex(text.as_bytes()),
                    "{:?}", text
                );
                pattern.progress(text.as_bytes());
            }
        }
    }
}
