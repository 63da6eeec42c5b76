//! Fair sharing of one UDP socket while the kernel drops datagrams: a client that floods the socket
//! must not cause losses for the other clients.

use std::time::Duration;

use rollcall_identity::Timestamp;

/// How long clients are throttled after the kernel dropped datagrams. The kernel reports drops with
/// the next datagram, so that a flood renews this time continuously.
const THROTTLE_TIME: Duration = Duration::from_secs(1);

/// The datagrams of each client of one socket in the current round of reads.
///
/// All clients share the kernel's FIFO queue. A flood delays the lines of all clients, and decoding a
/// line costs several times as much as dropping it. While datagrams are lost anyway, a client that
/// sends more than an equal share of a round loses the excess. Other clients lose nothing here, and
/// the queue is drained faster for them.
pub(super) struct FairShare {
    round: usize,
    sent: Vec<usize>,
    /// The throttled datagrams since the last report.
    lost: Vec<u64>,
    /// The number of clients that sent anything in the previous round.
    senders: usize,
    throttled_until: Timestamp,
}

impl FairShare {
    /// Shares for a number of clients, in rounds of at most `round` datagrams.
    pub(super) fn new(clients: usize, round: usize) -> Self {
        Self {
            round,
            sent: vec![0; clients],
            lost: vec![0; clients],
            senders: 0,
            throttled_until: Timestamp::EPOCH,
        }
    }

    /// Begins a round.
    pub(super) fn begin(&mut self) {
        self.senders = self.sent.iter().filter(|sent| **sent > 0).count();
        self.sent.fill(0);
    }

    /// The kernel dropped datagrams before `now`.
    pub(super) fn throttle(&mut self, now: Timestamp) {
        self.throttled_until = now + THROTTLE_TIME;
    }

    /// Whether one more datagram of the client at `place` is decoded at `now`. A single sender is not
    /// throttled, because it takes nothing from others.
    pub(super) fn admit(&mut self, place: usize, now: Timestamp) -> bool {
        let sent = &mut self.sent[place];
        *sent += 1;
        let free = now >= self.throttled_until || self.senders < 2;
        let admitted = free || *sent <= self.round / self.senders;
        self.lost[place] += u64::from(!admitted);
        admitted
    }

    /// The throttled clients, by place, since the last call, with their numbers of datagrams.
    pub(super) fn take_throttled(&mut self) -> impl Iterator<Item = (usize, u64)> {
        let lost = self.lost.iter_mut().map(std::mem::take).enumerate();
        lost.filter(|(_, lost)| *lost > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROUND: usize = 512;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + millis)
    }

    /// The number of datagrams of each client that are decoded in one round.
    fn round(shares: &mut FairShare, sent: &[usize], now: Timestamp) -> Vec<usize> {
        shares.begin();
        let admitted = |(place, count): (usize, &usize)| {
            (0..*count).filter(|_| shares.admit(place, now)).count()
        };
        sent.iter().enumerate().map(admitted).collect()
    }

    #[test]
    fn one_client_at_ten_times_the_others_costs_them_nothing() {
        let mut shares = FairShare::new(4, ROUND);
        let flood = [390, 39, 39, 39];
        assert_eq!(
            round(&mut shares, &flood, at(0)),
            flood,
            "nothing is lost: nobody is held back"
        );
        shares.throttle(at(1));
        assert_eq!(round(&mut shares, &flood, at(2)), [128, 39, 39, 39]);
        assert_eq!(shares.take_throttled().collect::<Vec<_>>(), [(0, 262)]);
        assert_eq!(shares.take_throttled().count(), 0, "reported once");
        assert_eq!(round(&mut shares, &flood, at(1002)), flood, "the kernel has caught up");
    }

    #[test]
    fn one_client_alone_has_it_all() {
        let mut shares = FairShare::new(4, ROUND);
        shares.throttle(at(0));
        for _ in 0..3 {
            assert_eq!(round(&mut shares, &[0, ROUND, 0, 0], at(1)), [0, ROUND, 0, 0]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_client_within_its_fair_share_loses_nothing(
            sent in prop::collection::vec(0..ROUND, 2..20),
        ) {
            let mut shares = FairShare::new(sent.len(), ROUND);
            round(&mut shares, &sent, at(0));
            shares.throttle(at(0));
            let read = round(&mut shares, &sent, at(1));
            let senders = sent.iter().filter(|count| **count > 0).count().max(1);
            for (sent, read) in sent.iter().zip(&read) {
                let share = if senders < 2 { ROUND } else { ROUND / senders };
                prop_assert_eq!(*read, *sent.min(&share));
            }
        }
    }
}
