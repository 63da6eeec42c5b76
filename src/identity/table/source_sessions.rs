//! The number of sessions that each source began: a source beyond its quota begins no more.

use hashbrown::HashMap;

use crate::rules::Source;
use crate::{Name, Origin};

/// The active sessions by producer and client.
#[derive(Debug, Default)]
pub(super) struct SourceSessions(HashMap<(Name, Name), usize>);

impl SourceSessions {
    /// Counts a session that `origin` began.
    pub(super) fn add(&mut self, origin: &Origin) {
        match self.0.get_mut(&Source(&origin.producer, &origin.client)) {
            Some(count) => *count += 1,
            None => drop(self.0.insert((origin.producer.clone(), origin.client.clone()), 1)),
        }
    }

    /// Uncounts a session that `origin` began. The source stays known with 0 sessions.
    pub(super) fn remove(&mut self, origin: &Origin) {
        if let Some(count) = self.0.get_mut(&Source(&origin.producer, &origin.client)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The number of sessions that the source of `origin` began.
    pub(super) fn of(&self, origin: &Origin) -> usize {
        self.0.get(&Source(&origin.producer, &origin.client)).copied().unwrap_or(0)
    }

    /// The number of sessions of each producer and client.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Name, &Name, usize)> {
        self.0.iter().map(|((producer, client), count)| (producer, client, *count))
    }
}
