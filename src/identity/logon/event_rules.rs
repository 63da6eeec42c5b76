//! The table of event rules: what each event of the security log means, by which fields, with
//! sources.

use super::guards::Guard;
use super::logon_account::AccountFields;
use crate::Proof;

/// The rule for one event ID. Sources are page titles of Microsoft Learn, such as `Event 4624` in
/// "Advanced security audit policy"; fields are those of the provider's manifest.
#[derive(Debug)]
pub(super) struct EventRule {
    /// EventID.
    pub(super) id: u16,
    /// What the event means.
    pub(super) meaning: Meaning,
    /// The fields that name the account.
    pub(super) account: AccountFields,
    /// The field that identifies the address.
    pub(super) address: AddressField,
    /// How strongly the event proves that the user is at the address.
    pub(super) proof: Proof,
    /// Additional conditions, in order.
    pub(super) guards: &'static [Guard],
    /// The page title, and why the event is read this way.
    pub(super) source: &'static str,
}

/// What an event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A user logged on.
    Logon,
    /// A user who logged on before is still present.
    StillPresent,
    /// A user logged off.
    Logoff,
    /// The server started, so its logon IDs start again.
    Startup,
}

/// The field that identifies the address.
#[derive(Debug, Clone, Copy)]
pub(super) enum AddressField {
    /// This field, as an IP address.
    Address(&'static str),
    /// This field, as the NetBIOS name of a host.
    Host(&'static str),
    /// This field, as the ID of an earlier logon.
    Logon(&'static str),
}

/// The account of a new logon.
const LOGON: AccountFields = AccountFields {
    sid: Some("TargetUserSid"),
    user: "TargetUserName",
    domain: Some("TargetDomainName"),
};

/// The account of a TGT request, the only Kerberos event that contains a SID.
const TICKET: AccountFields = AccountFields { sid: Some("TargetSid"), ..LOGON };

/// The account of a later ticket, as `user@REALM`.
const TICKET_HOLDER: AccountFields = AccountFields { sid: None, ..LOGON };

/// The account of a remote desktop session.
const DESKTOP: AccountFields =
    AccountFields { sid: None, user: "AccountName", domain: Some("AccountDomain") };

/// All event rules.
pub(super) const EVENT_RULES: &[EventRule] = &[
    EventRule {
        id: 4768,
        meaning: Meaning::Logon,
        account: TICKET,
        address: AddressField::Address("IpAddress"),
        proof: Proof::Logon,
        guards: &[Guard::Succeeded, Guard::PreAuthenticated],
        source: "Event 4768, a TGT was requested: a computer requests one when a user logs on \
                 to it. The same event reports failures, by its Status",
    },
    EventRule {
        id: 4770,
        meaning: Meaning::StillPresent,
        account: TICKET_HOLDER,
        address: AddressField::Address("IpAddress"),
        proof: Proof::Ticket,
        guards: &[],
        source: "Event 4770, a TGT was renewed: by the computer that holds it. It has no \
                 Status and is written for successes only",
    },
    EventRule {
        id: 4769,
        meaning: Meaning::StillPresent,
        account: TICKET_HOLDER,
        address: AddressField::Address("IpAddress"),
        proof: Proof::Ticket,
        guards: &[Guard::Succeeded, Guard::NotDelegated, Guard::NotSelfTicket],
        source: "Event 4769, a service ticket was requested: with an existing TGT, so it \
                 begins no session. It has no SID, and a forged TGT can contain any name",
    },
    EventRule {
        id: 4624,
        meaning: Meaning::Logon,
        account: LOGON,
        address: AddressField::Address("IpAddress"),
        proof: Proof::Connection,
        guards: &[Guard::LogonType, Guard::NotDelegated],
        source: "Event 4624, an account was logged on: to this server, so its source address \
                 is the user's computer. Which logon types are read depends on the server's \
                 role",
    },
    EventRule {
        id: 4634,
        meaning: Meaning::Logoff,
        account: LOGON,
        address: AddressField::Logon("TargetLogonId"),
        proof: Proof::Connection,
        guards: &[Guard::Interactive],
        source: "Event 4634, an account was logged off: it has no address. A logoff of type 3 \
                 is the end of a connection, usually within a second, not of a session",
    },
    EventRule {
        id: 4647,
        meaning: Meaning::Logoff,
        account: LOGON,
        address: AddressField::Logon("TargetLogonId"),
        proof: Proof::Connection,
        guards: &[],
        source: "Event 4647, user initiated logoff: of interactive and remote desktop logons \
                 only",
    },
    EventRule {
        id: 4776,
        meaning: Meaning::Logon,
        account: AccountFields { sid: None, user: "TargetUserName", domain: None },
        address: AddressField::Host("Workstation"),
        proof: Proof::HostName,
        guards: &[Guard::Succeeded],
        source: "Event 4776, the computer attempted to validate the credentials for an \
                 account: by NTLM, where the client chooses its host name; the name is looked \
                 up among computers whose own accounts were seen recently",
    },
    EventRule {
        id: 4778,
        meaning: Meaning::Logon,
        account: DESKTOP,
        address: AddressField::Address("ClientAddress"),
        proof: Proof::Connection,
        guards: &[],
        source: "Event 4778, a session was reconnected to a Window Station: the address is \
                 that of the remote desktop client, where another user may be logged on",
    },
    EventRule {
        id: 4779,
        meaning: Meaning::Logoff,
        account: DESKTOP,
        address: AddressField::Address("ClientAddress"),
        proof: Proof::Connection,
        guards: &[],
        source: "Event 4779, a session was disconnected from a Window Station: the end of the \
                 same session",
    },
    EventRule {
        id: 4608,
        meaning: Meaning::Startup,
        account: LOGON,
        address: AddressField::Logon("TargetLogonId"),
        proof: Proof::Connection,
        guards: &[],
        source: "Event 4608, Windows is starting up: logon IDs are unique between reboots \
                 only",
    },
];

/// Events that always report a failure, and are never read: 4625 logon; 4649 replay; 4771, 4772,
/// 4773 and 4777 requests refused by the domain controller; 4820 to 4824 forbidden by a policy or a
/// protected account; 4825 remote desktop.
pub(super) const FAILURE_IDS: &[u16] =
    &[4625, 4649, 4771, 4772, 4773, 4777, 4820, 4821, 4822, 4823, 4824, 4825];

/// The IDs of all events that can be read.
pub fn readable_event_ids() -> impl Iterator<Item = u16> {
    EVENT_RULES.iter().map(|rule| rule.id)
}

/// A sentence with the source for the event `id` and how it is read; `None` if it cannot be read.
pub fn event_source(id: u16) -> Option<&'static str> {
    EVENT_RULES.iter().find(|rule| rule.id == id).map(|rule| rule.source)
}
