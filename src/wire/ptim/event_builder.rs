//! Builds an event from the fields of one entry, then validates it.

use rollcall_identity::{
    Address, Event, Kind, Membership, Name, Posture, Precision, Principal, Proof, Timestamp,
};

use super::error::{PtimError, PtimErrorKind, PtimField};
use super::{MissingTime, PtimContext, vocabulary};
use crate::http::timestamp;

/// The fields of one entry so far.
#[derive(Debug, Clone, Default)]
pub(super) struct EventBuilder {
    kind: Option<Kind>,
    addresses: Vec<Address>,
    user: Option<String>,
    domain: Option<Name>,
    device: Option<Name>,
    roles: Option<Vec<Name>>,
    posture: Option<Posture>,
    at: Option<(Timestamp, Precision)>,
    /// A state that is not a kind of event.
    unknown_state: bool,
    /// The kind found in a member with an unknown name.
    hint: Option<Kind>,
}

impl EventBuilder {
    /// The maximum number of addresses of an entry: a VPN client has one of each family.
    const ADDRESSES: usize = 8;
    /// The maximum number of groups of an entry. Windows allows 1,015 per logon.
    const ROLES: usize = 1024;

    /// Adds a field as written by a firewall. Empty text is ignored.
    ///
    /// # Errors
    /// The text is invalid, or contradicts an earlier value.
    pub(super) fn set(&mut self, field: PtimField, text: &str) -> Result<(), PtimError> {
        let text = text.trim();
        if text.len() > PtimErrorKind::TEXT {
            return Err(PtimErrorKind::TooLong.of(field));
        }
        if text.is_empty() {
            return Ok(());
        }
        match field {
            PtimField::Address => self.address(text),
            // Junos writes `Not-applicable` for a tunnel without a user.
            PtimField::User if text.eq_ignore_ascii_case("not-applicable") => Ok(()),
            PtimField::User => set_once(&mut self.user, text.to_owned(), field),
            PtimField::Domain => set_once(&mut self.domain, name(text, field)?.folded(), field),
            PtimField::State => self.state(text),
            PtimField::Status if vocabulary::kind(text).is_some() => self.state(text),
            PtimField::Status if vocabulary::succeeded(text) => Ok(()),
            PtimField::Status => Err(PtimErrorKind::NotSuccess.of(field)),
            PtimField::Device => {
                let device = text.trim_end_matches('$');
                set_once(&mut self.device, name(device, field)?, field)
            }
            PtimField::Role => self.role(text),
            PtimField::Posture => set_once(&mut self.posture, vocabulary::posture(text), field),
            PtimField::Time => {
                let at = timestamp::read(text).ok_or(PtimErrorKind::Time.of(field))?;
                set_once(&mut self.at, at, field)
            }
        }
    }

    /// Adds the text of a member with an unknown name. It is used when it is a state and no known
    /// member has one: `"vpn-phase":"down"` must not be read as a login.
    ///
    /// # Errors
    /// Two such members have different states.
    pub(super) fn hint(&mut self, text: &str) -> Result<(), PtimError> {
        match vocabulary::kind(text) {
            Some(kind) => set_once(&mut self.hint, kind, PtimField::State),
            None => Ok(()),
        }
    }

    /// Sets the kind of event.
    pub(super) fn kind(&mut self, kind: Kind) {
        self.kind = Some(kind);
    }

    /// Sets the device state.
    pub(super) fn posture(&mut self, posture: Posture) {
        self.posture = Some(posture);
    }

    /// Whether a state was given.
    pub(super) fn has_state(&self) -> bool {
        self.kind.or(self.hint).is_some() || self.unknown_state
    }

    /// Records that a list of groups was given, even if it is empty.
    pub(super) fn mark_roles_listed(&mut self) {
        self.roles.get_or_insert_default();
    }

    fn address(&mut self, text: &str) -> Result<(), PtimError> {
        let address = text.parse().map_err(|_| PtimErrorKind::Address.of(PtimField::Address))?;
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
        if self.addresses.len() > Self::ADDRESSES {
            return Err(PtimErrorKind::TooMany.of(PtimField::Address));
        }
        Ok(())
    }

