//! Push actors: one for each target that does not ask. It reads the changes by a cursor of its own,
//! and nothing counts as told before the target has said that it took it.

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

use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_config::{PushProtocol, PushTarget};
use rollcall_identity::Revision;
use tokio::sync::{mpsc, watch};

pub use self::cursor_store::FileCursorStore;
pub use self::delivery_loop::Command;
use self::delivery_loop::{DeliveryLoop, Inputs};
use self::dialect::{Dialect, WorkerPool};
pub(crate) use self::error::PushError;
use self::http::Http;
pub use self::registry::PushTargets;
pub use self::status::{ComparisonStatus, Drift, Outcome};
pub use self::target::{TargetHandle, TargetStatus};
use crate::dialects::secure_edge::{SecureEdge, TokenCache};
use crate::dialects::srx_web_api::SrxWebApi;
use rollcall_engine::query::Query;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};

impl Message for Command {
    type Result = ();
}

/// Lets it finish what it is saying, and end. The answer comes when it has.
#[derive(Debug)]
pub struct Close;

impl Message for Close {
    type Result = ();
}

/// The role.
pub struct Push {
    target: Arc<TargetHandle>,
    query: Mailbox<Query>,
    newest: watch::Receiver<Revision>,
    clock: Clock,
    wishes: Option<mpsc::Sender<Command>>,
    closing: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl Push {
    /// One that tells `recipient` what `query` knows. `newest` wakes it.
    pub fn new(
        target: Arc<TargetHandle>,
        query: Mailbox<Query>,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let (closing, closed) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { target, query, newest, clock, wishes: None, closing, closed }
    }

    /// Whom a new way is told by.
    fn inputs(&mut self) -> Inputs {
        let (sender, wishes) = mpsc::channel(Self::CAPACITY);
        self.wishes = Some(sender);
        let (query, newest) = (self.query.clone(), self.newest.clone());
        Inputs { query, newest, wishes, closing: self.closing.subscribe() }
    }
}

/// What makes the dialect of a target, for each thread that speaks it. What of its files cannot be
/// read is said whenever it is spoken to, until the files are there.
fn dialect(target: PushTarget, clock: Clock) -> impl Fn() -> Box<dyn Dialect> + Send {
    let tokens = TokenCache::default();
    move || {
        let http = Http::new(target.clone(), clock.clone());
        match target.protocol.clone() {
            PushProtocol::SecureEdge(edge) => {
                Box::new(SecureEdge::new(target.name.as_str(), edge, http, Arc::clone(&tokens)))
            }
            PushProtocol::SrxWebApi(srx) => Box::new(SrxWebApi::new(srx, http)),
        }
    }
}

impl Actor for Push {
    const KIND: &'static str = "push";
    const STAGE: Stage = Stage::Pushing;
    const CAPACITY: usize = 16;

    fn started(&mut self, context: &mut Context<Self>) {
        let (target, inputs) = (Arc::clone(&self.target), self.inputs());
        let dialect = dialect(target.target.clone(), self.clock.clone());
        let way = async move {
            let workers = WorkerPool::new(target.name(), &target.floor, dialect).await?;
            DeliveryLoop::new(target, workers, inputs).run().await
        };
        context.spawn(wrap_future::<_, ActorCell<Self>>(way).map(|end, cell, context| match end {
            Ok(()) => drop(cell.actor().closed.send_replace(true)),
            Err(error) => cell.fail(error, context),
        }));
    }
}

impl Handler<Command> for Push {
    fn handle(&mut self, command: Command, _: &mut Context<Self>) -> Reply<()> {
        let Some(wishes) = self.wishes.clone() else { return Reply::Now(()) };
        Reply::later(async move {
            // A way that has ended grants nothing; whoever waits for an answer learns so.
            let _ = wishes.send(command).await;
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
