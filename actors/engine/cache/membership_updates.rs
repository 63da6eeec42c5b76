//! Applies directory changes to the sessions that they affect, as events that the cache submits slice by
//! slice, so that logins do not wait meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_identity::directory::{
    AddressIndex, EffectInputs, ProposalContext, RemovalPolicy, SessionEffects,
};
use rollcall_identity::{Change, Event, Origin};
use tokio::sync::oneshot;

use super::Cache;
use crate::messages::{Apply, ApplyError, UpdateMembership};
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::event_accounting::Received;
use rollcall_runtime::mailbox::{ActorCell, Context, Handler, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

/// The number of accounts and addresses per slice. Other messages are handled between slices.
const SLICE: usize = 1024;

/// The delay before events that the journal refused are submitted again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The directory changes that are not applied yet, in order of arrival.
#[derive(Default)]
pub(super) struct MembershipUpdates {
    /// The addresses of each account. Built at the first directory change, so that it costs nothing
    /// without a directory.
    addresses: Option<AddressIndex>,
    current: Option<PendingUpdate>,
    waiting: VecDeque<PendingUpdate>,
}

struct PendingUpdate {
    effects: SessionEffects,
    removal: RemovalPolicy,
    origin: Arc<Origin>,
    done: oneshot::Sender<()>,
}

impl MembershipUpdates {
    /// Updates the index with a change of the table.
    pub(super) fn observe(&mut self, change: Option<&Change>) {
        if let (Some(addresses), Some(change)) = (&mut self.addresses, change) {
            addresses.apply(change);
        }
    }
}

/// The next step of an update.
enum Step {
    /// Wait until everything submitted before is applied: a login from before the directory change must
    /// be in the table when the effects are computed.
    Barrier,
    /// Submit these events. If there are none, other messages are handled first.
    Submit(Vec<Event>),
}

impl Cache {
    /// The next step and its origin; `None` when all updates are applied.
    fn next_step(&mut self) -> Option<(Step, Arc<Origin>)> {
        let membership = &mut self.membership;
        let Some(task) = &mut membership.current else {
            let task = membership.current.insert(membership.waiting.pop_front()?);
            return Some((Step::Barrier, Arc::clone(&task.origin)));
        };
        if task.effects.is_empty() {
            let done = membership.current.take().map(|task| task.done);
            // A sender that no longer waits does not need the reply.
            let _ = done.map(|done| done.send(()));
            return self.next_step();
        }
        let addresses = membership
            .addresses
            .get_or_insert_with(|| AddressIndex::from_sessions(self.decider.table().sessions()));
        let directory = self.inputs.directory.read();
        let known = EffectInputs { directory: &directory, table: self.decider.table(), addresses };
        let (removal, origin, now) = (task.removal, &task.origin, self.clock.now());
        let events = task.effects.next(known, ProposalContext { removal, now, origin }, SLICE);
        Some((Step::Submit(events), Arc::clone(origin)))
    }

    /// Submits slice after slice until all updates are applied.
    fn next_slice(&mut self, context: &mut Context<Self>) {
        match self.next_step() {
            None => {}
            Some((Step::Barrier, origin)) => self.submit_slice(Vec::new(), origin, context),
            Some((Step::Submit(events), _)) if events.is_empty() => {
                // Other messages are handled before the next slice.
                context.run_later(Duration::ZERO, |cell, context| cell.actor().next_slice(context));
            }
            Some((Step::Submit(events), origin)) => self.submit_slice(events, origin, context),
        }
    }

    /// Submits one slice. When it is visible, the next one follows.
    fn submit_slice(
        &mut self,
        events: Vec<Event>,
        origin: Arc<Origin>,
        context: &mut Context<Self>,
    ) {
        let account = EventAccount::open(origin.producer.as_str(), 0);
        let answer = self.submit(Apply { events: events.clone(), read: None, account });
        let answer = wrap_future::<_, ActorCell<Self>>(async move {
            match answer {
                Reply::Now(answer) => answer,
                Reply::Later(answer) => answer.await,
            }
        });
        context.spawn(answer.map(move |answer, cell, context| {
            if answer.is_ok() {
                let (producer, count) = (origin.producer.as_str(), events.len() as u64);
                Received { producer, count }.emit();
                cell.actor().next_slice(context);
                return;
            }
            // The journal is not writable or its queue is full. The update is retried, not lost.
            context.run_later(RETRY_DELAY, |cell, context| {
                cell.actor().submit_slice(events, origin, context);
            });
        }));
    }
}

impl Handler<UpdateMembership> for Cache {
    fn handle(
        &mut self,
        update: UpdateMembership,
        context: &mut Context<Self>,
    ) -> Reply<Result<(), ApplyError>> {
        let UpdateMembership { affected, gone: removal, origin } = update;
        let mut effects = SessionEffects::default();
        effects.add(Arc::unwrap_or_clone(affected), &self.inputs.directory.read());
        let (done, seen) = oneshot::channel();
        let idle = self.membership.current.is_none() && self.membership.waiting.is_empty();
        self.membership.waiting.push_back(PendingUpdate { effects, removal, origin, done });
        if idle {
            self.next_slice(context);
        }
        Reply::later(async { seen.await.map_err(|_| ApplyError::Restarting) })
    }
}

#[cfg(test)]
mod tests;
