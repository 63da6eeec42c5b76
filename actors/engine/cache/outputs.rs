//! Carries out the outputs of the cache state machine: posts, replies and telemetry.

use std::time::Duration;

use actix::fut::{ActorFutureExt, ready, wrap_future};
use actix::prelude::*;
use rollcall_identity::engine::{CacheOutput, DecidedBatch, Recovery};

use super::Cache;
use crate::failover::request_state;
use crate::messages::{ExportLog, PublishChanges, Ticket, rejection};
use crate::telemetry::{AddressShared, CacheRestored, CacheResumed, StateLost, TableReloaded};
use rollcall_runtime::event_accounting::Received;
use rollcall_runtime::mailbox::{ActorCell, Context};
use rollcall_runtime::telemetry::TelemetryEvent;

impl Cache {
    /// Carries out the outputs of any input but a committed batch.
    pub(super) fn carry_out(&mut self, context: &mut Context<Self>) {
        let decided = self.next_decided(context);
        debug_assert!(decided.is_none(), "only a committed batch is decided");
    }

    /// Carries out the outputs up to the next decided batch.
    pub(super) fn next_decided(
        &mut self,
        context: &mut Context<Self>,
    ) -> Option<DecidedBatch<Ticket>> {
        while let Some(output) = self.state.poll_output() {
            match output {
                CacheOutput::Publish(decided) => return Some(decided),
                CacheOutput::Append(batch) => {
                    if let Err((batch, reason)) = self.journal.submit(batch) {
                        self.state.rejected(batch, rejection(reason));
                    }
                }
                CacheOutput::Reply(ticket, result) => ticket.reply(result),
                // A sender that no longer waits does not need the reply.
                CacheOutput::Updated(done) => drop(done.send(())),
                CacheOutput::Proposed(origin, count) => {
                    let (producer, count) = (origin.producer.as_str(), count as u64);
                    Received { producer, count }.emit();
                }
                CacheOutput::AddressShared(origin, address) => {
                    AddressShared { origin: &origin, address }.emit();
                }
                CacheOutput::NextSlice => self.next_slice(),
                CacheOutput::NextSliceLater => {
                    context.run_later(Duration::ZERO, |cell, context| {
                        cell.actor().next_slice();
                        cell.actor().carry_out(context);
                    });
                }
                CacheOutput::RequestState => self.request_state(context),
                CacheOutput::Reload => self.reload(context),
                CacheOutput::Recovered(recovery) => report(&recovery),
                // A query actor that has ended takes over from this cache.
                CacheOutput::PublishMissed(missed) => drop(self.query.post(PublishChanges(missed))),
                CacheOutput::InvalidateCheckpoint => self.journal.invalidate_checkpoint(),
                CacheOutput::Failed(failure) => fail(failure, context),
            }
        }
        None
    }

    fn next_slice(&mut self) {
        let now = self.clock.now();
        self.state.next_slice(&self.inputs.directory.read(), now);
    }

    /// Requests the state of the query actor. No other message is handled meanwhile.
    fn request_state(&self, context: &mut Context<Self>) {
        let (query, generation) = (self.query.clone(), self.state.generation());
        let state = async move { request_state(&query, ExportLog(generation)).await };
        context.wait(wrap_future::<_, ActorCell<Self>>(state).map(|state, cell, context| {
            match state {
                Ok(state) => cell.actor().state.peer_state(state),
                Err(not_ready) => return cell.fail(not_ready, context),
            }
            cell.actor().carry_out(context);
        }));
    }

    /// Requests the table from the journal. No other message is handled meanwhile.
    fn reload(&self, context: &mut Context<Self>) {
        let journal = self.journal.clone();
        let table = async move { journal.reload().await };
        context.wait(wrap_future::<_, ActorCell<Self>>(table).map(|table, cell, context| {
            cell.actor().state.reloaded(table);
            cell.actor().carry_out(context);
        }));
    }
}

/// Ends the actor with this error, before it handles another message.
fn fail(error: impl std::fmt::Display + 'static, context: &mut Context<Cache>) {
    context.wait(ready(()).map(move |(), cell: &mut ActorCell<Cache>, context| {
        cell.fail(error, context);
    }));
}

fn report(recovery: &Recovery) {
    match *recovery {
        Recovery::Resumed { sessions, missed } => CacheResumed { sessions, missed }.emit(),
        Recovery::Restored { sessions, ref error } => {
            let error = error.as_ref().map(|error| error.0.as_str());
            CacheRestored { sessions, error }.emit();
        }
        Recovery::Reloaded { sessions } => TableReloaded { sessions }.emit(),
        Recovery::Lost => StateLost { actor: "cache" }.emit(),
    }
}
