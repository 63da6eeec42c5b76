//! Crashes, restarts, and the return to an idle world once all faults are over.

use std::sync::Arc;

use rollcall_identity::{Journal, SteadyClock, Timestamp};

use super::{ROUNDS, START, World};
use crate::simulation::disk::Crash;
use crate::simulation::server::Server;
use crate::simulation::store::Store;
use crate::simulation::truth::{Kept, Promise};

impl World {
    /// The process ends. The next one starts with the content of the disk.
    pub(super) fn crash(&mut self) -> Kept {
        let crash = if self.chance.once_in(2) { Crash::Kill } else { Crash::Power };
        let mut disk = self.server.take().expect("it was there").end().disk;
        loop {
            self.crashes += 1;
            disk.crash(crash);
            if self.chance.once_in(8) {
                let operations = self.chance.below(5);
                disk.light(operations);
            }
            // A start sets the clock of the machine.
            self.set_ahead = 0;
            let running = self.now.since(Timestamp::from_millis(START));
            self.clock = SteadyClock::new(self.now, running);
            let store = Store::new(disk, self.epoch, self.fault);
            let known = (Arc::clone(&self.rules), &self.directory, self.now);
            match Server::start(store, known, self.fault) {
                Ok(server) => {
                    self.server = Some(server);
                    return self.look_around();
                }
                Err(store) => disk = store.disk,
            }
        }
    }

    /// Without faults, all pending work is done, and then all parts must agree.
    pub(super) fn rest(&mut self) -> Kept {
        for _ in 0..ROUNDS {
            let mut busy = false;
            for site in 0..self.sites.len() {
                // A producer waits for its answer, and submits when the mailbox has room.
                busy |= self.server().is_idle() && self.send_from(site);
            }
            busy |= self.server().is_idle() && self.update_memberships();
            busy |= self.write();
            busy |= self.fold()?;
            busy |= self.show()? | self.tend() | self.expire() | self.push()? | self.poll();
            busy |= self.start_actors()?;
            if self.server().is_stuck() {
                self.server().time_out();
            }
            busy |= self.server().store.keep();
            self.answer()?;
            if self.server().store.disk.is_dead() {
                self.crash()?;
                busy = true;
            }
            if !busy && self.server().is_idle() && self.server().store.write_error().is_none() {
                return self.agree();
            }
        }
        Err(Promise::Recovery.broken("it never comes to rest"))
    }

    /// A last start from the disk gives the same state.
    pub(super) fn stop_and_start(&mut self) -> Kept {
        self.crash()?;
        self.rest()
    }
}
