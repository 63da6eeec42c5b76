//! What each client may take of one UDP socket while the kernel throws datagrams away: a sender that
//! floods it must not cost the others their lines.

use std::time::Duration;

use rollcall_identity::Timestamp;

/// For how long shares are kept to after the kernel dropped something. It says so with the next
/// datagram, so that in a flood this is renewed all the time.
const PRESSED: Duration = Duration::from_secs(1);

/// The clients of one socket, by place, and what each sent in this round of reading.
///
/// The kernel's queue is one for all, first come, first served. What a flood puts there is in the way
/// of everybody's lines, and reading a line costs several times what it costs to throw it away. So
/// while datagrams are lost anyway, whoever sends more than an equal part of a round loses the rest
/// of it; everybody else loses nothing here, and the queue is drained the faster for them.
pub(super) struct FairShare {
    round: usize,
    sent: Vec<usize>,
    /// How much of that was not read.
    lost: Vec<u64>,
    /// How many clients sent anything in the round before.
    senders: usize,
    pressed_until: Timestamp,
}

impl FairShare {
    /// The shares of so many clients in rounds of so many datagrams.
    pub(super) fn new(clients: usize, round: usize) -> Self {
        Self {
            round,
            sent: vec![0; clients],
            lost: vec![0; clients],
            senders: 0,
            pressed_until: Timestamp::EPOCH,
        }
    }

    /// Begins a round.
    pub(super) fn begin(&mut self) {
        self.senders = self.sent.iter().filter(|sent| **sent > 0).count();
        self.sent.fill(0);
    }

    /// The kernel dropped something before `now`.
    pub(super) fn press(&mut self, now: Timestamp) {
        self.pressed_until = now + PRESSED;
    }

    /// Whether one more datagram of the client at `place` is read at `now`. One sender alone takes
    /// nothing from others.
    pub(super) fn admit(&mut self, place: usize, now: Timestamp) -> bool {
        let sent = &mut self.sent[place];
        *sent += 1;
        let free = now >= self.pressed_until || self.senders < 2;
        let admitted = free || *sent <= self.round / self.senders;
        self.lost[place] += u64::from(!admitted);
        admitted
    }

    /// The clients, by place, that lost something since this was asked last, and how much.
    pub(super) fn losses(&mut self) -> impl Iterator<Item = (usize, u64)> {
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

    /// How many of each client's datagrams are read in one round.
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
        shares.press(at(1));
        assert_eq!(round(&mut shares, &flood, at(2)), [128, 39, 39, 39]);
        assert_eq!(shares.losses().collect::<Vec<_>>(), [(0, 262)]);
        assert_eq!(shares.losses().count(), 0, "told once");
        assert_eq!(round(&mut shares, &flood, at(1002)), flood, "the kernel has caught up");
    }

    #[test]
    fn one_client_alone_has_it_all() {
        let mut shares = FairShare::new(4, ROUND);
        shares.press(at(0));
        for _ in 0..3 {
            assert_eq!(round(&mut shares, &[0, ROUND, 0, 0], at(1)), [0, ROUND, 0, 0]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn who_keeps_to_an_equal_part_loses_nothing(
            sent in prop::collection::vec(0..ROUND, 2..20),
        ) {
            let mut shares = FairShare::new(sent.len(), ROUND);
            round(&mut shares, &sent, at(0));
            shares.press(at(0));
            let read = round(&mut shares, &sent, at(1));
            let senders = sent.iter().filter(|count| **count > 0).count().max(1);
            for (sent, read) in sent.iter().zip(&read) {
                let share = if senders < 2 { ROUND } else { ROUND / senders };
                prop_assert_eq!(*read, *sent.min(&share));
            }
        }
    }
}
