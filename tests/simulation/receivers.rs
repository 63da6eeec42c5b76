//! The receivers of push targets: Secure Edge by docs/secure-edge.openapi.json, and a firewall in
//! ClearPass mode, which only overwrites entries.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_identity::delivery::{DeliveryMode, OutgoingBatch, TargetPosition};
use rollcall_identity::{Address, Cursor, Revision};

use super::consumers::{Holds, user};

/// The position does not match (409).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elsewhere;

/// A receiver.
pub(super) enum Receiver {
    Edge(Edge),
    ClearPass(Holds),
}

/// The users by address, and the change that set each.
type Sessions = BTreeMap<Address, (Revision, String)>;

/// A Secure Edge receiver.
#[derive(Debug, Default)]
pub(super) struct Edge {
    /// The number of batches that it accepts in parallel.
    width: usize,
    position: Option<Cursor>,
    sessions: Sessions,
    /// A full resync in progress: its session, its position, and its content so far.
    synchronisation: Option<(u64, Option<Cursor>, Sessions)>,
    /// The sessions of all full resyncs.
    synchronisations: BTreeSet<u64>,
    /// For parallel batches: the session, the end of the gapless sequence, and the batches
    /// after it.
    turn: u64,
    reached: Revision,
    ahead: BTreeMap<(Revision, Revision), Cursor>,
}

impl Receiver {
    pub(super) fn opening(&self) -> DeliveryMode {
        match self {
            Self::Edge(_) => DeliveryMode::Replace,
            Self::ClearPass(_) => DeliveryMode::Upsert,
        }
    }

    pub(super) fn width(&self) -> usize {
        match self {
            Self::Edge(edge) => edge.width,
            Self::ClearPass(_) => 1,
        }
    }

    /// The position that it reports.
    pub(super) fn place(&self) -> TargetPosition {
        match self {
            Self::Edge(edge) => edge.position.map_or(TargetPosition::Empty, TargetPosition::At),
            Self::ClearPass(_) => TargetPosition::Unsupported,
        }
    }

    /// It accepts a full resync in this session.
    pub(super) fn begin(&mut self, turn: u64) {
        if let Self::Edge(edge) = self {
            edge.synchronisation = Some((turn, None, Sessions::new()));
            edge.synchronisations.insert(turn);
            (edge.turn, edge.reached, edge.position) = (turn, Revision(0), None);
            edge.ahead.clear();
        }
    }

    /// Accepts a batch of this session.
    pub(super) fn take(&mut self, launch: &OutgoingBatch, turn: u64) -> Result<(), Elsewhere> {
        match self {
            Self::Edge(edge) => edge.take(launch, turn),
            Self::ClearPass(holds) => {
                for change in &*launch.changes {
                    match user(change) {
                        Some(user) => drop(holds.insert(change.address, user)),
                        None => drop(holds.remove(&change.address)),
                    }
                }
                Ok(())
            }
        }
    }

    /// The full resync of this session is complete at `at`: entries that it did not contain are discarded.
    pub(super) fn end(&mut self, turn: u64, at: Cursor) -> Result<(), Elsewhere> {
        let Self::Edge(edge) = self else { return Ok(()) };
        match edge.synchronisation.take() {
            Some((own, _, told)) if own == turn && edge.ahead.is_empty() => edge.sessions = told,
            _ if edge.position == Some(at) => {}
            other => {
                edge.synchronisation = other;
                return Err(Elsewhere);
            }
        }
        edge.position = Some(at);
        Ok(())
    }

    /// It loses its content.
    pub(super) fn lose_content(&mut self) {
        match self {
            Self::Edge(edge) => *edge = Edge { width: edge.width, ..Edge::default() },
            Self::ClearPass(holds) => holds.clear(),
        }
    }

    /// Its newest position.
    pub(super) fn newest_position(&self) -> Revision {
        match self {
            Self::Edge(Edge { position: Some(at), .. }) => at.revision,
            Self::Edge(_) | Self::ClearPass(_) => Revision(0),
        }
    }

    pub(super) fn holds(&self) -> Holds {
        match self {
            Self::Edge(edge) => {
                edge.sessions.iter().map(|(at, (_, user))| (*at, user.clone())).collect()
            }
            Self::ClearPass(holds) => holds.clone(),
        }
    }
}

impl Edge {
    pub(super) fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    fn take(&mut self, launch: &OutgoingBatch, turn: u64) -> Result<(), Elsewhere> {
        let is_meant = match &self.synchronisation {
            Some((own, ..)) => *own == turn,
            None => !self.synchronisations.contains(&turn),
        };
        if !is_meant {
            return Err(Elsewhere);
        }
        let is_news = match self.width {
            1 => self.is_next(launch)?,
            _ => self.is_in_row(launch, turn)?,
        };
        if !is_news {
            return Ok(());
        }
        let sessions = match &mut self.synchronisation {
            Some((.., told)) => told,
            None => &mut self.sessions,
        };
        for change in &*launch.changes {
            let (at, revision) = (change.address, change.revision);
            if sessions.get(&at).is_some_and(|(held, _)| *held >= revision) {
                continue;
            }
            match user(change) {
                Some(user) => drop(sessions.insert(at, (revision, user))),
                None => drop(sessions.remove(&at)),
            }
        }
        self.continue_delivery(launch);
        Ok(())
    }

    fn place(&mut self) -> &mut Option<Cursor> {
        match &mut self.synchronisation {
            Some((_, place, _)) => place,
            None => &mut self.position,
        }
    }

    /// For sequential batches.
    fn is_next(&mut self, launch: &OutgoingBatch) -> Result<bool, Elsewhere> {
        let place = *self.place();
        let is_next = place == launch.after || place == Some(launch.next);
        if is_next { Ok(true) } else { Err(Elsewhere) }
    }

    /// For parallel batches. The first batch of a session sets its start.
    fn is_in_row(&mut self, launch: &OutgoingBatch, turn: u64) -> Result<bool, Elsewhere> {
        let from = launch.after.map_or(Revision(0), |after| after.revision);
        let to = launch.next.revision;
        if turn != self.turn {
            if *self.place() != launch.after || self.synchronisation.is_some() {
                return Err(Elsewhere);
            }
            (self.turn, self.reached) = (turn, from);
            self.ahead.clear();
        }
        if to <= self.reached || self.ahead.contains_key(&(from, to)) {
            return Ok(false);
        }
        let overlaps = self.ahead.keys().any(|(begin, end)| from < *end && *begin < to);
        let is_full = from > self.reached && self.ahead.len() + 1 >= self.width;
        let is_misplaced = from < self.reached || overlaps || is_full;
        if is_misplaced { Err(Elsewhere) } else { Ok(true) }
    }

    fn continue_delivery(&mut self, launch: &OutgoingBatch) {
        if self.width == 1 {
            *self.place() = Some(launch.next);
            return;
        }
        let from = launch.after.map_or(Revision(0), |after| after.revision);
        self.ahead.insert((from, launch.next.revision), launch.next);
        while let Some(first) = self.ahead.first_entry()
            && first.key().0 == self.reached
        {
            let ((_, to), next) = first.remove_entry();
            self.reached = to;
            *self.place() = Some(next);
        }
    }
}
