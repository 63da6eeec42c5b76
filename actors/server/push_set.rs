//! The push targets of the server: factory, replaced where their settings or files changed, and let
//! finish what they are saying.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{PushProtocol, PushTarget, Settings};
use rollcall_identity::Name;

use super::bind::{Certificate, digest};
use rollcall_engine::Engine;
use rollcall_push::{Close, FileCursorStore, Push, PushTargets, TargetHandle};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

/// The push targets at work.
pub(super) struct PushSet {
    /// For those who ask how they are.
    pub(super) targets: PushTargets,
    running: BTreeMap<Name, RunningProducer>,
}

/// One of them.
struct RunningProducer {
    recipient: Arc<TargetHandle>,
    mailbox: Mailbox<Push>,
    fingerprint: ConfigFingerprint,
}

/// What it was made from; from anything else another one is made.
#[derive(PartialEq)]
struct ConfigFingerprint(PushTarget, Certificate);

impl ConfigFingerprint {
    fn new(target: &PushTarget) -> Self {
        let mut files: Vec<&PathBuf> = vec![&target.authorities];
        files.extend(target.identity.iter().flat_map(|(certificate, key)| [certificate, key]));
        // What it got for its onboarding token is its own; a password may be exchanged.
        if let PushProtocol::SrxWebApi(srx) = &target.protocol {
            files.push(&srx.password);
        }
        Self(target.clone(), digest(&files))
    }
}

impl PushSet {
    /// Nobody yet.
    pub(super) fn new(targets: PushTargets) -> Self {
        Self { targets, running: BTreeMap::new() }
    }

    /// Hires, replaces and dismisses, until those at work are those of the settings. Returns the
    /// names of those whom that concerned.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub(super) async fn reconcile(
        &mut self,
        engine: &Engine,
        settings: &Settings,
        clock: &Clock,
    ) -> Result<Vec<String>, MailboxClosed> {
        let mut concerned = Vec::new();
        let wanted: BTreeMap<&Name, &PushTarget> =
            settings.push.iter().map(|target| (&target.name, target)).collect();
        let gone: Vec<Name> =
            self.running.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for name in gone {
            self.stop(&name, engine, settings.drain).await;
            concerned.push(name.to_string());
        }
        for (name, target) in wanted {
            let fingerprint = ConfigFingerprint::new(target);
            if self.running.get(name).is_some_and(|running| running.fingerprint == fingerprint) {
                continue;
            }
            let before = self.stop(name, engine, settings.drain).await;
            let keeping = Arc::new(FileCursorStore::new(&settings.data, name.as_str()));
            let newest = engine.newest.clone();
            let recipient = TargetHandle::new(target.clone(), keeping, newest, clock.clone());
            let recipient = Arc::new(match before {
                Some(before) => recipient.after(&before),
                None => recipient,
            });
            let mailbox = spawn_producer(engine, &recipient, clock).await?;
            self.targets.put(&recipient, &mailbox);
            self.running.insert(name.clone(), RunningProducer { recipient, mailbox, fingerprint });
            concerned.push(name.to_string());
        }
        Ok(concerned)
    }

    /// Lets all of them finish what they are saying, within `limit`, and ends them.
    pub(super) async fn leave(&self, engine: &Engine, limit: Duration) {
        let all = self.running.values().map(|running| close(running, engine, limit));
        futures_util::future::join_all(all).await;
    }

    async fn stop(
        &mut self,
        name: &Name,
        engine: &Engine,
        limit: Duration,
    ) -> Option<Arc<TargetHandle>> {
        let running = self.running.remove(name)?;
        self.targets.remove(name.as_str());
        close(&running, engine, limit).await;
        Some(running.recipient)
    }
}

async fn close(running: &RunningProducer, engine: &Engine, limit: Duration) {
    // What it could not finish is told again by whoever comes after it.
    let _ = tokio::time::timeout(limit, running.mailbox.send(Close)).await;
    let _ = engine.supervisor.send(Stop(running.recipient.name().to_owned())).await;
}

async fn spawn_producer(
    engine: &Engine,
    recipient: &Arc<TargetHandle>,
    clock: &Clock,
) -> Result<Mailbox<Push>, MailboxClosed> {
    let mailbox = Mailbox::<Push>::new(recipient.name(), clock.clone());
    let (recipient, query) = (Arc::clone(recipient), engine.query.clone());
    let (newest, time) = (engine.newest.clone(), clock.clone());
    let factory =
        move || Push::new(Arc::clone(&recipient), query.clone(), newest.clone(), time.clone());
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await?;
    Ok(mailbox)
}
