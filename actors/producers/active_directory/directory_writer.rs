//! What a directory says, entered into the book that everybody shares, and brought to the sessions
//! of those whom it concerns.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rollcall_config as config;
use rollcall_identity::directory::{
    DomainNames, KnownMembers, RemovalPolicy, SessionAction, UnqualifiedNames, Update,
};
use rollcall_identity::{Name, Origin, Producer as ProducerKind};

use super::position_store::{ApplyState, Known, PositionStore};
use super::{DirectorySink, DirectoryUpdate, PendingUpdates, Recalling, UpdateFailed};
use crate::EventSink;
use rollcall_engine::directory::SharedDirectory;

/// The learner of a directory whose producer is at work.
pub struct DirectoryWriter {
    book: SharedDirectory,
    bare: UnqualifiedNames,
    gone: RemovalPolicy,
    /// How long those are waited for who may be in a domain that is not read yet.
    patience: Duration,
    origin: Arc<Origin>,
    sink: ArcSwapOption<EventSink>,
    keeping: PositionStore,
}

impl DirectoryWriter {
    /// Enters into `book` what the directory of `section` says.
    pub fn new(section: &config::ActiveDirectory, book: SharedDirectory) -> Self {
        let rule = |sessions: config::SessionPolicy| match sessions {
            config::SessionPolicy::Keep => SessionAction::Keep,
            config::SessionPolicy::End => SessionAction::End,
        };
        let form = Name::new("directory").expect("a plain word is a name");
        let (producer, client) = (section.name.clone(), section.domain.clone());
        let bare = if section.default_domain {
            UnqualifiedNames::ThisDomain
        } else {
            UnqualifiedNames::OtherDomain
        };
        Self {
            book,
            bare,
            gone: RemovalPolicy {
                disabled: rule(section.when_disabled),
                deleted: rule(section.when_deleted),
            },
            patience: section.limits.read,
            origin: Arc::new(Origin {
                kind: ProducerKind::ActiveDirectory,
                producer,
                client,
                form,
            }),
            sink: ArcSwapOption::empty(),
            keeping: PositionStore::default(),
        }
    }

    /// How the sessions and the journal are reached.
    fn sink(&self) -> Result<Arc<EventSink>, UpdateFailed> {
        self.sink.load_full().ok_or(UpdateFailed)
    }

    /// Enters what was learnt, on a thread that may wait: whoever stops waiting for it does not stop
    /// it.
    async fn enter(
        &self,
        roster: Arc<KnownMembers>,
        names: &DomainNames,
        learnt: DirectoryUpdate,
    ) -> Result<(), UpdateFailed> {
        let (book, names, bare) = (self.book.clone(), names.clone(), self.bare);
        let entering = tokio::task::spawn_blocking(move || {
            book.ingest_after(&roster, &names.dns, |directory| {
                directory.put_domain(names.clone(), bare);
                match learnt {
                    DirectoryUpdate::Whole(image) => directory.begin_replace(&names.dns, *image),
                    DirectoryUpdate::Changes(updates) => directory.begin_apply(&names.dns, updates),
                }
            })
        });
        entering.await.map_err(|_| UpdateFailed)?.map_err(|_| UpdateFailed)
    }

    /// Brings to the sessions whom it concerns, with what a predecessor entered and could not tell.
    /// Whoever has another name is kept under both until they say so: when Rollcall is killed
    /// meanwhile, the next start knows either.
    async fn tell(&self, sink: &EventSink, names: &DomainNames) {
        let known = |told| Known { book: &self.book, domain: &names.dns, told };
        let mut is_told = false;
        while let Some(affected) = self.book.pending(&names.dns) {
            self.keeping.note(&affected);
            while self.keeping.is_begun()
                && self.keeping.keep_roster(sink, known(ApplyState::NotYet)).await.is_err()
            {
                tokio::time::sleep(AGAIN).await;
            }
            sink.submit_update(affected, self.gone, Arc::clone(&self.origin)).await;
            self.book.acknowledge(&names.dns);
            is_told = true;
        }
        if is_told && !self.book.has_pending(&names.dns) {
            // What is not kept now is with the next position.
            let _ = self.keeping.keep_roster(sink, known(ApplyState::All)).await;
        }
    }
}

/// How long to wait before the journal is given again what it did not take.
const AGAIN: Duration = Duration::from_secs(1);

impl DirectorySink for DirectoryWriter {
    fn attend(&self, sink: EventSink) {
        self.sink.store(Some(Arc::new(sink)));
    }

    fn learn<'a>(&'a self, names: &'a DomainNames, learnt: DirectoryUpdate) -> PendingUpdates<'a> {
        Box::pin(async move {
            let sink = self.sink()?;
            if matches!(learnt, DirectoryUpdate::Whole(_)) {
                self.keeping.note_all();
            }
            if !learnt.is_empty() {
                let roster = self.keeping.roster();
                self.enter(roster, names, learnt).await?;
                self.keeping.forget_roster();
            }
            self.book.release_deferred(&names.dns, self.patience);
            self.tell(&sink, names).await;
            Ok(())
        })
    }

    fn knows(&self, names: &DomainNames, update: &Update) -> bool {
        self.book.read().already_holds(&names.dns, update)
    }

    fn recall<'a>(&'a self) -> Recalling<'a> {
        Box::pin(async move {
            let place = self.keeping.recall(&*self.sink()?).await;
            place.map_err(|_| UpdateFailed)
        })
    }

    fn keep<'a>(&'a self, names: &'a DomainNames, place: Arc<[u8]>) -> PendingUpdates<'a> {
        Box::pin(async move {
            let told = if self.book.has_pending(&names.dns) {
                ApplyState::NotYet
            } else {
                ApplyState::All
            };
            let known = Known { book: &self.book, domain: &names.dns, told };
            let kept = self.keeping.keep(&*self.sink()?, known, place).await;
            kept.map_err(|_| UpdateFailed)
        })
    }
}

#[cfg(test)]
mod tests;
