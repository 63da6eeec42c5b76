//! What follows when a target does not take what it is told.

use super::*;
use crate::test_support::{address, rules, saw, seconds};
use crate::{ChangeLog, ChangeLogLimits, Decider, Filter, Kind, PageRequest, Revision};

/// A log in which so many users came, each to an address of their own.
fn log(users: usize) -> ChangeLog {
    let (mut decider, mut log) =
        (Decider::default(), ChangeLog::new(7, ChangeLogLimits::default()));
    let events: Vec<_> = (0..users)
        .map(|n| {
            let address = address(&format!("10.0.1.{n}"));
            crate::Event { address, ..saw(Kind::VpnUp, "alice@corp", 10) }
        })
        .collect();
    decider.settle((Revision(1), &events), &rules(), |_, _, decision| {
        let change = decision.change.expect("everybody is new");
        log.apply(&change, seconds(10));
    });
    log
}

fn read(delivery: &mut Delivery, log: &ChangeLog, limit: usize) -> PageOutcome {
    let (cursor, filter) = (delivery.read_after(), Filter::default());
    let now = seconds(20);
    delivery.take(log.read(&PageRequest { cursor, since: None, filter: &filter, limit, now }))
}

fn no() -> SendOutcome {
    SendOutcome::Indigestible("no".to_owned())
}

#[test]
fn one_that_holds_nothing_is_told_everything_and_then_what_is_new() {
    let log = log(3);
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    assert_eq!(delivery.found(TargetPosition::Nowhere, None, 1), ResumeOutcome::Anew("empty"));
    assert_eq!(delivery.standing(), DeliveryState::Anew);
    delivery.begun(1);
    assert!(delivery.look() && delivery.wants_page());
    assert_eq!(read(&mut delivery, &log, 10), PageOutcome::On);
    let launch = delivery.launch().unwrap();
    assert_eq!((launch.changes.len(), delivery.cursor()), (3, None));
    assert_eq!((delivery.landed(&launch, SendOutcome::Taken), delivery.end()), (Ok(None), None));
    assert!(delivery.is_told());
    let end = delivery.end().unwrap();
    delivery.failed(DeliveryFailure::Other);
    assert_eq!((delivery.standing(), delivery.end()), (DeliveryState::Ending, Some(end)));
    delivery.ended();
    assert_eq!((delivery.standing(), delivery.cursor()), (DeliveryState::Following, Some(end)));
    assert_eq!((end.revision, delivery.end()), (Revision(3), None));
}

#[test]
fn one_that_does_not_go_on_from_where_it_says_it_is_is_told_everything() {
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    let at = Cursor::new(7, Revision(2));
    let kept =
        StoredPosition { cursor: at, hears: DeliveryScope::Admitted, scope: FilterChange::Same };
    assert_eq!(delivery.found(TargetPosition::At(at), Some(kept), 1), ResumeOutcome::GoesOn);
    delivery.failed(DeliveryFailure::Elsewhere);
    assert_eq!(delivery.standing(), DeliveryState::Anew);
    assert_eq!(delivery.found(TargetPosition::At(at), None, 1), ResumeOutcome::GoesOn);
    delivery.failed(DeliveryFailure::Other);
    assert_eq!(delivery.standing(), DeliveryState::Unsure, "it is asked once more");
}

#[test]
fn of_one_that_cannot_be_asked_what_was_kept_counts_and_another_scope_is_put_right() {
    let cursor = Cursor::new(7, Revision(2));
    let kept = |scope| Some(StoredPosition { cursor, hears: DeliveryScope::Admitted, scope });
    let mut delivery = Delivery::new(DeliveryMode::Overwrites);
    assert_eq!(
        delivery.found(TargetPosition::Untold, kept(FilterChange::Same), 1),
        ResumeOutcome::Resumes
    );
    assert_eq!(delivery.cursor(), Some(cursor));
    let mut delivery = Delivery::new(DeliveryMode::Overwrites);
    assert_eq!(
        delivery.found(TargetPosition::Untold, kept(FilterChange::Other), 1),
        ResumeOutcome::Corrects
    );
    assert_eq!(
        (delivery.cursor(), delivery.hears()),
        (Some(cursor.again()), DeliveryScope::OthersGone)
    );
    delivery.repeat();
    assert!(delivery.rests() && !delivery.rests());
    let mut delivery = Delivery::new(DeliveryMode::Overwrites);
    assert_eq!(delivery.found(TargetPosition::Untold, None, 1), ResumeOutcome::Resumes);
    assert_eq!(delivery.cursor(), Some(Cursor::FOREIGN), "it may hold anything");
}

