//! Which groups an enforcement point is told of, in which order, and how many at most.

use hashbrown::HashSet;

use super::{Group, GroupSet};
use crate::{Glob, Name};

/// The place in a directory below which groups are chosen, such as `OU=VPN,DC=example,DC=com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base(String);

/// Why something is not a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a distinguished name: each part between commas must be of the form OU=name")]
pub struct BadBase;

impl Base {
    /// Reads a distinguished name (RFC 4514). White space around its parts does not matter.
    ///
    /// # Errors
    /// When a part has no name or no value.
    pub fn new(text: &str) -> Result<Self, BadBase> {
        let mut parts = Vec::new();
        for part in split_unescaped(text) {
            let (kind, value) = part.split_once('=').ok_or(BadBase)?;
            let (kind, value) = (kind.trim(), value.trim());
            if kind.is_empty() || value.is_empty() {
                return Err(BadBase);
            }
            parts.push(format!("{kind}={value}").to_lowercase());
        }
        Ok(Self(parts.join(",")))
    }

    /// Whether an object with this name lies below, as a directory writes it: without white space
    /// between its parts.
    pub fn holds(&self, dn: &str) -> bool {
        let Some(at) = dn.len().checked_sub(self.0.len()).filter(|at| dn.is_char_boundary(*at))
        else {
            return self.holds_folded(dn);
        };
        let (front, end) = dn.split_at(at);
        is_cut(front) && end.eq_ignore_ascii_case(&self.0) || self.holds_folded(dn)
    }

    /// The same for letters whose lower case may be of another length.
    fn holds_folded(&self, dn: &str) -> bool {
        !dn.is_ascii() && dn.to_lowercase().strip_suffix(&self.0).is_some_and(is_cut)
    }
}

/// Whether a name may end behind `front`: at nothing, or at a comma that is not escaped.
fn is_cut(front: &str) -> bool {
    let Some(front) = front.strip_suffix(',') else { return front.is_empty() };
    let escapes = front.len() - front.trim_end_matches('\\').len();
    escapes.is_multiple_of(2)
}

/// The parts of `text` between commas that no backslash escapes.
fn split_unescaped(text: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut escaped) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        if letter == ',' && !escaped {
            parts.push(&text[begin..at]);
            begin = at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(&text[begin..]);
    parts
}

/// Which groups go out. A group does when its name matches one of `names`, or when it lies below
/// one of `bases`; when both are empty, every group does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFilter {
    /// Globs over names. Groups that match go out first, in the order of the globs.
    pub names: Vec<Glob>,
    /// Places in the directory.
    pub bases: Vec<Base>,
    /// How many names go out at most.
    pub limit: usize,
}

/// What goes out of the groups of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selected {
    /// The names, each once: those that match a glob in the order of the globs, then the others;
    /// within that in the order of names.
    pub names: Vec<Name>,
    /// How many more there are, for which there was no room.
    pub left_out: usize,
}

impl Default for GroupFilter {
    /// Every group, and 200 at most: an SRX takes no more for one user.
    fn default() -> Self {
        Self { names: Vec::new(), bases: Vec::new(), limit: 200 }
    }
}

impl GroupFilter {
    /// What goes out of `groups`. Groups of two domains that have one name are one role to a
    /// firewall, and go out once.
    pub fn select(&self, groups: &GroupSet) -> Selected {
        let ranked = groups.as_slice().iter().filter_map(|group| Some((self.rank(group)?, group)));
        let mut ranked: Vec<_> = ranked.collect();
        // Stable: the set is in the order of names already.
        ranked.sort_by_key(|(rank, _)| *rank);
        let mut seen = HashSet::new();
        let mut names: Vec<_> = ranked
            .into_iter()
            .filter(|(_, group)| seen.insert(group.name.clone().folded()))
            .map(|(_, group)| group.name.clone())
            .collect();
        let left_out = names.len().saturating_sub(self.limit);
        names.truncate(self.limit);
        Selected { names, left_out }
    }

    /// Where a group stands among those that go out; `None` when it does not.
    fn rank(&self, group: &Group) -> Option<usize> {
        let named = self.names.iter().position(|glob| glob.matches(group.name.as_str()));
        let all = self.names.is_empty() && self.bases.is_empty();
        let below = || all || self.bases.iter().any(|base| base.holds(&group.dn));
        named.or_else(|| below().then_some(self.names.len()))
    }
}
