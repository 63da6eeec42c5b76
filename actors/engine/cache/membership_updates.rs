//! What directories say otherwise, brought to the sessions of those concerned: as events that the
//! cache proposes, a slice at a time, so that whoever logs on meanwhile does not wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_identity::directory::{
    AddressIndex, AffectedAccounts, EffectInputs, ProposalContext, RemovalPolicy, SessionEffects,
};
use rollcall_identity::{Change, Event, Origin};
use tokio::sync::oneshot;

use super::Cache;
use crate::messages::{Apply, ApplyError, UpdateMembership};
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::event_accounting::Received;
use rollcall_runtime::mailbox::{ActorCell, Context, Handler, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;

/// How many accounts and addresses are looked at between two other messages.
const SLICE: usize = 1024;

/// How long to wait before what the journal refused is proposed again.
const AGAIN: Duration = Duration::from_secs(1);

/// What was learnt and is still to be followed up, in the order in which it came.
#[derive(Default)]
pub(super) struct MembershipUpdates {
    /// Where everybody is. Kept from the first time that a directory says anything: without one it
    /// costs nothing.
    whereabouts: Option<AddressIndex>,
    at_work: Option<Task>,
    waiting: VecDeque<Task>,
}

struct Task {
    consequences: SessionEffects,
    gone: RemovalPolicy,
    origin: Arc<Origin>,
    done: oneshot::Sender<()>,
}

impl MembershipUpdates {
    /// Follows a change of the table.
    pub(super) fn note(&mut self, change: Option<&Change>) {
        if let (Some(whereabouts), Some(change)) = (&mut self.whereabouts, change) {
            whereabouts.apply(change);
        }
    }
}

/// What is to be ordered next.
enum Next {
    /// Nothing, but what was ordered before: who logged on before the directory said so, and is not in
    /// the table yet, is to be there when the consequences are drawn.
    Before,
    /// Events that follow from what was learnt; when there are none, others have their turn.
    Events(Vec<Event>),
}

impl Cache {
    /// What is to be ordered next, and in whose name; `None` when everything is followed up.
    fn next_order(&mut self) -> Option<(Next, Arc<Origin>)> {
        let learning = &mut self.learning;
        let Some(task) = &mut learning.at_work else {
            let task = learning.at_work.insert(learning.waiting.pop_front()?);
            return Some((Next::Before, Arc::clone(&task.origin)));
        };
        if task.consequences.is_empty() {
            let done = learning.at_work.take().map(|task| task.done);
            // Whoever does not wait any more does not need it.
            let _ = done.map(|done| done.send(()));
            return self.next_order();
        }
        let whereabouts = learning
            .whereabouts
            .get_or_insert_with(|| AddressIndex::from_sessions(self.decider.table().sessions()));
        let book = self.grounds.directory.read();
        let known =
            EffectInputs { directory: &book, table: self.decider.table(), addresses: whereabouts };
        let (gone, origin, now) = (task.gone, &task.origin, self.clock.now());
        let events =
            task.consequences.next(known, ProposalContext { removal: gone, now, origin }, SLICE);
        Some((Next::Events(events), Arc::clone(origin)))
    }

    /// Proposes what follows, slice after slice, until there is nothing left.
    fn follow_up(&mut self, context: &mut Context<Self>) {
        match self.next_order() {
            None => {}
            Some((Next::Before, origin)) => self.propose(Vec::new(), origin, context),
            Some((Next::Events(events), _)) if events.is_empty() => {
                // Others have their turn before the next slice is looked at.
                context.run_later(Duration::ZERO, |cell, context| cell.actor().follow_up(context));
            }
            Some((Next::Events(events), origin)) => self.propose(events, origin, context),
        }
    }

    /// Orders a slice; when it is visible, the next one follows.
    fn propose(&mut self, events: Vec<Event>, origin: Arc<Origin>, context: &mut Context<Self>) {
        let account = EventAccount::open(origin.producer.as_str(), 0);
        let answer = self.order(Apply { events: events.clone(), read: None, account });
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
                cell.actor().follow_up(context);
                return;
            }
            // The journal is ill or too much is under way. What a directory says is not lost.
            context.run_later(AGAIN, |cell, context| cell.actor().propose(events, origin, context));
        }));
    }
}

impl Handler<UpdateMembership> for Cache {
    fn handle(
        &mut self,
        learnt: UpdateMembership,
        context: &mut Context<Self>,
    ) -> Reply<Result<(), ApplyError>> {
        let UpdateMembership { affected, gone, origin } = learnt;
        let mut consequences = SessionEffects::default();
        consequences.add(Arc::unwrap_or_clone(affected), &self.grounds.directory.read());
        let (done, seen) = oneshot::channel();
        let idle = self.learning.at_work.is_none() && self.learning.waiting.is_empty();
        self.learning.waiting.push_back(Task { consequences, gone, origin, done });
        if idle {
            self.follow_up(context);
        }
        Reply::later(async { seen.await.map_err(|_| ApplyError::Restarting) })
    }
}

#[cfg(test)]
mod tests;