    fn role(&mut self, text: &str) -> Result<(), PtimError> {
        let roles = self.roles.get_or_insert_default();
        if roles.len() == Self::ROLES {
            return Err(PtimErrorKind::TooMany.of(PtimField::Role));
        }
        roles.push(name(text, PtimField::Role)?);
        Ok(())
    }

    /// Several members may have a state, such as `"event":"IKE_VPN_UP_ALARM_USER"` next to
    /// `"type":"vpn"`. A rekey is sent as an up, so both together are a rekey.
    fn state(&mut self, text: &str) -> Result<(), PtimError> {
        let Some(kind) = vocabulary::kind(text) else {
            self.unknown_state = true;
            let word = text.to_ascii_lowercase();
            let failed = ["fail", "den", "reject", "invalid"].iter().any(|bad| word.contains(bad));
            return if failed {
                Err(PtimErrorKind::NotSuccess.of(PtimField::State))
            } else {
                Ok(())
            };
        };
        self.kind = Some(match (self.kind, kind) {
            (None, kind) => kind,
            (Some(first), second) if first == second => first,
            (Some(Kind::VpnUp), Kind::Rekey) | (Some(Kind::Rekey), Kind::VpnUp) => Kind::Rekey,
            _ => return Err(PtimErrorKind::Duplicate.of(PtimField::State)),
        });
        Ok(())
    }

    /// Creates one event per address.
    ///
    /// # Errors
    /// A field that this kind of event needs is missing.
    pub(super) fn finish(
        self,
        received: PtimContext<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), PtimError> {
        let kind = match self.kind.or(self.hint) {
            Some(kind) => kind,
            None if self.unknown_state => return Err(PtimErrorKind::Kind.of(PtimField::State)),
            None => Kind::Login,
        };
        if self.addresses.is_empty() {
            return Err(PtimErrorKind::Missing.of(PtimField::Address));
        }
        let domain = self.domain.as_ref().or(received.domain);
        let principal = self.user.map(|user| Principal::parse(&user, domain)).transpose();
        let principal = principal.map_err(|_| PtimErrorKind::Name.of(PtimField::User))?;
        match (kind, &principal, &self.device) {
            (Kind::DeviceSeen, _, None) => return Err(PtimErrorKind::Missing.of(PtimField::Device)),
            // A login of a device alone is the null user of the SRX.
            (Kind::DeviceSeen | Kind::Login, _, Some(_)) | (_, Some(_), _) => {}
            // A tunnel without a user: the event applies to the current user of the address,
            // because a firewall that only knows the tunnel must be able to report its end.
            (Kind::VpnDown | Kind::Rekey, None, _) => {}
            _ => return Err(PtimErrorKind::Missing.of(PtimField::User)),
        }
        let (at, precision) = match (self.at, received.untimed) {
            (Some(time), _) => time,
            (None, MissingTime::UseArrival) => (received.seen, Precision::Millisecond),
            (None, MissingTime::Reject) => return Err(PtimErrorKind::Untimed.of(PtimField::Time)),
        };
        let roles = self.roles.map(std::sync::Arc::from);
        events.extend(self.addresses.into_iter().map(|address| Event {
            kind,
            address,
            principal: principal.clone(),
            device: self.device.clone(),
            roles: roles.clone(),
            membership: Membership::default(),
            renamed_from: None,
            sid: None,
            proof: Proof::default(),
            posture: self.posture,
            at,
            precision,
            seen: received.seen,
            origin: received.origin.clone(),
        }));
        Ok(())
    }
}

fn name(text: &str, field: PtimField) -> Result<Name, PtimError> {
    Name::new(text).map_err(|_| PtimErrorKind::Name.of(field))
}

/// Sets a value once, or to the same value again. Two users in one entry are a sign of injection by
/// a sender that does not escape.
fn set_once<T: PartialEq>(
    slot: &mut Option<T>,
    value: T,
    field: PtimField,
) -> Result<(), PtimError> {
    match slot {
        Some(first) if *first != value => Err(PtimErrorKind::Duplicate.of(field)),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}
