//! Where a record says that somebody is: at an address that can be a person's, or at a named host.

use std::sync::Arc;

use super::event_rules::AddressField;
use super::fields::field_text;
use super::logon_account::{LogonAccount, host};
use super::{IgnoreReason, LogRecord, LogonSettings};
use crate::{Address, Event, Kind, Membership, Name, Origin, Precision, Proof, Timestamp};

/// Somebody who was seen somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    /// What happened.
    pub(super) kind: Kind,
    /// Who it was.
    pub(super) account: LogonAccount,
    /// How well it is proven.
    pub(super) proof: Proof,
}

/// Where.
#[derive(Debug)]
pub(super) enum Location {
    /// At this address.
    At(Address, Observation),
    /// At the host of this name.
    Host(Name, Observation),
}

/// Somebody at a host of which only the name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedLogon {
    /// The NetBIOS name of the host, as the client gave it.
    pub host: Name,
    pub(super) observation: Observation,
    pub(super) at: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) origin: Arc<Origin>,
}

impl Observation {
    /// The event that says so. A user's event names no device: the host name that clients give is
    /// their own choice, and a device has groups, which would be rights for the asking. Devices are
    /// known by the logons of their own accounts.
    pub(super) fn event(
        self,
        address: Address,
        (at, seen): (Timestamp, Timestamp),
        origin: Arc<Origin>,
    ) -> Event {
        let LogonAccount { principal, device, sid } = self.account;
        Event {
            kind: self.kind,
            address,
            principal: Some(principal),
            device,
            roles: None,
            membership: Membership::default(),
            renamed_from: None,
            sid,
            proof: self.proof,
            posture: None,
            at,
            precision: Precision::Millisecond,
            seen,
            origin,
        }
    }
}

/// Where `place` says that somebody is.
pub(super) fn find(
    record: &LogRecord<'_>,
    place: AddressField,
    observation: Observation,
    settings: &LogonSettings,
) -> Result<Location, IgnoreReason> {
    match place {
        AddressField::Address(field) => {
            let text = field_text(record, field).ok_or(IgnoreReason::NoAddress)?;
            // So a session host writes its own console.
            if text.eq_ignore_ascii_case("LOCAL") {
                return Err(IgnoreReason::NoAddress);
            }
            let address = text.parse().map_err(|_| IgnoreReason::BadAddress)?;
            check_usable(address, settings)?;
            Ok(Location::At(address, observation))
        }
        AddressField::Host(field) => {
            let text = field_text(record, field).ok_or(IgnoreReason::NoAddress)?;
            let name =
                Name::new(text.trim_start_matches('\\')).map_err(|_| IgnoreReason::BadName)?;
            if host(name.as_str()).eq_ignore_ascii_case(host(record.computer)) {
                return Err(IgnoreReason::Server);
            }
            Ok(Location::Host(name, observation))
        }
        AddressField::Logon(_) => Err(IgnoreReason::UnknownLogon),
    }
}

/// Whether a person can be at `address`.
pub(super) fn check_usable(address: Address, settings: &LogonSettings) -> Result<(), IgnoreReason> {
    address.usable().map_err(|_| IgnoreReason::Unusable)?;
    let ip = address.ip();
    let is_server = settings.servers.iter().any(|network| network.contains(&ip));
    if is_server { Err(IgnoreReason::Server) } else { Ok(()) }
}