#[test]
fn one_that_takes_several_at_once_does_so_after_a_synchronisation_too() {
    let log = log(4);
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    delivery.found(TargetPosition::Nowhere, None, 1);
    delivery.begun(3);
    delivery.look();
    let nobody = ChangeLog::new(7, ChangeLogLimits::default());
    assert_eq!(read(&mut delivery, &nobody, 1), PageOutcome::On);
    assert!(delivery.is_told());
    delivery.ended();
    assert!(delivery.look());
    for _ in 0..4 {
        assert_eq!(read(&mut delivery, &log, 1), PageOutcome::On);
    }
    let first = delivery.launch().unwrap();
    assert!(delivery.launch().is_none(), "the first of a turn goes alone");
    assert_eq!(delivery.landed(&first, SendOutcome::Taken), Ok(None));
    let sent: Vec<_> = std::iter::from_fn(|| delivery.launch()).collect();
    assert_eq!(sent.len(), 3);
}

#[test]
fn one_of_whom_nothing_was_kept_may_hold_what_is_not_for_it() {
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    let at = TargetPosition::At(Cursor::new(7, Revision(2)));
    assert_eq!(delivery.found(at, None, 1), ResumeOutcome::Anew("scope"));
    delivery.begun(1);
    assert_eq!(read(&mut delivery, &log(0), 10), PageOutcome::On);
    assert!(delivery.is_told());
    delivery.ended();
    delivery.failed(DeliveryFailure::Other);
    assert_eq!(delivery.found(at, None, 1), ResumeOutcome::GoesOn, "this life told it everything");
}

/// A target that overwrites, of which nothing is known, and is to be told of a log.
fn overwritten(log: &ChangeLog, limit: usize) -> Delivery {
    let mut delivery = Delivery::new(DeliveryMode::Overwrites);
    delivery.found(TargetPosition::Untold, None, 1);
    assert!(delivery.look());
    assert_eq!(read(&mut delivery, log, limit), PageOutcome::On);
    delivery
}

fn about(launch: &OutgoingBatch) -> Vec<String> {
    launch.changes.iter().map(|change| change.address.to_string()).collect()
}

#[test]
fn a_batch_that_cannot_be_taken_is_halved_until_the_bad_report_is_alone() {
    let log = log(4);
    let mut delivery = overwritten(&log, 10);
    let (mut sent, mut left_out) = (Vec::new(), Vec::new());
    while let Some(launch) = delivery.launch() {
        sent.push(about(&launch));
        let is_bad = |change: &crate::Change| {
            change.address == address("10.0.1.2") && change.after.is_some()
        };
        let landing = if launch.changes.iter().any(is_bad) { no() } else { SendOutcome::Taken };
        left_out.extend(delivery.landed(&launch, landing).unwrap());
    }
    let left_out: Vec<_> = left_out.into_iter().map(|report| report.address).collect();
    assert_eq!(left_out, [address("10.0.1.2")]);
    assert_eq!(
        sent[3..],
        [["10.0.1.2"], ["10.0.1.1"], ["10.0.1.3"]],
        "what it took last is a proof"
    );
    assert!(delivery.is_told());
    assert_eq!(delivery.cursor().map(|cursor| cursor.revision), Some(Revision(4)));
}

/// Tells everything of a log to a target that takes what `takes` says, until it is told or in
/// trouble. Returns how many reports were given up.
fn tell(delivery: &mut Delivery, log: &ChangeLog, takes: impl Fn(&OutgoingBatch) -> bool) -> usize {
    delivery.look();
    let mut given_up = 0;
    loop {
        if delivery.wants_page() {
            assert_eq!(read(delivery, log, 1), PageOutcome::On);
        }
        let Some(launch) = delivery.launch() else { break };
        let landing = if takes(&launch) { SendOutcome::Taken } else { no() };
        match delivery.landed(&launch, landing) {
            Ok(left_out) => given_up += left_out.iter().count(),
            Err(MustResend) => {
                delivery.failed(DeliveryFailure::Other);
                delivery.found(TargetPosition::Untold, None, 1);
                break;
            }
        }
    }
    given_up
}

