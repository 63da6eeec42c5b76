//! Those who are told by the server: each is carried everything by a delivery as the push actors have
//! it, over a line that loses answers, repeats requests late, and by an actor that is replaced.

use rollcall_identity::delivery::{
    Delivery, Failure, Found, Hears, Kept, Landing, Launch, Place, Scope, Standing, Turned,
};
use rollcall_identity::{ChangeLog, Cursor, Revision, Table, Timestamp};

use super::consumers::{compare, read};
use super::faults::Fault;
use super::receivers::{Edge, Elsewhere, Receiver};
use super::truth::Kept as Promised;
use crate::harness::Chance;

/// A target, with what the server knows of it.
pub(super) struct Target {
    name: &'static str,
    pub(super) receiver: Receiver,
    delivery: Delivery,
    /// What is on its way.
    on_way: Vec<Launch>,
    /// What was given up and is still somewhere on its way, and the turn that it is of.
    late: Vec<(Launch, u64)>,
    /// Pieces that follow each other without a question between them.
    turn: u64,
    /// What is on the disk.
    kept: Option<Cursor>,
    /// Whether it has everything that was visible when that was looked for.
    rests: bool,
    /// How often something had become visible by then.
    seen: u64,
    /// Whether what it holds is to be compared with what it should hold.
    is_checked: bool,
    /// What stands before it, and says that it cannot take whatever comes.
    proxy: Proxy,
}

/// What stands before a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proxy {
    Passes,
    Refuses,
}

/// What a target is told from, and how often something has become visible there.
pub(super) struct Voice<'a> {
    /// None while the query actor is replaced.
    pub(super) log: Option<&'a ChangeLog>,
    pub(super) visible: u64,
    pub(super) now: Timestamp,
}

impl Target {
    /// A Secure Edge that takes `width` batches at once.
    pub(super) fn edge(width: usize) -> Self {
        Self::new("Secure Edge", Receiver::Edge(Edge::new(width)))
    }

    /// A firewall in ClearPass mode.
    pub(super) fn clear_pass() -> Self {
        Self::new("firewall in ClearPass mode", Receiver::ClearPass(Default::default()))
    }

    fn new(name: &'static str, receiver: Receiver) -> Self {
        let delivery = Delivery::new(receiver.opening());
        let (on_way, late) = (Vec::new(), Vec::new());
        let (rests, is_checked) = (false, false);
        let (turn, kept, seen) = (0, None, 0);
        let proxy = Proxy::Passes;
        Self { name, receiver, delivery, on_way, late, turn, kept, rests, seen, is_checked, proxy }
    }

    /// The actor that told it is replaced, or the whole server: of how it stood only what is on the disk
    /// is known. What was on its way arrives, or is lost, or late.
    pub(super) fn actor_is_new(&mut self, chance: &mut Chance) {
        for launch in std::mem::take(&mut self.on_way) {
            match chance.below(4) {
                _ if self.proxy == Proxy::Refuses => {}
                0 => self.late.push((launch, self.turn)),
                1 => {}
                _ => drop(self.receiver.take(&launch, self.turn)),
            }
        }
        self.delivery = Delivery::new(self.receiver.opening());
        // The name of a turn is never given again.
        self.turn += 1;
        (self.rests, self.seen) = (false, 0);
    }

    /// It loses everything that it was told; the daily check finds it out.
    pub(super) fn forget(&mut self) {
        self.receiver.forget();
        self.is_checked = true;
    }

    /// One step of the actor's. Whether it did anything; it rests until something becomes visible.
    pub(super) fn step(
        &mut self,
        voice: &Voice<'_>,
        (chance, fault): (&mut Chance, Option<Fault>),
    ) -> bool {
        if !self.late.is_empty() && chance.once_in(4) {
            let at = chance.below(self.late.len() as u64) as usize;
            let (launch, turn) = self.late.remove(at);
            let _ = self.receiver.take(&launch, turn);
        }
        match self.delivery.standing() {
            Standing::Unsure => self.find(chance),
            Standing::Anew => self.begin(chance),
            Standing::Ending => self.end(voice.visible, (chance, fault)),
            Standing::Synchronising | Standing::Following => {
                return self.go_on(voice, (chance, fault));
            }
        }
        true
    }

    fn find(&mut self, chance: &mut Chance) {
        if chance.once_in(6) {
            return self.delivery.failed(Failure::Other);
        }
        let scope = Scope::Same;
        let kept = self.kept.map(|cursor| Kept { cursor, hears: Hears::Admitted, scope });
        let place = self.receiver.place();
        let found = self.delivery.found(place, kept, self.receiver.width());
        assert_ne!(found, Found::Corrects, "its scope is never another");
        if place == Place::Untold {
            // The next life is to know that there was one.
            self.kept = self.kept.or(self.delivery.safe());
        }
        self.turn += 1;
    }

    fn begin(&mut self, chance: &mut Chance) {
        self.turn += 1;
        self.receiver.begin(self.turn);
        match chance.once_in(6) {
            true => self.delivery.failed(Failure::Other),
            false => self.delivery.begun(self.receiver.width()),
        }
    }

    fn go_on(&mut self, voice: &Voice<'_>, (chance, fault): (&mut Chance, Option<Fault>)) -> bool {
        if self.rests {
            if self.seen == voice.visible && !self.is_checked {
                return false;
            }
            self.rests = false;
        }
        if self.on_way.is_empty() && self.delivery.look() {
            self.seen = voice.visible;
        }
        self.launch(fault);
        if self.delivery.wants_page() && (self.on_way.is_empty() || chance.once_in(2)) {
            self.read(voice, chance);
            self.launch(fault);
        } else if !self.on_way.is_empty() {
            let at = chance.below(self.on_way.len() as u64) as usize;
            let launch = self.on_way.remove(at);
            self.land(&launch, (chance, fault));
        }
        let is_told = self.on_way.is_empty() && self.delivery.is_told();
        if is_told && self.delivery.standing() == Standing::Following {
            self.all_is_told(chance);
        }
        true
    }

