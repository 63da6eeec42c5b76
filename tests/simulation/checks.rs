//! The properties that are checked after each start, and when the world is idle.

use std::collections::BTreeSet;

use rollcall_identity::{Journal, Revision};

use super::sources::Transport;
use super::truth::{Kept, Promise, Said};
use super::world::World;

impl World {
    /// The committed read position of `site`.
    pub(super) fn place(&mut self, site: usize) -> usize {
        let source = self.sites[site].source();
        let place = self.server().store.read_position(&source);
        let bytes = place.map_or([0; 8], |place| (*place).try_into().expect("eight bytes"));
        usize::try_from(u64::from_be_bytes(bytes)).expect("a place in a short log")
    }

    /// After a start, every acknowledged event is present, and no other.
    pub(super) fn look_around(&mut self) -> Kept {
        for target in &mut self.targets {
            target.replace_actor(&mut self.chance);
        }
        let history = self.server().store.disk.history();
        let there: BTreeSet<Said> = history.iter().map(|(_, event)| Said::of(event)).collect();
        let lost = self.acknowledged.iter().find(|said| !there.contains(*said));
        Promise::Acknowledged.unless(lost.is_none(), || format!("{lost:?} is lost"))?;
        let newest = history.last().map_or(Revision(0), |(revision, _)| *revision);
        Promise::Revisions.unless(newest >= self.newest_reported, || {
            format!("{} was reported, and {newest} is the newest", self.newest_reported)
        })?;
        let ascends = history.windows(2).all(|two| two[0].0 < two[1].0);
        Promise::Revisions.unless(ascends, || "the history does not ascend".to_owned())?;
        let (epoch, now) = (self.server().store.epoch(), self.now);
        Promise::Revisions.unless(epoch == self.epoch, || "the epoch is another".to_owned())?;
        self.truth.rewind();
        for (_, event) in &history {
            self.truth.fold(event, now)?;
        }
        self.knows_to(newest);
        let server = self.server.as_ref().expect("it was started");
        server.table().map_or(Ok(()), |table| self.truth.compare(table))?;
        self.check_positions()?;
        self.lost.clear();
        for at in 0..self.sites.len() {
            if self.sites[at].transport == Transport::Read {
                self.sites[at].waiting = None;
                self.sites[at].place = self.place(at);
            }
        }
        Ok(())
    }

    fn check_positions(&mut self) -> Kept {
        let history = self.server().store.disk.history();
        for at in 0..self.sites.len() {
            if self.sites[at].transport != Transport::Read {
                continue;
            }
            let place = self.place(at);
            let site = &self.sites[at];
            let of_site =
                history.iter().filter(|(_, event)| event.origin.client == site.origin.client);
            let there: BTreeSet<Said> = of_site.map(|(_, event)| Said::of(event)).collect();
            let expected = site.events_before(place);
            Promise::Positions.unless(there.len() == expected, || {
                format!("{} events of the {expected} before {place}", there.len())
            })?;
        }
        Ok(())
    }

    /// All parts agree, and every account is closed.
    pub(super) fn agree(&mut self) -> Kept {
        let (now, _) = self.clock();
        let through = self.sites.iter().position(|site| !site.is_drained());
        Promise::Recovery.unless(through.is_none(), || format!("{through:?} is not through"))?;
        self.check_positions()?;
        let server = self.server.as_ref().expect("it was started");
        server.check_accounts()?;
        let Some(table) = server.table() else {
            return Err(Promise::Recovery.broken("no cache decides"));
        };
        self.truth.compare(table)?;
        self.directory.check(table, server.log(), now)?;
        self.firewall.check(table, now)?;
        self.targets.iter().try_for_each(|target| target.check(table, now))
    }
}
