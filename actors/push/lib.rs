//! Push actors: one for each target that does not ask. It reads the changes by a cursor of its own,
//! and nothing counts as told before the target has said that it took it.

mod course;
mod http;
pub mod keeping;
pub mod metrics;
mod recipient;
mod secure_edge;
mod speech;
mod srx_web_api;
mod targets;
mod telemetry;
#[cfg(test)]
mod tests;
mod trouble;

use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_config::{PushProtocol, PushTarget};
use rollcall_identity::Revision;
use tokio::sync::{mpsc, watch};

pub use self::course::{Compared, Drift, Outcome, Wish};
use self::course::{Course, Ears};
use self::http::Http;
pub use self::keeping::FileKeeping;
pub use self::recipient::{Recipient, TargetStatus};
use self::secure_edge::{Purse, SecureEdge};
use self::speech::{Mouths, Speech};
use self::srx_web_api::SrxWebApi;
pub use self::targets::Targets;
pub(crate) use self::trouble::Trouble;
use rollcall_engine::query::Query;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};

impl Message for Wish {
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
    recipient: Arc<Recipient>,
    query: Mailbox<Query>,
    newest: watch::Receiver<Revision>,
    clock: Clock,
    wishes: Option<mpsc::Sender<Wish>>,
    closing: watch::Sender<bool>,
    closed: watch::Sender<bool>,
}

impl Push {
    /// One that tells `recipient` what `query` knows. `newest` wakes it.
    pub fn new(
        recipient: Arc<Recipient>,
        query: Mailbox<Query>,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let (closing, closed) = (watch::Sender::new(false), watch::Sender::new(false));
        Self { recipient, query, newest, clock, wishes: None, closing, closed }
    }

    /// Whom a new way is told by.
    fn ears(&mut self) -> Ears {
        let (sender, wishes) = mpsc::channel(Self::CAPACITY);
        self.wishes = Some(sender);
        let (query, newest) = (self.query.clone(), self.newest.clone());
        Ears { query, newest, wishes, closing: self.closing.subscribe() }
    }
}

/// What makes the dialect of a target, for each thread that speaks it. What of its files cannot be
/// read is said whenever it is spoken to, until the files are there.
fn speech(target: PushTarget, clock: Clock) -> impl Fn() -> Box<dyn Speech> + Send {
    let purse = Purse::default();
    move || {
        let http = Http::new(target.clone(), clock.clone());
        match target.protocol.clone() {
            PushProtocol::SecureEdge(edge) => {
                Box::new(SecureEdge::new(target.name.as_str(), edge, http, Arc::clone(&purse)))
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
        let (recipient, ears) = (Arc::clone(&self.recipient), self.ears());
        let speech = speech(recipient.target.clone(), self.clock.clone());
        let way = async move {
            let mouths = Mouths::new(recipient.name(), &recipient.floor, speech).await?;
            Course::new(recipient, mouths, ears).run().await
        };
        context.spawn(wrap_future::<_, ActorCell<Self>>(way).map(|end, cell, context| match end {
            Ok(()) => drop(cell.actor().closed.send_replace(true)),
            Err(trouble) => cell.fail(trouble, context),
        }));
    }
}

impl Handler<Wish> for Push {
    fn handle(&mut self, wish: Wish, _: &mut Context<Self>) -> Reply<()> {
        let Some(wishes) = self.wishes.clone() else { return Reply::Now(()) };
        Reply::later(async move {
            // A way that has ended grants nothing; whoever waits for an answer learns so.
            let _ = wishes.send(wish).await;
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
