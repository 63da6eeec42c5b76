//! The query actor: a [`ReadModel`] behind a queue.

use rollcall_identity::engine::{
    EngineRole, Ownership, ReadModel, StaleTakeover, StateTransfer, Visibility,
};
use rollcall_identity::{ChangeLogLimits, Timestamp};

use super::Server;
use super::messages::{Message, Running};
use super::ownership::Owner;
use crate::simulation::faults::Fault;
use crate::simulation::truth::{Broken, Promise};

/// The state of the query actor.
pub(super) struct Query {
    owner: Owner,
    /// `None` until it has the state of the cache.
    pub(super) model: Option<ReadModel>,
    /// The newest generation of the cache that took its state.
    fenced: u64,
}

impl Query {
    pub(super) fn take_over(&mut self, state: StateTransfer) -> Result<(), StaleTakeover> {
        let model = ReadModel::take_over(&self.owner, ChangeLogLimits::default(), state)?;
        self.model = Some(model);
        Ok(())
    }
}

impl Server {
    /// Starts a generation of the query actor. Returns whether it runs.
    pub(super) fn start_query(&mut self, now: Timestamp) -> bool {
        let owner = self.acquire(EngineRole::Query);
        let (generation, limits) = (owner.generation(), ChangeLogLimits::default());
        let model = ReadModel::start(&owner, limits, now);
        self.visible += u64::from(model.is_some());
        let is_ready = model.is_some();
        self.query = Some(Running::new(generation, Query { owner, model, fenced: 0 }));
        if !is_ready {
            self.post(EngineRole::Cache, Message::Export(generation));
        }
        self.query.is_some()
    }

    /// The query actor handles its next message. Returns whether there was one.
    pub(in crate::simulation) fn step_query(&mut self, now: Timestamp) -> Result<bool, Broken> {
        let Some(Running { generation, state, mailbox }) = &mut self.query else {
            return Ok(false);
        };
        let Query { model: Some(model), fenced, .. } = state else { return Ok(false) };
        match mailbox.pop_front() {
            None => return Ok(false),
            Some(Message::Export(cache)) => {
                let fence = model.fence(cache);
                *fenced = cache.max(*fenced);
                let state = model.export(&fence, *generation);
                self.state_exported(cache, state);
            }
            Some(Message::Publish(mut publication, pending)) => {
                let (sender, fenced) = (publication.generation, *fenced);
                if self.fault == Some(Fault::LateChangesShown) {
                    publication.generation = sender.max(fenced);
                }
                let visibility = model.publish(&publication, now);
                let is_visible = visibility == Visibility::Visible;
                Promise::Fencing.unless(!is_visible || sender >= fenced, || {
                    format!("changes of cache {sender} are visible after {fenced} took over")
                })?;
                self.visible += u64::from(is_visible && !publication.changes.is_empty());
                pending.into_iter().for_each(|pending| self.confirm(sender, pending, visibility));
            }
            Some(other) => self.undelivered(other),
        }
        Ok(true)
    }
}
