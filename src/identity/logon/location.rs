//! The location in a record: an address that can be a user's, or a named host.

use std::sync::Arc;

use super::event_rules::AddressField;
use super::fields::field_text;
use super::logon_account::{LogonAccount, host};
use super::{IgnoreReason, LogRecord, LogonSettings};
use crate::{Address, Event, Kind, Membership, Name, Origin, Precision, Proof, Timestamp};

/// A user or device that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    /// The kind of event.
    pub(super) kind: Kind,
    /// The account.
    pub(super) account: LogonAccount,
    /// How strong the proof is.
    pub(super) proof: Proof,
}

/// Where a user or device was seen.
#[derive(Debug)]
pub(super) enum Location {
    /// At this address.
    At(Address, Observation),
    /// At the host of this name.
    Host(Name, Observation),
}

/// A logon at a host of which only the name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnresolvedLogon {
    /// The NetBIOS name of the host, as the client sent it.
    pub host: Name,
    pub(super) observation: Observation,
    pub(super) at: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) origin: Arc<Origin>,
}

impl Observation {
    /// The event. A user's event names no device: clients choose the host name that they send, and
    /// a device's groups would grant rights. Devices are known by the logons of their own accounts.
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

/// The location that the field `place` names.
pub(super) fn find(
    record: &LogRecord<'_>,
    address_field: AddressField,
    observation: Observation,
    settings: &LogonSettings,
) -> Result<Location, IgnoreReason> {
    match address_field {
        AddressField::Address(field) => {
            let text = field_text(record, field).ok_or(IgnoreReason::NoAddress)?;
            // A session host writes `LOCAL` for its own console.
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

/// Checks that a user can be at `address`.
pub(super) fn check_usable(address: Address, settings: &LogonSettings) -> Result<(), IgnoreReason> {
    address.usable().map_err(|_| IgnoreReason::Unusable)?;
    let ip = address.ip();
    let is_server = settings.servers.iter().any(|network| network.contains(&ip));
    if is_server { Err(IgnoreReason::Server) } else { Ok(()) }
}
