//! What a push dialect can do with its targets, as data. The delivery loop and the status use this, and
//! never the name of a dialect.

use std::time::Duration;

use rollcall_identity::delivery::DeliveryMode;
use serde::{Serialize, Serializer};
use strum::IntoStaticStr;
use utoipa::ToSchema;

/// The capabilities of one target, with its settings applied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Capabilities {
    /// The maximum number of changes in one request; 1 for a target that accepts one record at a time.
    pub(crate) batch: usize,
    /// The maximum number of requests in flight, each from a worker of its own.
    pub(crate) parallel: usize,
    /// The maximum number of changes per second; `null` for no limit.
    pub(crate) rate: Option<u32>,
    /// Whether a full resync replaces the content of the target (`replace`) or updates it (`upsert`).
    #[serde(serialize_with = "mode")]
    #[schema(value_type = String)]
    pub(crate) resync: DeliveryMode,
    /// What the target reports: nothing (`none`), its `position`, or its `content`.
    #[serde(serialize_with = "read_back")]
    #[schema(value_type = String)]
    pub(crate) read_back: ReadBack,
    /// The number of seconds after which the target discards an entry that is not sent again; `null`
    /// if it keeps entries. All sessions are sent again at half of it.
    #[serde(rename = "time_to_live_seconds", serialize_with = "seconds")]
    #[schema(value_type = Option<f64>)]
    pub(crate) time_to_live: Option<Duration>,
    /// How the target learns the groups of a user.
    pub(crate) groups: GroupsModel,
    /// The response of the target to the deletion of an entry that it does not hold.
    pub(crate) delete_absent: DeleteAbsent,
}

/// What can be read from a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReadBack {
    /// Nothing: only acknowledgements show what the target received.
    None,
    /// Its position.
    Position,
    /// Its content, and its position if the protocol has one.
    Content {
        /// The interval between consistency checks.
        interval: Duration,
    },
}

/// How a target learns the groups of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupsModel {
    /// The target reads them from its own directory.
    Target,
    /// Each session contains the names of its groups or roles.
    PerSession,
    /// Groups are objects of their own, which users refer to.
    Objects,
    /// Each group is a set of addresses.
    AddressSets,
}

/// The response of a target to the deletion of an entry that it does not hold. Such deletions occur:
/// a session can begin and end between two batches, and an upsert target receives an end for each
/// tombstone after a filter change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeleteAbsent {
    /// The target acknowledges it.
    Acknowledged,
    /// The target reports an error. The dialect must recognize the error and count a duplicate.
    Error,
}

impl Capabilities {
    /// The number of changes to read at once: one batch, but no more than are sent within a second.
    pub(crate) fn page(&self) -> usize {
        let per_second = self.rate.and_then(|rate| usize::try_from(rate).ok());
        self.batch.min(per_second.unwrap_or(usize::MAX))
    }

    /// The interval between consistency checks; `None` if the target does not report its content.
    pub(crate) fn check_interval(&self) -> Option<Duration> {
        match self.read_back {
            ReadBack::Content { interval } => Some(interval),
            ReadBack::None | ReadBack::Position => None,
        }
    }

    /// The interval after which all sessions are sent again, because the target would discard them.
    pub(crate) fn refresh_interval(&self) -> Option<Duration> {
        self.time_to_live.map(|time_to_live| time_to_live / 2)
    }

    /// The time that `changes` changes take at the maximum rate.
    pub(crate) fn time_for(&self, changes: usize) -> Duration {
        let at_rate = |rate| Duration::from_secs_f64(changes as f64 / f64::from(rate));
        self.rate.map_or(Duration::ZERO, at_rate)
    }
}

fn mode<S: Serializer>(mode: &DeliveryMode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match mode {
        DeliveryMode::Replace => "replace",
        DeliveryMode::Upsert => "upsert",
    })
}

fn read_back<S: Serializer>(read_back: &ReadBack, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(read_back.into())
}

fn seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn capabilities() -> Capabilities {
        Capabilities {
            batch: 100,
            parallel: 1,
            rate: None,
            resync: DeliveryMode::Upsert,
            read_back: ReadBack::None,
            time_to_live: None,
            groups: GroupsModel::PerSession,
            delete_absent: DeleteAbsent::Acknowledged,
        }
    }

    #[test]
    fn a_page_has_no_more_changes_than_are_sent_within_a_second() {
        assert_eq!(capabilities().page(), 100);
        assert_eq!(Capabilities { rate: Some(20), ..capabilities() }.page(), 20);
        assert_eq!(Capabilities { rate: Some(1000), ..capabilities() }.page(), 100);
        let slow = Capabilities { rate: Some(20), ..capabilities() };
        assert_eq!(slow.time_for(10), Duration::from_millis(500));
        assert_eq!(capabilities().time_for(10), Duration::ZERO);
    }

    #[test]
    fn sessions_are_refreshed_at_half_of_the_time_to_live() {
        let time_to_live = Some(Duration::from_secs(90));
        let refreshed = Capabilities { time_to_live, ..capabilities() };
        assert_eq!(refreshed.refresh_interval(), Some(Duration::from_secs(45)));
        assert_eq!(capabilities().refresh_interval(), None);
    }

    #[test]
    fn capabilities_are_written_as_words_and_seconds() {
        let read_back = ReadBack::Content { interval: Duration::from_secs(60) };
        let time_to_live = Some(Duration::from_secs(90));
        let written = Capabilities { read_back, time_to_live, ..capabilities() };
        assert_eq!(
            serde_json::to_value(written).unwrap(),
            json!({
                "batch": 100, "parallel": 1, "rate": null, "resync": "upsert",
                "read_back": "content", "time_to_live_seconds": 90.0, "groups": "per_session",
                "delete_absent": "acknowledged",
            })
        );
    }
}