    fn launch(&mut self, fault: Option<Fault>) {
        while let Some(launch) = self.delivery.launch() {
            if fault == Some(Fault::ToldWithoutItsWord) {
                let _ = self.delivery.landed(&launch, Landing::Taken);
                self.late.push((launch, self.turn));
            } else {
                self.on_way.push(launch);
            }
        }
    }

    /// Reads the next page, while batches may be on their way. The query actor may be replaced just now.
    fn read(&mut self, voice: &Voice<'_>, chance: &mut Chance) {
        let Some(log) = voice.log.filter(|_| !chance.once_in(10)) else {
            return self.fail(Failure::Other);
        };
        let page = read(log, self.delivery.read_after(), voice.now);
        if self.delivery.take(page) == Turned::TooLate {
            self.settle();
            self.delivery.anew();
            self.turn += 1;
        }
    }

    /// What was on its way meets its fate: it is taken and answered, or not, or too much at once.
    fn land(&mut self, launch: &Launch, (chance, fault): (&mut Chance, Option<Fault>)) {
        let (landing, failure) = match chance.below(14) {
            _ if self.proxy == Proxy::Refuses => (refused(), Failure::Other),
            0 => {
                let _ = self.receiver.take(launch, self.turn);
                (Landing::Lost, Failure::Other)
            }
            1 => {
                self.late.push((launch.clone(), self.turn));
                (Landing::Lost, Failure::Other)
            }
            2 if launch.changes.len() > 1 => (refused(), Failure::Other),
            3 => {
                self.proxy = Proxy::Refuses;
                (refused(), Failure::Other)
            }
            4 => (Landing::Untaken, Failure::Other),
            _ => match self.receiver.take(launch, self.turn) {
                Ok(()) => (Landing::Taken, Failure::Other),
                Err(Elsewhere) => (Landing::Untaken, Failure::Elsewhere),
            },
        };
        let is_lost = landing == Landing::Lost && fault == Some(Fault::LateForgotten);
        let landing = if is_lost { Landing::Untaken } else { landing };
        match self.delivery.landed(launch, landing) {
            Ok(left_out) => assert_eq!(left_out, None, "who refuses whatever comes is ill"),
            Err(_) => {
                self.fail(failure);
                // In the middle of a batch it never does.
                if chance.once_in(2) {
                    self.proxy = Proxy::Passes;
                }
            }
        }
    }

    /// Nothing of what is still on its way counts any more, whatever becomes of it.
    fn fail(&mut self, failure: Failure) {
        self.settle();
        self.delivery.failed(failure);
    }

    fn settle(&mut self) {
        for launch in std::mem::take(&mut self.on_way) {
            let landing = match self.proxy {
                Proxy::Refuses => refused(),
                Proxy::Passes => match self.receiver.take(&launch, self.turn) {
                    Ok(()) => Landing::Taken,
                    Err(Elsewhere) => Landing::Untaken,
                },
            };
            let _ = self.delivery.landed(&launch, landing);
        }
    }

    /// Ends a synchronisation, unless only the word that it took the end was lost.
    fn end(&mut self, visible: u64, (chance, fault): (&mut Chance, Option<Fault>)) {
        let Some(end) = self.delivery.end() else { return };
        if self.receiver.place() != Place::At(end) {
            let taken = self.receiver.end(self.turn, end);
            if taken.is_err() || chance.once_in(6) {
                let failure = if taken.is_err() { Failure::Elsewhere } else { Failure::Other };
                return self.delivery.failed(failure);
            }
        }
        self.delivery.ended();
        self.turn += 1;
        if fault == Some(Fault::LostWakeUpAtSnapshot) {
            (self.seen, self.rests) = (visible, true);
        }
    }

    fn all_is_told(&mut self, chance: &mut Chance) {
        self.delivery.rests();
        if chance.once_in(2) {
            self.kept = self.delivery.safe();
        }
        if self.delivery.is_doubted() {
            // Its time has come when nothing can arrive any more.
            if self.late.is_empty() {
                self.delivery.repeat();
            }
            return;
        }
        if chance.once_in(4) && self.delivery.move_place() {
            return;
        }
        self.rests = true;
        if std::mem::take(&mut self.is_checked) {
            self.compare();
        }
    }

    /// A comparison finds that it is not where it should be. One that cannot be compared is told
    /// everything once more, as somebody wishes.
    fn compare(&mut self) {
        match self.receiver.place() {
            Place::Untold => {
                self.delivery.anew();
                self.kept = self.delivery.safe();
            }
            Place::At(at) if Some(at) == self.delivery.at() => return,
            Place::At(_) | Place::Nowhere => self.delivery.failed(Failure::Elsewhere),
        }
        self.rests = false;
    }

    /// The newest position that it knows.
    pub(super) fn knows(&self) -> Revision {
        self.receiver.knows()
    }

    /// Whether late copies are on their way.
    pub(super) fn is_quiet(&self) -> bool {
        self.late.is_empty()
    }

    pub(super) fn check(&self, table: &Table, now: Timestamp) -> Promised {
        compare(self.name, &self.receiver.holds(), table, now)
    }
}

fn refused() -> Landing {
    Landing::Indigestible("too large".to_owned())
}
