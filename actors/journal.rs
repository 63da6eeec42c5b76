//! The journal's own thread: it appends what the cache hands over, commits in groups, and hands
//! what is committed back to the cache, in order.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use rollcall_identity::{Event, Journal, JournalError, Revision};
use tokio::sync::oneshot;

use crate::account::Account;
use crate::cache::{Cache, Receipt, Refused};
use crate::happenings::{Happening, JournalRefused};
use crate::mailbox::Mailbox;

/// A batch on its way through the journal.
pub(crate) struct Batch {
    /// What is to be appended.
    pub events: Vec<Event>,
    /// What accounts for them until they are decided.
    pub account: Account,
    /// Who waits for it to be visible.
    pub receipt: oneshot::Sender<Result<Receipt, Refused>>,
}

/// A batch that is in the journal, from this position on.
pub(crate) struct Entry {
    /// The position of its first event.
    pub first: Revision,
    /// The batch.
    pub batch: Batch,
}

/// The way into the journal. When the last one is dropped, the thread commits and ends.
#[derive(Clone)]
pub struct JournalWriter {
    epoch: u64,
    batches: Sender<Batch>,
}

/// How many batches one commit covers at most: what can wait, the cache's mailbox bounds already.
const GROUP: usize = 64;

impl JournalWriter {
    /// Starts the thread. What is committed goes to the actor behind `cache`.
    pub fn start(
        journal: impl Journal + 'static,
        cache: Mailbox<Cache>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (batches, inbox) = bounded(2 * GROUP);
        let epoch = journal.epoch();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(journal, &inbox, &cache))?;
        Ok((Self { epoch, batches }, thread))
    }

    /// The epoch of the positions that this journal hands out.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Hands a batch over without waiting.
    pub(crate) fn hand_over(&self, batch: Batch) -> Result<(), Refused> {
        self.batches.try_send(batch).map_err(|refused| match refused {
            TrySendError::Full(batch) => batch.account.lost("cache_busy", Refused::Busy),
            TrySendError::Disconnected(batch) => {
                let refused = Refused::Journal("its thread has ended".to_owned());
                batch.account.lost("journal_ill", refused)
            }
        })
    }
}

fn write(mut journal: impl Journal, inbox: &Receiver<Batch>, cache: &Mailbox<Cache>) {
    while let Ok(first) = inbox.recv() {
        let group = std::iter::once(first).chain(inbox.try_iter().take(GROUP - 1));
        let mut entries = Vec::new();
        for batch in group {
            match journal.append(&batch.events) {
                Ok(first) => entries.push(Entry { first, batch }),
                Err(error) => refuse(batch, &error),
            }
        }
        match journal.commit() {
            Ok(_) => cache.send_committed(entries),
            Err(error) => entries.into_iter().for_each(|entry| refuse(entry.batch, &error)),
        }
    }
}

fn refuse(batch: Batch, error: &JournalError) {
    JournalRefused { error: &error.0 }.emit();
    let refused = batch.account.lost("journal_ill", Refused::Journal(error.0.clone()));
    // Whoever does not wait any more does not need it.
    let _ = batch.receipt.send(Err(refused));
}
