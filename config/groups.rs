//! Which groups of the directory go out to a firewall, as it is written beside it.

use rollcall_identity::directory::GroupFilter;

use crate::section::Section;

/// Reads a `groups` section.
pub(crate) fn read(section: &Section<'_>) -> GroupFilter {
    let default = GroupFilter::default();
    GroupFilter {
        names: section.list("names").unwrap_or_default(),
        bases: section.list("bases").unwrap_or_default(),
        limit: section.within("limit", default.limit, 0..=1000),
    }
}
