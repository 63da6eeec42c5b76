//! Telling: batches go on their way, as many at once as the window lets, and what the target says of
//! each moves the place up to where it knows everything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rollcall_identity::delivery::{OutgoingBatch, SendOutcome, SkippedChange};
use rollcall_wire::secure_edge::SessionDigest;

use super::Course;
use crate::speech::{Arrived, Mouth, Piece};
use crate::telemetry::{ReportRefused, Sent};
use crate::trouble::Trouble;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// What became of a batch that was on its way.
pub(super) struct Returned {
    mouth: Mouth,
    launch: OutgoingBatch,
    arrived: Result<Arrived, Trouble>,
    bytes: u64,
    took: Duration,
}

impl Course {
    /// Tells what is in the window, until something else may be read or, at a rate, something else
    /// be told. Returns how many reports were sent, whatever became of them.
    pub(super) async fn tell(&mut self) -> Result<usize, Trouble> {
        let mut told = 0;
        while let Some(returned) = self.on_way.next().await {
            told += self.land(returned?)?;
            if told > 0 && (self.delivery.wants_page() || self.rate.is_some()) {
                break;
            }
            self.launch()?;
        }
        Ok(told)
    }

    /// Sends whatever may go on its way.
    pub(super) fn launch(&mut self) -> Result<(), Trouble> {
        while let Some(launch) = self.delivery.next_batch() {
            let mouth = match self.mouths.take() {
                Ok(mouth) => mouth,
                Err(trouble) => {
                    // It was not sent.
                    let _ = self.delivery.on_outcome(&launch, SendOutcome::NotApplied);
                    return Err(trouble);
                }
            };
            let piece = Piece {
                changes: Arc::clone(&launch.changes),
                after: launch.after,
                next: launch.next,
                turn: self.turn.clone(),
            };
            let began = Clock::instant();
            let told = mouth.ask(move |speech| (speech.tell(&piece), speech.take_sent()));
            self.on_way.push(Box::pin(async move {
                let (arrived, bytes) = told.await?;
                Ok(Returned { mouth, launch, arrived, bytes, took: began.elapsed() })
            }));
        }
        Ok(())
    }

    /// Takes note of what became of a batch. Returns how many reports were in it.
    fn land(&mut self, returned: Returned) -> Result<usize, Trouble> {
        let Returned { mouth, launch, arrived, bytes, took } = returned;
        self.mouths.give(mouth);
        Sent { target: self.recipient.name(), bytes, took }.emit();
        self.recipient.sent(bytes);
        let landing = match &arrived {
            Ok(_) => SendOutcome::Accepted,
            Err(trouble @ Trouble::Indigestible { .. }) => {
                SendOutcome::Rejected(trouble.to_string())
            }
            Err(Trouble::Unreachable(_) | Trouble::Garbled(_) | Trouble::Unaccepted(_)) => {
                SendOutcome::Unknown
            }
            Err(_) => SendOutcome::NotApplied,
        };
        match (arrived, self.delivery.on_outcome(&launch, landing)) {
            // What it took is no news to it.
            (_, Ok(Some(SkippedChange { address, reason }))) => {
                let refused = vec![(Some(address), reason)];
                self.arrived(&Arrived { refused, ..Arrived::default() });
            }
            (Ok(arrived), _) => self.arrived(&arrived),
            // It is sent in two, or something else in its place.
            (Err(_), Ok(None)) => {}
            (Err(trouble), Err(_)) => return Err(trouble),
        }
        Ok(launch.changes.len())
    }

    /// Waits for whatever is on its way, each for no longer than a request may take. Nobody is told
    /// anything more by what becomes of it: the failure before counts.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        while let Some(returned) = self.on_way.next().await {
            let _ = self.land(returned?);
        }
        Ok(())
    }

    fn arrived(&mut self, arrived: &Arrived) {
        self.recipient.arrived(arrived);
        for (address, reason) in &arrived.refused {
            self.unheld.extend(address.map(SessionDigest::page));
            ReportRefused { target: self.recipient.name(), address: *address, reason }.emit();
        }
    }
}
