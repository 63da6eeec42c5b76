//! Mistakes that servers of this kind have been made with, each to be planted and found.

use super::truth::Promise;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// What is sent again is taken for news: nothing is recognised that was there before.
    NoDeduplication,
    /// A producer is answered when its events are appended, and not when they are on the disk.
    AcknowledgedBeforeSync,
    /// How far a source was read is committed before the events that it covers.
    BookmarkBeforeEvents,
    /// A group of events is written down last one first.
    OrderReversed,
    /// Sessions end by the machine's clock, however it was set.
    ExpiryByWallClock,
    /// Whoever follows a snapshot has missed what was said while it was read.
    LostWakeUpAtSnapshot,
    /// What finds no room is dropped, and nobody counts it.
    DropWithoutCounter,
    /// A record of a logon is taken for a logon, whether or not it succeeded.
    FailedLogonAccepted,
    /// What a killed process had written is taken to be on the disk because it can be read.
    StartWithoutSync,
    /// A cache that takes over does not tell what became true and was shown to nobody.
    SuccessorTellsNothing,
    /// A batch is taken to have arrived before the target has said so.
    ToldWithoutItsWord,
    /// What a firewall was told after a batch that was lost is not told again.
    LateForgotten,
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
        Self::SuccessorTellsNothing,
        Self::ToldWithoutItsWord,
        Self::LateForgotten,
        Self::PublishedBeforeCommit,
        Self::SupersededCacheDecides,
        Self::LateChangesShown,
        Self::ReceiptLost,
        Self::MembershipUpdateLost,
    ];

    /// Which promises it breaks, whichever is looked at first.
    pub(super) fn breaks(self) -> &'static [Promise] {
        match self {
            Self::NoDeduplication => &[Promise::NobodyFromNowhere],
            Self::AcknowledgedBeforeSync => &[Promise::Acknowledged, Promise::Revisions],
            Self::BookmarkBeforeEvents => &[Promise::Positions],
            Self::OrderReversed => &[Promise::Order, Promise::NobodyFromNowhere],
            Self::ExpiryByWallClock => &[Promise::Expiry],
            Self::LostWakeUpAtSnapshot => &[Promise::Consumers],
            Self::DropWithoutCounter => &[Promise::Account],
            Self::FailedLogonAccepted => &[Promise::FailedLogon],
            Self::StartWithoutSync => &[Promise::Acknowledged, Promise::Revisions],
            Self::SuccessorTellsNothing | Self::ToldWithoutItsWord | Self::LateForgotten => {
                &[Promise::Consumers]
            }
            Self::PublishedBeforeCommit => {
                &[Promise::Acknowledged, Promise::Revisions, Promise::NobodyFromNowhere]
            }
            Self::SupersededCacheDecides | Self::LateChangesShown => &[Promise::Fencing],
            Self::ReceiptLost => &[Promise::Recovery],
            Self::MembershipUpdateLost => &[Promise::Memberships],
        }
    }
}
