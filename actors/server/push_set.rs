//! The push targets of the server: started, replaced where their settings or files changed, and
//! stopped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rollcall_config::{PushTarget, Settings};
use rollcall_identity::Name;

use rollcall_engine::Engine;
use rollcall_producers::registration::ConfigFingerprint;
use rollcall_push::{Close, FileCursorStore, Push, PushTargets, TargetHandle, target_files};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Mailbox, MailboxClosed};
use rollcall_runtime::supervisor::{Spawn, Stop};

/// The running push targets.
pub(super) struct PushSet {
    /// Their status.
    pub(super) targets: PushTargets,
    running: BTreeMap<Name, RunningTarget>,
}

/// A running push target.
struct RunningTarget {
    handle: Arc<TargetHandle>,
    mailbox: Mailbox<Push>,
    fingerprint: ConfigFingerprint,
}

/// The settings and files that a target depends on. A reload replaces the target if they differ.
fn fingerprint(target: &PushTarget) -> ConfigFingerprint {
    let files = target_files(target);
    ConfigFingerprint::new(target.clone(), files.iter().map(|file| file.as_path()))
}

impl PushSet {
    /// A set without targets.
    pub(super) fn new(targets: PushTargets) -> Self {
        Self { targets, running: BTreeMap::new() }
    }

    /// Starts, replaces and stops targets until the running ones are those of the settings. Returns
    /// the names of all targets that were started or stopped.
    ///
    /// # Errors
    /// When the supervisor has ended.
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
            let fingerprint = fingerprint(target);
            if self.running.get(name).is_some_and(|running| running.fingerprint == fingerprint) {
                continue;
            }
            let before = self.stop(name, engine, settings.drain).await;
            let store = Arc::new(FileCursorStore::new(&settings.data, name.as_str()));
            let newest = engine.newest.clone();
            let handle = TargetHandle::new(target.clone(), store, newest, clock.clone());
            let handle = Arc::new(match before {
                Some(before) => handle.after(&before),
                None => handle,
            });
            let mailbox = spawn(engine, &handle, clock).await?;
            self.targets.put(&handle, &mailbox);
            self.running.insert(name.clone(), RunningTarget { handle, mailbox, fingerprint });
            concerned.push(name.to_string());
        }
        Ok(concerned)
    }

    /// Stops all targets. Each may take `limit` to complete its current request.
    pub(super) async fn stop_all(&self, engine: &Engine, limit: Duration) {
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
        Some(running.handle)
    }
}

async fn close(running: &RunningTarget, engine: &Engine, limit: Duration) {
    // A request that is not complete is repeated after the next start.
    let _ = tokio::time::timeout(limit, running.mailbox.send(Close)).await;
    let _ = engine.supervisor.send(Stop(running.handle.name().to_owned())).await;
}

async fn spawn(
    engine: &Engine,
    handle: &Arc<TargetHandle>,
    clock: &Clock,
) -> Result<Mailbox<Push>, MailboxClosed> {
    let mailbox = Mailbox::<Push>::new(handle.name(), clock.clone());
    let (handle, query) = (Arc::clone(handle), engine.query.clone());
    let (newest, time) = (engine.newest.clone(), clock.clone());
    let factory =
        move || Push::new(Arc::clone(&handle), query.clone(), newest.clone(), time.clone());
    engine.supervisor.send(Spawn::new(mailbox.clone(), factory)).await?;
    Ok(mailbox)
}
