//! Delivery to push targets. One actor per target reads the changes by a cursor of its own. The cursor
//! advances only when the target has acknowledged a batch.

mod capabilities;
pub mod cursor_store;
mod delivery_loop;
mod dialect;
mod dialects;
mod error;
mod http;
pub mod metrics;
mod registry;
mod status;
mod target;
mod telemetry;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_identity::Revision;
use tokio::sync::{mpsc, watch};

pub use self::capabilities::{Capabilities, DeleteAbsent, GroupsModel, ReadBack};
pub use self::cursor_store::FileCursorStore;
pub use self::delivery_loop::Command;
use self::delivery_loop::{DeliveryLoop, Inputs};
pub use self::dialects::target_files;
pub(crate) use self::error::PushError;
pub use self::registry::PushTargets;
pub use self::status::{ComparisonStatus, Drift, Outcome, TargetStatus};
pub use self::target::TargetHandle;
use self::worker::WorkerPool;
use rollcall_engine::query::Query;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};

impl Message for Command {
    type Result = ();
}

/// Completes the current request and ends. The reply is sent afterwards.
#[derive(Debug)]
pub struct Close;

impl Message for Close {
    type Result = ();
}

/// The push actor of one target.
pub struct Push {
    target: Arc<TargetHandle>,
    query: Mailbox<Query>,
    newest: watch::Receiver<Revision>,
    clock: Clock,
    commands: Option<mpsc::Sender<Command>>,
    closing: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl Push {
    /// An actor that sends the changes of `query` to `target`. `newest` wakes it.
    pub fn new(
        target: Arc<TargetHandle>,
        query: Mailbox<Query>,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let (closing, closed) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { target, query, newest, clock, commands: None, closing, closed }
    }

    /// The inputs of a new delivery loop.
    fn inputs(&mut self) -> Inputs {
        let (sender, commands) = mpsc::channel(Self::CAPACITY);
        self.commands = Some(sender);
        let (query, newest) = (self.query.clone(), self.newest.clone());
        Inputs { query, newest, commands, closing: self.closing.subscribe() }
    }

    /// A new delivery loop. It starts when the workers of the previous one have ended.
    fn delivery_loop(&mut self) -> impl Future<Output = Result<(), PushError>> + use<> {
        let (target, inputs) = (Arc::clone(&self.target), self.inputs());
        let (dialect, clock) = (target.dialect(), self.clock.clone());
        async move {
            let create = move || dialect.create(&clock);
            let workers = WorkerPool::new(target.name(), &target.fence, create).await?;
            DeliveryLoop::new(target, workers, inputs).run().await
        }
    }
}

impl Actor for Push {
    const KIND: &'static str = "push";
    const STAGE: Stage = Stage::Pushing;
    const CAPACITY: usize = 16;

    fn started(&mut self, context: &mut Context<Self>) {
        let delivery = wrap_future::<_, ActorCell<Self>>(self.delivery_loop());
        context.spawn(delivery.map(|end, cell, context| match end {
            Ok(()) => drop(cell.actor().closed.send_replace(true)),
            Err(error) => cell.fail(error, context),
        }));
    }
}

impl Handler<Command> for Push {
    fn handle(&mut self, command: Command, _: &mut Context<Self>) -> Reply<()> {
        let Some(commands) = self.commands.clone() else { return Reply::Now(()) };
        Reply::later(async move {
            // If the loop has ended, the reply channel of the command is closed.
            let _ = commands.send(command).await;
        })
    }
}

impl Handler<Close> for Push {
    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Reply<()> {
        self.closing.send_replace(true);
        let mut closed = self.closed.subscribe();
        Reply::later(async move {
            let _ = closed.wait_for(|closed| *closed).await;
        })
    }
}
