//! Writes directory updates to the shared directory and to the sessions that they affect.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rollcall_config as config;
use rollcall_identity::directory::{
    DomainNames, KnownMembers, RemovalPolicy, SessionAction, UnqualifiedNames, Update,
};
use rollcall_identity::{Name, Origin, Producer as ProducerKind};

use super::position_store::{ApplyState, CurrentMembers, PositionStore};
use super::{DirectorySink, DirectoryUpdate, PositionFuture, UpdateFailed, UpdateFuture};
use crate::EventSink;
use rollcall_engine::directory::SharedDirectory;
use rollcall_engine::messages::ApplyError;

/// The sink of one directory: it writes updates to the shared directory, to the sessions and to the
/// journal.
pub struct DirectoryWriter {
    directory: SharedDirectory,
    unqualified: UnqualifiedNames,
    removal: RemovalPolicy,
    /// How long the removal of an account is deferred because it may have moved to a domain that is
    /// not read yet.
    deferral: Duration,
    origin: Arc<Origin>,
    sink: ArcSwapOption<EventSink>,
    store: PositionStore,
}

impl DirectoryWriter {
    /// A writer of the directory of `section` to `directory`.
    pub fn new(section: &config::ActiveDirectory, directory: SharedDirectory) -> Self {
        let action = |policy: config::SessionPolicy| match policy {
            config::SessionPolicy::Keep => SessionAction::Keep,
            config::SessionPolicy::End => SessionAction::End,
        };
        let form = Name::new("directory").expect("a constant is a valid name");
        let (producer, client) = (section.name.clone(), section.domain.clone());
        let unqualified = if section.default_domain {
            UnqualifiedNames::ThisDomain
        } else {
            UnqualifiedNames::OtherDomain
        };
        Self {
            directory,
            unqualified,
            removal: RemovalPolicy {
                disabled: action(section.when_disabled),
                deleted: action(section.when_deleted),
            },
            deferral: section.limits.sync_timeout,
            origin: Arc::new(Origin {
                kind: ProducerKind::ActiveDirectory,
                producer,
                client,
                form,
            }),
            sink: ArcSwapOption::empty(),
            store: PositionStore::default(),
        }
    }

    /// The path to the sessions and the journal.
    fn sink(&self) -> Result<Arc<EventSink>, UpdateFailed> {
        self.sink.load_full().ok_or(UpdateFailed)
    }

    /// Writes an update to the shared directory, on a blocking thread. Dropping the future does not
    /// cancel the write.
    async fn ingest(
        &self,
        known_members: Arc<KnownMembers>,
        names: &DomainNames,
        update: DirectoryUpdate,
    ) -> Result<(), UpdateFailed> {
        let (shared, names, unqualified) =
            (self.directory.clone(), names.clone(), self.unqualified);
        let ingesting = tokio::task::spawn_blocking(move || {
            shared.ingest_after(&known_members, &names.dns, |directory| {
                directory.put_domain(names.clone(), unqualified);
                match update {
                    DirectoryUpdate::Full(image) => directory.begin_replace(&names.dns, *image),
                    DirectoryUpdate::Changes(updates) => directory.begin_apply(&names.dns, updates),
                }
            })
        });
        ingesting.await.map_err(|_| UpdateFailed)?.map_err(|_| UpdateFailed)
    }

    /// Submits the pending changes that affect sessions, including those that a previous writer
    /// could not submit. A renamed account is stored under both names until the sessions have the
    /// new one, so that after a crash the next start recognizes either.
    async fn submit_pending(&self, sink: &EventSink, names: &DomainNames) {
        let mut is_submitted = false;
        while let Some(affected) = self.directory.pending(&names.dns) {
            self.store.mark_stale(&affected);
            while self.store.has_members()
                && self.store_members(sink, names, ApplyState::Pending).await.is_err()
            {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            sink.submit_update(affected, self.removal, Arc::clone(&self.origin)).await;
            self.directory.acknowledge(&names.dns);
            is_submitted = true;
        }
        if is_submitted && !self.directory.has_pending(&names.dns) {
            // After a failure, the members are stored with the next position.
            let _ = self.store_members(sink, names, ApplyState::Applied).await;
        }
    }

    async fn store_members(
        &self,
        sink: &EventSink,
        names: &DomainNames,
        state: ApplyState,
    ) -> Result<(), ApplyError> {
        self.store.store_members(sink, self.current_members(names, state)).await
    }

    fn current_members<'a>(
        &'a self,
        names: &'a DomainNames,
        state: ApplyState,
    ) -> CurrentMembers<'a> {
        CurrentMembers { directory: &self.directory, domain: &names.dns, state }
    }
}

/// The pause before the members are stored again after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

impl DirectorySink for DirectoryWriter {
    fn set_event_sink(&self, sink: EventSink) {
        self.sink.store(Some(Arc::new(sink)));
    }

    fn apply_update<'a>(
        &'a self,
        names: &'a DomainNames,
        update: DirectoryUpdate,
    ) -> UpdateFuture<'a> {
        Box::pin(async move {
            let sink = self.sink()?;
            if matches!(update, DirectoryUpdate::Full(_)) {
                self.store.mark_all_stale();
            }
            if !update.is_empty() {
                let known_members = self.store.members();
                self.ingest(known_members, names, update).await?;
                self.store.discard_members();
            }
            self.directory.release_deferred(&names.dns, self.deferral);
            self.submit_pending(&sink, names).await;
            Ok(())
        })
    }

    fn is_current(&self, names: &DomainNames, update: &Update) -> bool {
        self.directory.read().already_holds(&names.dns, update)
    }

    fn load_position<'a>(&'a self) -> PositionFuture<'a> {
        Box::pin(async move {
            let position = self.store.load(&*self.sink()?).await;
            position.map_err(|_| UpdateFailed)
        })
    }

    fn store_position<'a>(
        &'a self,
        names: &'a DomainNames,
        position: Arc<[u8]>,
    ) -> UpdateFuture<'a> {
        Box::pin(async move {
            let state = if self.directory.has_pending(&names.dns) {
                ApplyState::Pending
            } else {
                ApplyState::Applied
            };
            let members = self.current_members(names, state);
            let stored = self.store.store(&*self.sink()?, members, position).await;
            stored.map_err(|_| UpdateFailed)
        })
    }
}

#[cfg(test)]
mod tests;
