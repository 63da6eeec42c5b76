//! What directories say of users, devices and groups: who somebody is, whatever the spelling, and
//! which groups they belong to, nested ones included.

mod group_set;
mod object;
mod sid;

pub use group_set::{Group, GroupSet, Membership};
pub use object::{Account, AccountKind, DomainNames, Guid, Member, Object, State, Update};
pub use sid::{BadSid, Sid};
