//! Typical mistakes of such servers. Each is planted, and must be found.

use super::truth::Promise;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A repeated event is treated as new.
    NoDeduplication,
    /// A receipt is sent when the events are appended, before they are durable.
    AcknowledgedBeforeSync,
    /// A read position is committed before the events that it covers.
    BookmarkBeforeEvents,
    /// A batch is written in reverse order.
    OrderReversed,
    /// Sessions expire by the machine's clock.
    ExpiryByWallClock,
    /// A wake-up is lost at the end of a full resync.
    LostWakeUpAtSnapshot,
    /// A batch that finds no room is dropped without a counter.
    DropWithoutCounter,
    /// A failed logon is accepted.
    FailedLogonAccepted,
    /// A start does not synchronize the files that it finds.
    StartWithoutSync,
    /// A cache takes over without publishing the changes that were not published.
    SuccessorPublishesNothing,
    /// A batch is treated as delivered before the target acknowledges it.
    DeliveredBeforeAck,
    /// Changes sent after a lost batch are not sent again.
    LateChangesSkipped,
    /// A batch is decided and its changes are published when it is appended, before it is committed.
    PublishedBeforeCommit,
    /// A cache that hung and was replaced applies the batches that it still holds.
    SupersededCacheDecides,
    /// The changes of a replaced cache are visible although its successor has taken over.
    LateChangesShown,
    /// The receipt of a batch is not sent, and no error either.
    ReceiptLost,
    /// A membership update is confirmed without any effect on sessions.
    MembershipUpdateLost,
}

impl Fault {
    /// All of them.
    pub(super) const ALL: [Self; 17] = [
        Self::NoDeduplication,
        Self::AcknowledgedBeforeSync,
        Self::BookmarkBeforeEvents,
        Self::OrderReversed,
        Self::ExpiryByWallClock,
        Self::LostWakeUpAtSnapshot,
        Self::DropWithoutCounter,
        Self::FailedLogonAccepted,
        Self::StartWithoutSync,
        Self::SuccessorPublishesNothing,
        Self::DeliveredBeforeAck,
        Self::LateChangesSkipped,
        Self::PublishedBeforeCommit,
        Self::SupersededCacheDecides,
        Self::LateChangesShown,
        Self::ReceiptLost,
        Self::MembershipUpdateLost,
    ];

    /// The properties that it violates; the first one checked is reported.
    pub(super) fn breaks(self) -> &'static [Promise] {
        match self {
            Self::NoDeduplication => &[Promise::NoSessionWithoutEvent],
            Self::AcknowledgedBeforeSync => &[Promise::Acknowledged, Promise::Revisions],
            Self::BookmarkBeforeEvents => &[Promise::Positions],
            Self::OrderReversed => &[Promise::Order, Promise::NoSessionWithoutEvent],
            Self::ExpiryByWallClock => &[Promise::Expiry],
            Self::LostWakeUpAtSnapshot => &[Promise::Consumers],
            Self::DropWithoutCounter => &[Promise::Account],
            Self::FailedLogonAccepted => &[Promise::FailedLogon],
            Self::StartWithoutSync => &[Promise::Acknowledged, Promise::Revisions],
            Self::SuccessorPublishesNothing => &[Promise::Consumers, Promise::Memberships],
            Self::DeliveredBeforeAck | Self::LateChangesSkipped => &[Promise::Consumers],
            Self::PublishedBeforeCommit => {
                &[Promise::Acknowledged, Promise::Revisions, Promise::NoSessionWithoutEvent]
            }
            Self::SupersededCacheDecides | Self::LateChangesShown => &[Promise::Fencing],
            Self::ReceiptLost => &[Promise::Recovery],
            Self::MembershipUpdateLost => &[Promise::Memberships],
        }
    }
}
