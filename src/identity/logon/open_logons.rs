//! Interactive logons that have not ended: a logoff contains only the logon ID.

use std::collections::VecDeque;

use compact_str::CompactString;
use hashbrown::HashMap;

use super::logon_account::LogonAccount;
use crate::Address;

/// A logon that created an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenLogon {
    /// The address that it came from.
    pub(super) address: Address,
    /// The account.
    pub(super) account: LogonAccount,
}

/// The interactive logons of some computers. The number per computer is bounded, because a server
/// that crashes writes no logoffs.
#[derive(Debug, Default)]
pub(super) struct OpenLogons {
    computers: Vec<Computer>,
}

/// The logons of one computer, in order.
#[derive(Debug)]
struct Computer {
    name: CompactString,
    logons: HashMap<u64, OpenLogon>,
    order: VecDeque<u64>,
}

impl OpenLogons {
    /// The maximum number of logons per computer: remote desktop hosts have some hundred users. At
    /// most 2 MB; beyond that the oldest is dropped.
    pub(super) const MAX_PER_COMPUTER: usize = 4096;

    /// The maximum number of computers: a source is one, or collects the events of several. Beyond
    /// that the first is dropped.
    pub(super) const MAX_COMPUTERS: usize = 64;

    /// Records `logon` as the logon `id` of `computer`, replacing an earlier one of this ID.
    pub(super) fn insert(&mut self, computer: &str, id: u64, logon: OpenLogon) {
        let at = self.find(computer).unwrap_or_else(|| {
            if self.computers.len() == Self::MAX_COMPUTERS {
                self.computers.remove(0);
            }
            let (logons, order) = (HashMap::new(), VecDeque::new());
            self.computers.push(Computer { name: computer.into(), logons, order });
            self.computers.len() - 1
        });
        let Computer { logons, order, .. } = &mut self.computers[at];
        if logons.insert(id, logon).is_some() {
            order.retain(|known| *known != id);
        } else if order.len() == Self::MAX_PER_COMPUTER
            && let Some(oldest) = order.pop_front()
        {
            logons.remove(&oldest);
        }
        order.push_back(id);
    }

    /// Removes and returns the logon `id` of `computer`, which has ended.
    pub(super) fn remove(&mut self, computer: &str, id: u64) -> Option<OpenLogon> {
        let at = self.find(computer)?;
        let Computer { logons, order, .. } = &mut self.computers[at];
        let logon = logons.remove(&id)?;
        order.retain(|known| *known != id);
        Some(logon)
    }

    /// Removes all logons of `computer`, which has restarted.
    pub(super) fn remove_computer(&mut self, computer: &str) {
        self.computers.retain(|known| !known.name.eq_ignore_ascii_case(computer));
    }

    fn find(&self, computer: &str) -> Option<usize> {
        self.computers.iter().position(|known| known.name.eq_ignore_ascii_case(computer))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{address, principal};

    fn logon(user: u8) -> OpenLogon {
        let principal = principal(&format!("user{user}"));
        let account = LogonAccount { principal, device: None, sid: None };
        OpenLogon { address: address("10.0.0.7"), account }
    }

    #[test]
    fn the_oldest_logon_and_computer_are_evicted() {
        let mut logons = OpenLogons::default();
        for id in 0..=OpenLogons::MAX_PER_COMPUTER as u64 {
            logons.insert("DC1", id, logon(1));
        }
        assert_eq!(logons.remove("dc1", 0), None);
        assert_eq!(logons.remove("dc1", 1), Some(logon(1)));
        for computer in 0..OpenLogons::MAX_COMPUTERS {
            logons.insert(&format!("pc{computer}"), 7, logon(2));
        }
        assert_eq!(logons.computers.len(), OpenLogons::MAX_COMPUTERS);
        assert_eq!(logons.remove("DC1", 2), None);
        assert_eq!(logons.remove("pc0", 7), Some(logon(2)));
    }

    /// An operation on the logons of one of a few computers.
    fn action() -> impl Strategy<Value = (u8, String, u64, u8)> {
        let computer = prop::sample::select(vec!["dc1", "DC1", "mx1.corp"]);
        (0..8_u8, computer.prop_map(str::to_owned), 0..6_u64, any::<u8>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_logon_ends_once_and_where_it_began(actions in prop::collection::vec(action(), 1..60)) {
            let mut logons = OpenLogons::default();
            let mut naive: Vec<(String, u64, OpenLogon)> = Vec::new();
            for (action, computer, id, user) in actions {
                let folded = computer.to_ascii_lowercase();
                let at = naive.iter().position(|(name, known, _)| (name, *known) == (&folded, id));
                match action {
                    0 => {
                        logons.remove_computer(&computer);
                        naive.retain(|(name, ..)| *name != folded);
                    }
                    1..4 => {
                        let expected = at.map(|at| naive.remove(at).2);
                        prop_assert_eq!(logons.remove(&computer, id), expected);
                    }
                    _ => {
                        at.map(|at| naive.remove(at));
                        naive.push((folded, id, logon(user)));
                        logons.insert(&computer, id, logon(user));
                    }
                }
                let held: usize = logons.computers.iter().map(|known| known.logons.len()).sum();
                prop_assert_eq!(held, naive.len());
            }
        }
    }
}
