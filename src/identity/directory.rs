//! What directories say of users, devices and groups: who somebody is, whatever the spelling, and
//! which groups they belong to, nested ones included.
//!
//! ```text
//! Update ──► Entering::go_on ──► Affected ──► Consequences::next ──► Event (Membership, Logout)
//! Image  ──────────┘                                  ▲
//! Event  ──► Directory::enter          Change ──► Whereabouts
//! RosterDraft ──► bytes ──► Roster::missed ──► Affected, at the next start
//! ```

mod affected;
mod book;
mod climbing;
mod consequences;
mod domains;
mod entering;
mod group_filter;
mod group_set;
mod image;
mod index;
mod interner;
mod naming;
mod nodes;
mod object;
mod postponing;
#[cfg(test)]
mod properties;
mod questions;
mod roster;
mod settling;
mod sid;
#[cfg(test)]
mod slices;
#[cfg(test)]
mod tests;
mod whereabouts;

pub use affected::{Affected, Altered, Difference, Differences, Names};
pub use book::Directory;
pub use consequences::{Consequences, Gone, Known, Proposal, WhenGone};
pub use domains::{BareNames, NetbiosNames, UnknownDomain};
pub use entering::Entering;
pub use group_filter::{BadBase, Base, GroupFilter, Selected};
pub use group_set::{Group, GroupSet, Membership, Watch};
pub use image::Image;
pub use naming::Resolved;
pub use object::{Account, AccountKind, DomainNames, Guid, Member, Object, State, Update};
pub use postponing::Postponed;
pub use questions::{Counts, Listing, Profile, Wanted};
pub use roster::{BadRoster, Roster, RosterDraft, RosterPart};
pub use sid::{BadSid, Sid};
pub use whereabouts::Whereabouts;
