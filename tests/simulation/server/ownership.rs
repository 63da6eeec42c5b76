//! The ownership of one generation of an actor, released when its state machine is dropped.

use std::cell::RefCell;
use std::rc::Rc;

use rollcall_identity::Timestamp;
use rollcall_identity::engine::{
    EngineRole, Generations, Ownership, OwnershipLease, StaleTakeover, StartMode,
};

use crate::simulation::faults::Fault;

/// The generations of both actors.
#[derive(Clone)]
pub(super) struct Owners {
    generations: Rc<RefCell<Generations>>,
    fault: Option<Fault>,
}

/// The ownership of one generation.
pub(super) struct Owner {
    owners: Owners,
    lease: OwnershipLease,
}

impl Owners {
    pub(super) fn new(generations: Generations, fault: Option<Fault>) -> Self {
        Self { generations: Rc::new(RefCell::new(generations)), fault }
    }

    pub(super) fn acquire(&self, role: EngineRole, generation: u64) -> Owner {
        let lease = self.generations.borrow_mut().acquire(role, generation);
        Owner { owners: self.clone(), lease }
    }
}

impl Ownership for Owner {
    fn generation(&self) -> u64 {
        self.lease.generation()
    }

    fn epoch(&self) -> u64 {
        self.owners.generations.borrow().epoch()
    }

    fn start(&self, now: Timestamp) -> StartMode {
        self.owners.generations.borrow_mut().start(self.lease, now)
    }

    fn is_current(&self) -> bool {
        let is_unfenced = self.owners.fault == Some(Fault::SupersededCacheDecides);
        is_unfenced || self.owners.generations.borrow_mut().is_current(self.lease)
    }

    fn complete_takeover(&self, from: u64) -> Result<(), StaleTakeover> {
        self.owners.generations.borrow_mut().complete_takeover(self.lease, from)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.owners.generations.borrow_mut().release(self.lease);
    }
}