#[test]
fn one_that_refuses_everything_is_ill_and_nothing_is_given_up() {
    let log = log(12);
    let mut delivery = overwritten(&log, 1);
    for failures in 1..50 {
        assert_eq!(tell(&mut delivery, &log, |_| false), 0);
        assert_eq!(delivery.failures(), failures, "each pause is longer than the one before");
    }
    assert_eq!(delivery.cursor(), Some(Cursor::FOREIGN));
    assert_eq!(tell(&mut delivery, &log, |_| true), 0);
    assert!(delivery.is_told() && delivery.failures() == 0);
}

#[test]
fn one_that_refuses_all_but_proofs_loses_one_report_with_each_longer_pause() {
    let log = log(20);
    let mut delivery = overwritten(&log, 1);
    let is_proof =
        |launch: &OutgoingBatch| launch.changes.iter().all(|change| change.after.is_none());
    assert_eq!(tell(&mut delivery, &log, is_proof), 8);
    for failures in 1..5 {
        assert_eq!(delivery.failures(), failures);
        assert_eq!(tell(&mut delivery, &log, is_proof), 1);
    }
    assert_eq!(delivery.cursor().map(|cursor| cursor.revision), Some(Revision(12)));
    assert_eq!(tell(&mut delivery, &log, |_| true), 0);
    assert_eq!(delivery.failures(), 0);
}

#[test]
fn a_place_that_can_be_asked_for_is_no_sign_that_a_target_is_well() {
    let log = log(2);
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    let at = Cursor::new(7, Revision(1));
    let kept =
        StoredPosition { cursor: at, hears: DeliveryScope::Admitted, scope: FilterChange::Same };
    for failures in 1..50 {
        assert_eq!(delivery.found(TargetPosition::At(at), Some(kept), 1), ResumeOutcome::GoesOn);
        assert!(delivery.look());
        assert_eq!(read(&mut delivery, &log, 10), PageOutcome::On);
        let launch = delivery.launch().unwrap();
        assert_eq!(delivery.landed(&launch, SendOutcome::Untaken), Err(MustResend));
        delivery.failed(DeliveryFailure::Other);
        assert_eq!(delivery.failures(), failures);
    }
    delivery.found(TargetPosition::At(Cursor::new(7, Revision(2))), None, 1);
    delivery.rests();
    assert_eq!(delivery.failures(), 0, "it has everything");
}

#[test]
fn a_report_whose_proof_is_refused_is_told_when_the_outage_ends_in_a_synchronisation() {
    let log = log(1);
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    delivery.found(TargetPosition::Nowhere, None, 1);
    delivery.begun(1);
    delivery.look();
    assert_eq!(read(&mut delivery, &log, 10), PageOutcome::On);
    for refused in [1, 0] {
        let launch = delivery.launch().unwrap();
        assert_eq!(launch.changes.len(), refused);
        assert_eq!(delivery.landed(&launch, no()).is_ok(), refused == 1);
    }
    delivery.failed(DeliveryFailure::Other);
    assert_eq!(delivery.standing(), DeliveryState::Synchronising);
    assert_eq!(delivery.launch().unwrap().changes.len(), 1, "it was not given up");
}

#[test]
fn what_was_refused_before_a_failure_proves_nothing_after_it() {
    let log = log(2);
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    delivery.found(TargetPosition::Nowhere, None, 2);
    delivery.begun(2);
    delivery.look();
    for _ in 0..2 {
        assert_eq!(read(&mut delivery, &log, 1), PageOutcome::On);
    }
    let (first, second) = (delivery.launch().unwrap(), delivery.launch().unwrap());
    assert_eq!(delivery.landed(&first, no()), Ok(None));
    assert_eq!(delivery.landed(&second, SendOutcome::Untaken), Err(MustResend));
    delivery.failed(DeliveryFailure::Other);
    assert_eq!(about(&delivery.launch().unwrap()), ["10.0.1.0"], "and nothing in its place");
}

#[test]
fn a_synchronisation_of_whose_end_the_target_knows_nothing_is_begun_anew() {
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    delivery.found(TargetPosition::Nowhere, None, 1);
    delivery.begun(1);
    assert_eq!(read(&mut delivery, &log(0), 1), PageOutcome::On);
    assert!(delivery.is_told());
    assert_eq!(delivery.standing(), DeliveryState::Ending);
    delivery.failed(DeliveryFailure::Elsewhere);
    assert_eq!((delivery.standing(), delivery.end()), (DeliveryState::Anew, None));
}

