//! The table gives away what it knows, and is made anew from what the log of changes knows.

use super::Table;
use crate::{Ended, Handover, Revision, Standing};

impl Table {
    /// What a log needs to go on after the position `newest`, which is the last one folded.
    pub fn hand_over(&self, newest: Revision) -> Handover {
        let forgotten = self.forgotten;
        let mut handover = Handover { newest, forgotten, ..Handover::default() };
        for entry in self.entries.values() {
            let ended = entry.past.as_ref().and_then(|past| past.ended.as_ref());
            match (&entry.session, ended) {
                (Some(session), ended) => handover.standing.push(Standing {
                    session: session.clone(),
                    told: entry.told,
                    was: ended.map(|ended| ended.session.clone()),
                }),
                (None, Some(ended)) => handover.ends.push(ended.clone()),
                (None, None) => {}
            }
        }
        handover.ends.sort_unstable_by_key(|ended| ended.revision);
        handover
    }

    /// A table that goes on with what another table or a log knew. What had competed is lost; what
    /// had ended keeps late logins out as before.
    pub fn restore(handover: Handover) -> Self {
        let mut table = Self { forgotten: handover.forgotten, ..Self::default() };
        let mut ends = handover.ends;
        for Standing { session, told, was } in handover.standing {
            // Whoever had the address left no later than the one who is there came. Behind a device
            // alone, that is all that keeps an old login of that user out.
            ends.extend(was.map(|was| Ended {
                session: was,
                at: session.since,
                revision: told,
                cause: session.cause.clone(),
            }));
            table.put(session, told);
        }
        ends.sort_unstable_by_key(|ended| ended.revision);
        for ended in ends {
            table.remember_end(ended);
        }
        table
    }
}
