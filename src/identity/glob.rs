//! Patterns over the names of users, domains and groups.

use std::borrow::Cow;

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use crate::Principal;

/// A case-insensitive pattern with `*`, `?`, `[abc]` and `{a,b}` that must match the whole name.
#[derive(Debug, Clone)]
pub struct Glob(GlobMatcher);

impl Glob {
    /// The maximum length of a pattern in bytes: that of `user@domain`.
    pub const MAX_LENGTH: usize = 513;

    /// The maximum nesting of alternations. They are compiled recursively.
    pub const MAX_DEPTH: usize = 8;

    /// Compiles `pattern`.
    ///
    /// # Errors
    /// If the pattern is invalid, or exceeds a limit. Patterns arrive over REST, too.
    pub fn new(pattern: &str) -> Result<Self, BadGlob> {
        if pattern.len() > Self::MAX_LENGTH {
            return Err(BadGlob::Long);
        }
        if depth(pattern) > Self::MAX_DEPTH {
            return Err(BadGlob::Deep);
        }
        // Both sides are converted to lower case: case-insensitive matching is ten times slower.
        let glob = GlobBuilder::new(&pattern.to_lowercase())
            .literal_separator(false)
            .backslash_escape(false)
            .build()?;
        // A pattern can be too large to compile. A set reports this; a single pattern panics.
        GlobSetBuilder::new().add(glob.clone()).build()?;
        Ok(Self(glob.compile_matcher()))
    }

    /// Whether the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(folded(name).as_ref())
    }

    /// Whether `user@domain` can match although the user alone does not. A literal pattern or a
    /// prefix such as `svc-*` cannot.
    fn spans_domain(&self) -> bool {
        let pattern = self.0.glob().glob();
        let beginning = pattern.strip_suffix('*').unwrap_or(pattern);
        beginning.is_empty() || beginning.contains(['@', '*', '?', '[', '{'])
    }
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// The syntax is invalid, or the pattern is too large to compile.
    #[error(transparent)]
    Invalid(#[from] globset::Error),
    /// The text has more than [`Glob::MAX_LENGTH`] bytes.
    #[error("pattern is longer than {} bytes", Glob::MAX_LENGTH)]
    Long,
    /// Alternations are nested deeper than [`Glob::MAX_DEPTH`].
    #[error("alternations are nested deeper than {} levels", Glob::MAX_DEPTH)]
    Deep,
}

/// The deepest nesting of `{`.
fn depth(pattern: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in pattern.bytes() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// `name` in lower case, borrowed if it already is.
fn folded(name: &str) -> Cow<'_, str> {
    let plain = name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if plain { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

impl PartialEq for Glob {
    /// Patterns are equal if their text is equal, ignoring case.
    fn eq(&self, other: &Self) -> bool {
        self.0.glob() == other.0.glob()
    }
}

impl Eq for Glob {}

impl std::fmt::Display for Glob {
    /// The pattern, in lower case.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.glob().glob().fmt(f)
    }
}

/// Many patterns over users, matched together: every event is checked against them.
#[derive(Debug, Clone, Default)]
pub struct Globs {
    all: Vec<Glob>,
    /// The patterns over the user, and those that `user@domain` can match although the user alone
    /// does not. `None` if together they are too large to compile: each is then matched by itself.
    sets: Option<[GlobSet; 2]>,
}

impl Globs {
    /// The patterns, in their original order.
    pub fn as_slice(&self) -> &[Glob] {
        &self.all
    }

    /// Whether the user, or `user@domain`, matches a pattern.
    pub fn match_principal(&self, principal: &Principal) -> bool {
        let Some([users, spanning]) = &self.sets else {
            let full = principal.to_string();
            let matches =
                |glob: &Glob| glob.matches(principal.user.as_str()) || glob.matches(&full);
            return self.all.iter().any(matches);
        };
        !users.is_empty() && users.is_match(principal.user.as_str())
            || !spanning.is_empty() && spanning.is_match(principal.to_string())
    }
}

impl FromIterator<Glob> for Globs {
    fn from_iter<I: IntoIterator<Item = Glob>>(globs: I) -> Self {
        let all: Vec<Glob> = globs.into_iter().collect();
        let set = |wanted: &dyn Fn(&Glob) -> bool| {
            let mut set = GlobSetBuilder::new();
            for glob in all.iter().filter(|glob| wanted(glob)) {
                set.add(glob.0.glob().clone());
            }
            set.build().ok()
        };
        let sets = set(&|_| true).zip(set(&Glob::spans_domain)).map(|(one, other)| [one, other]);
        Self { all, sets }
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

impl Eq for Globs {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_the_whole_name_in_any_case() {
        let glob = Glob::new("svc-*").unwrap();
        assert!(glob.matches("SVC-backup"));
        assert!(!glob.matches("not-svc-backup"));
        assert!(Glob::new("{alice,bob}").unwrap().matches("bob"));
        assert!(Glob::new("[").is_err());
    }

    #[test]
    fn a_pattern_is_bounded_in_length_and_depth() {
        assert_eq!(Glob::new(&"{a,".repeat(100)).unwrap_err(), BadGlob::Deep);
        assert_eq!(Glob::new(&"{a,".repeat(300)).unwrap_err(), BadGlob::Long);
        let nested = |depth: usize| format!("{}b{}", "{a,".repeat(depth), "}".repeat(depth));
        assert!(Glob::new(&nested(Glob::MAX_DEPTH)).unwrap().matches("b"));
        assert_eq!(Glob::new(&nested(Glob::MAX_DEPTH + 1)).unwrap_err(), BadGlob::Deep);
        assert!(Glob::new(&"*".repeat(Glob::MAX_LENGTH)).unwrap().matches("anything"));
        let classes = "[\u{0}-\u{10ffff}]".repeat(60);
        assert!(Glob::new(&classes[..0]).unwrap().matches(""));
        drop(Glob::new(&classes));
    }

    #[test]
    fn patterns_that_cannot_be_compiled_together_match_one_by_one() {
        let globs: Vec<Glob> = ["svc-*", "*@lab.test"].map(|p| Glob::new(p).unwrap()).into();
        let many = Globs { all: globs.clone(), sets: None };
        for user in ["svc-db", "alice@lab.test", "bob@corp"] {
            let principal = Principal::parse(user, None).unwrap();
            let together: Globs = globs.iter().cloned().collect();
            assert_eq!(many.match_principal(&principal), together.match_principal(&principal));
        }
    }

    #[test]
    fn a_glob_set_matches_like_its_globs() {
        let patterns = ["svc-*", "*@lab.test", "SYSTEM", "*.corp", "a?c", "{x,y}", "dwm-*"];
        let globs: Vec<Glob> = patterns.iter().map(|p| Glob::new(p).unwrap()).collect();
        let many: Globs = globs.iter().cloned().collect();
        let users = ["svc-db", "alice@lab.test", "system@corp", "bob@ad.corp", "abc", "abc@corp"];
        for user in users.iter().chain(&["x", "z", "dwm-1@corp", "dwm", "alice", "systemd"]) {
            let principal = Principal::parse(user, None).unwrap();
            let (user, full) = (principal.user.as_str(), principal.to_string());
            let each = globs.iter().any(|glob| glob.matches(user) || glob.matches(&full));
            assert_eq!(many.match_principal(&principal), each, "{full}");
        }
    }
}
