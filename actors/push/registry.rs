//! All push targets, for those who ask how they are and want something of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::target::State;
use super::{Command, ComparisonStatus, Push, TargetHandle, TargetStatus};
use crate::telemetry::PushLagging;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The push targets in force, by name. A copy sees the same ones.
#[derive(Clone, Default)]
pub struct PushTargets(Arc<ArcSwap<BTreeMap<String, Known>>>);

#[derive(Clone)]
struct Known {
    target: Arc<TargetHandle>,
    desk: Mailbox<Push>,
}

impl PushTargets {
    /// Makes one known.
    pub fn put(&self, target: &Arc<TargetHandle>, desk: &Mailbox<Push>) {
        self.0.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            let (target, desk) = (Arc::clone(target), desk.clone());
            known.insert(target.name().to_owned(), Known { target, desk });
            known
        });
    }

    /// Forgets one.
    pub fn remove(&self, name: &str) {
        self.0.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            known.remove(name);
            known
        });
        // Nobody measures it any more, and its alert must not go on.
        PushLagging { target: name, changes: Some(0), time: Duration::ZERO }.emit();
    }

    /// How all of them are doing, in the order of their names.
    pub fn status(&self) -> Vec<TargetStatus> {
        self.0.load().values().map(|known| known.target.status()).collect()
    }

    /// Sets the lag of each in the metrics, for before they are scraped.
    pub fn measure_lag(&self) {
        for known in self.0.load().values() {
            let (changes, time) = known.target.lag();
            PushLagging { target: known.target.name(), changes, time }.emit();
        }
    }

    /// Tells one everything anew; `None` when there is none of this name.
    pub async fn resync(&self, name: &str) -> Option<Result<(), MailboxClosed>> {
        let desk = self.desk(name)?;
        Some(desk.send(Command::Synchronise).await)
    }

    /// Compares what one holds with what it should hold; `None` when there is none of this name. A
    /// target that cannot be asked now says why.
    pub async fn check(&self, name: &str) -> Option<Result<ComparisonStatus, MailboxClosed>> {
        let desk = self.desk(name)?;
        let (answer, answered) = oneshot::channel();
        let sent = desk.send(Command::Check(answer)).await;
        Some(match sent {
            Ok(()) => answered.await.map_err(|_| MailboxClosed("push")),
            Err(gone) => Err(gone),
        })
    }

    /// What went wrong with one last, in plain words, unless it has taken something since.
    pub fn error(&self, name: &str) -> Option<String> {
        let status = self.0.load().get(name)?.target.status();
        status.last_error.filter(|_| status.state == State::Retrying)
    }

    fn desk(&self, name: &str) -> Option<Mailbox<Push>> {
        self.0.load().get(name).map(|known| known.desk.clone())
    }
}
