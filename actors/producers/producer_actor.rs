//! The actor that supervises one producer and forwards its events to the cache.

use std::sync::Arc;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::prelude::*;
use rollcall_engine::cache::Cache;
use rollcall_engine::messages::{Apply, ApplyError, GetReadPosition, UpdateMembership};
use rollcall_identity::Receipt;
use rollcall_journal::WriteErrorWatch;
use rollcall_runtime::actor_metrics::Stage;
use rollcall_runtime::mailbox::{Actor, ActorCell, Context, Handler, Mailbox, Reply};
use rollcall_runtime::telemetry::TelemetryEvent;
use tokio::sync::watch;

use crate::telemetry::ProducerBegins;
use crate::{EventSink, Producer, StopSignal};

/// Stops the producer. The reply comes when everything that it has read is submitted.
#[derive(Debug)]
pub struct Close;

impl Message for Close {
    type Result = ();
}

/// The actor of every producer.
pub struct ProducerActor {
    producer: Arc<dyn Producer>,
    mailbox: Mailbox<Self>,
    cache: Mailbox<Cache>,
    journal_status: WriteErrorWatch,
    stop: watch::Sender<bool>,
    done: watch::Sender<bool>,
}

impl ProducerActor {
    /// An actor for `producer` with `mailbox`, which forwards to `cache`.
    pub fn new(producer: Arc<dyn Producer>, mailbox: Mailbox<Self>, cache: Mailbox<Cache>) -> Self {
        Self {
            producer,
            mailbox,
            cache,
            journal_status: watch::Sender::new(None).subscribe(),
            stop: watch::Sender::new(false),
            done: watch::Sender::new(false),
        }
    }

    /// The same actor; its producer can wait until the journal is writable.
    #[must_use]
    pub fn with_journal_status(self, journal_status: WriteErrorWatch) -> Self {
        Self { journal_status, ..self }
    }
}

impl Actor for ProducerActor {
    const KIND: &'static str = "producer";
    const STAGE: Stage = Stage::Receiving;

    fn started(&mut self, context: &mut Context<Self>) {
        let (name, mailbox) = (Arc::clone(self.mailbox.metrics().name()), self.mailbox.clone());
        let sink = EventSink { name, mailbox, journal_status: self.journal_status.clone() };
        ProducerBegins { producer: sink.producer() }.emit();
        let running = Arc::clone(&self.producer).run(sink, StopSignal::subscribe(&self.stop));
        let running = wrap_future::<_, ActorCell<Self>>(running);
        context.spawn(running.map(|ended, cell, context| {
            let requested = *cell.actor().stop.borrow();
            match ended {
                Ok(()) if requested => drop(cell.actor().done.send_replace(true)),
                Ok(()) => cell.fail("the producer ended without a stop request", context),
                Err(error) => cell.fail(error, context),
            }
        }));
    }
}

impl Handler<Apply> for ProducerActor {
    fn handle(
        &mut self,
        apply: Apply,
        _: &mut Context<Self>,
    ) -> Reply<Result<Receipt, ApplyError>> {
        let cache = self.cache.clone();
        Reply::later(async move {
            // While the cache is being replaced, events wait for the next generation.
            cache.wait_until_running().await;
            cache.send(apply).await?
        })
    }
}

impl Handler<GetReadPosition> for ProducerActor {
    fn handle(
        &mut self,
        message: GetReadPosition,
        _: &mut Context<Self>,
    ) -> Reply<Result<Option<Arc<[u8]>>, ApplyError>> {
        let cache = self.cache.clone();
        Reply::later(async move {
            cache.wait_until_running().await;
            cache.send(message).await?
        })
    }
}

impl Handler<UpdateMembership> for ProducerActor {
    fn handle(
        &mut self,
        update: UpdateMembership,
        _: &mut Context<Self>,
    ) -> Reply<Result<(), ApplyError>> {
        let cache = self.cache.clone();
        Reply::later(async move {
            cache.wait_until_running().await;
            cache.send(update).await?
        })
    }
}

impl Handler<Close> for ProducerActor {
    fn handle(&mut self, _: Close, _: &mut Context<Self>) -> Reply<()> {
        self.stop.send_replace(true);
        let mut done = self.done.subscribe();
        Reply::later(async move {
            let _ = done.wait_for(|done| *done).await;
        })
    }
}
