//! All running push targets: their status, and commands for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use super::{Command, ComparisonStatus, Push, TargetHandle, TargetStatus};
use crate::status::State;
use crate::telemetry::PushLagging;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The running push targets by name. Clones refer to the same targets.
#[derive(Clone, Default)]
pub struct PushTargets(Arc<ArcSwap<BTreeMap<String, RegisteredTarget>>>);

#[derive(Clone)]
struct RegisteredTarget {
    target: Arc<TargetHandle>,
    mailbox: Mailbox<Push>,
}

impl PushTargets {
    /// Adds a target.
    pub fn put(&self, target: &Arc<TargetHandle>, mailbox: &Mailbox<Push>) {
        self.0.rcu(|targets| {
            let mut targets = BTreeMap::clone(targets);
            let (target, mailbox) = (Arc::clone(target), mailbox.clone());
            targets.insert(target.name().to_owned(), RegisteredTarget { target, mailbox });
            targets
        });
    }

    /// Removes a target.
    pub fn remove(&self, name: &str) {
        self.0.rcu(|targets| {
            let mut targets = BTreeMap::clone(targets);
            targets.remove(name);
            targets
        });
        // Its lag is not measured any more, and its alert must end.
        PushLagging { target: name, changes: Some(0), time: Duration::ZERO }.emit();
    }

    /// The status of all targets, by name.
    pub fn status(&self) -> Vec<TargetStatus> {
        self.0.load().values().map(|registered| registered.target.status()).collect()
    }

    /// Sets the lag of each target in the metrics, before a scrape.
    pub fn measure_lag(&self) {
        for registered in self.0.load().values() {
            let (changes, time) = registered.target.lag();
            PushLagging { target: registered.target.name(), changes, time }.emit();
        }
    }

    /// Requests a full resync; `None` if there is no target of this name.
    pub async fn resync(&self, name: &str) -> Option<Result<(), MailboxClosed>> {
        let mailbox = self.mailbox(name)?;
        Some(mailbox.send(Command::Resync).await)
    }

    /// Compares the content of a target with the expected content; `None` if there is no target of this
    /// name. If the target is unavailable, the result is the reason.
    pub async fn check(&self, name: &str) -> Option<Result<ComparisonStatus, MailboxClosed>> {
        let mailbox = self.mailbox(name)?;
        let (reply, result) = oneshot::channel();
        let sent = mailbox.send(Command::Check(reply)).await;
        Some(match sent {
            Ok(()) => result.await.map_err(|_| MailboxClosed("push")),
            Err(closed) => Err(closed),
        })
    }

    /// The last error of a target, unless the target has accepted something since.
    pub fn error(&self, name: &str) -> Option<String> {
        let status = self.0.load().get(name)?.target.status();
        status.last_error.filter(|_| status.state == State::Retrying)
    }

    fn mailbox(&self, name: &str) -> Option<Mailbox<Push>> {
        self.0.load().get(name).map(|registered| registered.mailbox.clone())
    }
}