#[test]
fn what_was_told_after_a_lost_batch_is_told_again_once_that_can_arrive_no_more() {
    let log = log(3);
    let mut delivery = overwritten(&log, 1);
    let taken = delivery.launch().unwrap();
    assert_eq!(delivery.landed(&taken, SendOutcome::Taken), Ok(None));
    assert_eq!(read(&mut delivery, &log, 1), PageOutcome::On);
    let lost = delivery.launch().unwrap();
    assert_eq!(delivery.landed(&lost, SendOutcome::Lost), Err(MustResend));
    delivery.failed(DeliveryFailure::Other);
    delivery.found(TargetPosition::Untold, None, 1);
    assert_eq!(tell(&mut delivery, &log, |_| true), 0);
    assert!(delivery.is_told() && delivery.is_doubted());
    let revision = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.revision);
    let (safe, told) = (revision(delivery.safe()), revision(delivery.cursor()));
    assert_eq!((safe, told), (Some(Revision(1)), Some(Revision(3))));
    delivery.repeat();
    assert!(delivery.look());
    assert_eq!(read(&mut delivery, &log, 10), PageOutcome::On);
    assert_eq!(about(&delivery.launch().unwrap()), ["10.0.1.1", "10.0.1.2"]);
    assert!(!delivery.is_doubted());
}

#[test]
fn what_came_before_a_restart_may_still_arrive_after_it() {
    let log = log(3);
    let mut delivery = Delivery::new(DeliveryMode::Overwrites);
    let (cursor, hears) = (Cursor::new(7, Revision(2)), DeliveryScope::OthersGone);
    delivery.found(
        TargetPosition::Untold,
        Some(StoredPosition { cursor, hears, scope: FilterChange::Same }),
        1,
    );
    assert_eq!(tell(&mut delivery, &log, |_| true), 0);
    assert!(delivery.is_told() && !delivery.rests(), "others are told once more, too");
    assert_eq!(delivery.safe(), Some(cursor));
    delivery.repeat();
    assert_eq!(tell(&mut delivery, &log, |_| true), 0);
    assert!(delivery.is_told() && delivery.rests());
}

#[test]
fn a_firewall_that_was_away_while_ends_were_forgotten_may_hold_who_is_gone() {
    let log = log(3);
    for (cursor, turned) in [
        (Cursor::new(7, Revision(1)), PageOutcome::On),
        (Cursor::new(6, Revision(1)), PageOutcome::EndsForgotten),
        (Cursor::new(6, Revision(1)).again(), PageOutcome::EndsForgotten),
        (Cursor::FOREIGN, PageOutcome::On),
        (Cursor::FOREIGN.again(), PageOutcome::On),
    ] {
        let mut delivery = Delivery::new(DeliveryMode::Overwrites);
        let kept =
            StoredPosition { cursor, hears: DeliveryScope::Admitted, scope: FilterChange::Same };
        delivery.found(TargetPosition::Untold, Some(kept), 1);
        assert_eq!(read(&mut delivery, &log, 10), turned, "{cursor}");
        let launch = delivery.launch().unwrap();
        assert_eq!(delivery.landed(&launch, SendOutcome::Taken), Ok(None));
        assert!(delivery.is_told());
        delivery.repeat();
        assert_eq!(read(&mut delivery, &log, 10), PageOutcome::On, "that is said once");
    }
}

#[test]
fn where_nothing_was_for_it_a_batch_of_nothing_moves_the_place_of_a_target() {
    let log = log(3);
    let nobody = Filter { include: vec!["192.0.2.0/24".parse().unwrap()], ..Filter::default() };
    let mut delivery = Delivery::new(DeliveryMode::Replaces);
    let at = Cursor::new(7, Revision(1));
    let kept =
        StoredPosition { cursor: at, hears: DeliveryScope::Admitted, scope: FilterChange::Same };
    delivery.found(TargetPosition::At(at), Some(kept), 1);
    let request =
        PageRequest { cursor: Some(at), since: None, filter: &nobody, limit: 10, now: seconds(20) };
    assert_eq!(delivery.take(log.read(&request)), PageOutcome::On);
    assert!(delivery.is_told());
    assert_eq!(delivery.at(), Some(at));
    assert!(delivery.move_place());
    let launch = delivery.launch().unwrap();
    assert_eq!((launch.changes.len(), launch.next.revision), (0, Revision(3)));
    assert_eq!(delivery.landed(&launch, SendOutcome::Taken), Ok(None));
    assert!(delivery.at() == delivery.cursor() && !delivery.move_place());
}
