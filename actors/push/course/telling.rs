//! Telling: batches go on their way, as many at once as the window lets, and what the target says of
//! each moves the place up to where it knows everything.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::{Beginning, Course};
use crate::clock::Clock;
use crate::happenings::{Happening, ReportRefused, Sent};
use crate::push::speech::{Arrived, Mouth, Piece};
use crate::push::trouble::Trouble;
use crate::push::window::{Launch, Number, Refused};

/// What became of a batch that was on its way.
pub(super) struct Landed {
    mouth: Mouth,
    launch: Launch,
    arrived: Result<Arrived, Trouble>,
    bytes: u64,
    took: Duration,
}

/// How many reports in a row may be refused as bad ones. When more are, it is not the reports: a
/// proxy or a changed interface refuses everything, and what is not told is not given up.
const REFUSALS: u32 = 8;

impl Course {
    /// Tells what is in the window, until something else may be read or, at a rate, something else
    /// be told. Returns how many reports were told.
    pub(super) async fn tell(&mut self) -> Result<usize, Trouble> {
        let mut told = 0;
        while let Some(landed) = self.on_way.next().await {
            match self.land(landed?) {
                Ok(reports) => told += reports,
                Err(trouble) => {
                    self.settle().await?;
                    return Err(trouble);
                }
            }
            let read_on = self.more && self.window.has_room();
            if told > 0 && (read_on || self.rate.is_some()) {
                break;
            }
            self.launch()?;
        }
        if self.window.is_empty() {
            self.cursor = self.read;
        }
        Ok(told)
    }

    /// Sends whatever may go on its way.
    pub(super) fn launch(&mut self) -> Result<(), Trouble> {
        while let Some(launch) = self.window.launch() {
            let mouth = self.mouths.take()?;
            let piece = Piece {
                changes: Arc::clone(&launch.changes),
                after: launch.after,
                next: launch.next,
                turn: self.turn.clone(),
            };
            let began = Clock::instant();
            self.on_way.push(Box::pin(async move {
                let (arrived, bytes) =
                    mouth.ask(move |speech| (speech.tell(&piece), speech.take_sent())).await?;
                Ok(Landed { mouth, launch, arrived, bytes, took: began.elapsed() })
            }));
        }
        Ok(())
    }

    /// Takes note of what became of a batch. Returns how many reports were told with it.
    fn land(&mut self, landed: Landed) -> Result<usize, Trouble> {
        let Landed { mouth, launch: Launch { number, changes, .. }, arrived, bytes, took } = landed;
        self.mouths.give(mouth);
        Sent { target: self.recipient.name(), bytes, took }.emit();
        self.recipient.sent(bytes);
        match (arrived, &*changes) {
            (Ok(arrived), _) => {
                self.arrived(&arrived);
                self.confirmed = false;
                if !changes.is_empty() {
                    self.refusals = 0;
                }
                self.arrived_at(number);
                Ok(changes.len())
            }
            (Err(Trouble::Indigestible { .. }), [_, _, ..]) => {
                self.window.halve(number);
                Ok(0)
            }
            (Err(trouble @ Trouble::Indigestible { .. }), [change]) => {
                let refused = Refused { address: change.address, reason: trouble.to_string() };
                self.refuse(number, refused, trouble)
            }
            (Err(trouble), _) => {
                self.window.failed(number);
                Err(trouble)
            }
        }
    }

    /// A report is refused that was alone: as a bad one, or for what is wrong with the target.
    fn refuse(
        &mut self,
        number: Number,
        refused: Refused,
        trouble: Trouble,
    ) -> Result<usize, Trouble> {
        self.refusals += 1;
        if self.refusals > REFUSALS {
            // One more is given up with each attempt, in case they are bad after all.
            self.refusals = REFUSALS - 1;
            self.window.failed(number);
            return Err(trouble);
        }
        self.window.leave_out(number, refused);
        if self.beginning == Beginning::Overwrites {
            // It has no place that would have to go on.
            self.arrived_at(number);
        }
        Ok(1)
    }

    /// The target has said yes to a batch: it knows more, if it knew everything before.
    fn arrived_at(&mut self, number: Number) {
        if let Some(Refused { address, reason }) = self.window.arrived(number) {
            let refused = vec![(Some(address), reason)];
            self.arrived(&Arrived { refused, ..Arrived::default() });
        }
        self.cursor = self.window.at();
    }

    /// Waits for whatever is on its way, each for no longer than a request may take. Nobody is told
    /// anything more by what becomes of it: the failure before counts.
    pub(super) async fn settle(&mut self) -> Result<(), Trouble> {
        while let Some(landed) = self.on_way.next().await {
            let _ = self.land(landed?);
        }
        Ok(())
    }

    fn arrived(&self, arrived: &Arrived) {
        self.recipient.arrived(arrived);
        for (address, reason) in &arrived.refused {
            ReportRefused { target: self.recipient.name(), address: *address, reason }.emit();
        }
    }
}
