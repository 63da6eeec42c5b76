//! What follows when a target does not take what it is told.

use super::*;
use crate::stories::{address, rules, saw, seconds};
use crate::{ChangeLog, Decider, Filter, Kind, Limits, Request, Revision};

/// A log in which so many users came, each to an address of their own.
fn log(users: usize) -> ChangeLog {
    let (mut decider, mut log) = (Decider::default(), ChangeLog::new(7, Limits::default()));
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

fn read(delivery: &mut Delivery, log: &ChangeLog, limit: usize) -> Turned {
    let (cursor, filter) = (delivery.read_after(), Filter::default());
    let now = seconds(20);
    delivery.take(log.read(&Request { cursor, since: None, filter: &filter, limit, now }))
}

fn no() -> Landing {
    Landing::Indigestible("no".to_owned())
}

#[test]
fn one_that_holds_nothing_is_told_everything_and_then_what_is_new() {
    let log = log(3);
    let mut delivery = Delivery::new(Opening::Replaces);
    assert_eq!(delivery.found(Place::Nowhere, None, 1), Found::Anew("empty"));
    assert_eq!(delivery.standing(), Standing::Anew);
    delivery.begun(1);
    assert!(delivery.look() && delivery.wants_page());
    assert_eq!(read(&mut delivery, &log, 10), Turned::On);
    let launch = delivery.launch().unwrap();
    assert_eq!((launch.changes.len(), delivery.cursor()), (3, None));
    assert_eq!((delivery.landed(&launch, Landing::Taken), delivery.end()), (Ok(None), None));
    assert!(delivery.is_told());
    let end = delivery.end().unwrap();
    delivery.failed(Failure::Other);
    assert_eq!((delivery.standing(), delivery.end()), (Standing::Ending, Some(end)));
    delivery.ended();
    assert_eq!((delivery.standing(), delivery.cursor()), (Standing::Following, Some(end)));
    assert_eq!((end.revision, delivery.end()), (Revision(3), None));
}

#[test]
fn one_that_does_not_go_on_from_where_it_says_it_is_is_told_everything() {
    let mut delivery = Delivery::new(Opening::Replaces);
    let at = Cursor::new(7, Revision(2));
    let kept = Kept { cursor: at, hears: Hears::Admitted, scope: Scope::Same };
    assert_eq!(delivery.found(Place::At(at), Some(kept), 1), Found::GoesOn);
    delivery.failed(Failure::Elsewhere);
    assert_eq!(delivery.standing(), Standing::Anew);
    assert_eq!(delivery.found(Place::At(at), None, 1), Found::GoesOn);
    delivery.failed(Failure::Other);
    assert_eq!(delivery.standing(), Standing::Unsure, "it is asked once more");
}

#[test]
fn of_one_that_cannot_be_asked_what_was_kept_counts_and_another_scope_is_put_right() {
    let cursor = Cursor::new(7, Revision(2));
    let kept = |scope| Some(Kept { cursor, hears: Hears::Admitted, scope });
    let mut delivery = Delivery::new(Opening::Overwrites);
    assert_eq!(delivery.found(Place::Untold, kept(Scope::Same), 1), Found::Resumes);
    assert_eq!(delivery.cursor(), Some(cursor));
    let mut delivery = Delivery::new(Opening::Overwrites);
    assert_eq!(delivery.found(Place::Untold, kept(Scope::Other), 1), Found::Corrects);
    assert_eq!((delivery.cursor(), delivery.hears()), (Some(cursor.again()), Hears::OthersGone));
    delivery.repeat();
    assert!(delivery.rests() && !delivery.rests());
    let mut delivery = Delivery::new(Opening::Overwrites);
    assert_eq!(delivery.found(Place::Untold, None, 1), Found::Resumes);
    assert_eq!(delivery.cursor(), Some(Cursor::FOREIGN), "it may hold anything");
}

#[test]
fn one_that_takes_several_at_once_does_so_after_a_synchronisation_too() {
    let log = log(4);
    let mut delivery = Delivery::new(Opening::Replaces);
    delivery.found(Place::Nowhere, None, 1);
    delivery.begun(3);
    delivery.look();
    let nobody = ChangeLog::new(7, Limits::default());
    assert_eq!(read(&mut delivery, &nobody, 1), Turned::On);
    assert!(delivery.is_told());
    delivery.ended();
    assert!(delivery.look());
    for _ in 0..4 {
        assert_eq!(read(&mut delivery, &log, 1), Turned::On);
    }
    let first = delivery.launch().unwrap();
    assert!(delivery.launch().is_none(), "the first of a turn goes alone");
    assert_eq!(delivery.landed(&first, Landing::Taken), Ok(None));
    let sent: Vec<_> = std::iter::from_fn(|| delivery.launch()).collect();
    assert_eq!(sent.len(), 3);
}

#[test]
fn one_of_whom_nothing_was_kept_may_hold_what_is_not_for_it() {
    let mut delivery = Delivery::new(Opening::Replaces);
    let at = Place::At(Cursor::new(7, Revision(2)));
    assert_eq!(delivery.found(at, None, 1), Found::Anew("scope"));
    delivery.begun(1);
    assert_eq!(read(&mut delivery, &log(0), 10), Turned::On);
    assert!(delivery.is_told());
    delivery.ended();
    delivery.failed(Failure::Other);
    assert_eq!(delivery.found(at, None, 1), Found::GoesOn, "this life told it everything");
}

/// A target that overwrites, of which nothing is known, and is to be told of a log.
fn overwritten(log: &ChangeLog, limit: usize) -> Delivery {
    let mut delivery = Delivery::new(Opening::Overwrites);
    delivery.found(Place::Untold, None, 1);
    assert!(delivery.look());
    assert_eq!(read(&mut delivery, log, limit), Turned::On);
    delivery
}

fn about(launch: &Launch) -> Vec<String> {
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
        let landing = if launch.changes.iter().any(is_bad) { no() } else { Landing::Taken };
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
fn tell(delivery: &mut Delivery, log: &ChangeLog, takes: impl Fn(&Launch) -> bool) -> usize {
    delivery.look();
    let mut given_up = 0;
    loop {
        if delivery.wants_page() {
            assert_eq!(read(delivery, log, 1), Turned::On);
        }
        let Some(launch) = delivery.launch() else { break };
        let landing = if takes(&launch) { Landing::Taken } else { no() };
        match delivery.landed(&launch, landing) {
            Ok(left_out) => given_up += left_out.iter().count(),
            Err(Undone) => {
                delivery.failed(Failure::Other);
                delivery.found(Place::Untold, None, 1);
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
    let is_proof = |launch: &Launch| launch.changes.iter().all(|change| change.after.is_none());
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
    let mut delivery = Delivery::new(Opening::Replaces);
    let at = Cursor::new(7, Revision(1));
    let kept = Kept { cursor: at, hears: Hears::Admitted, scope: Scope::Same };
    for failures in 1..50 {
        assert_eq!(delivery.found(Place::At(at), Some(kept), 1), Found::GoesOn);
        assert!(delivery.look());
        assert_eq!(read(&mut delivery, &log, 10), Turned::On);
        let launch = delivery.launch().unwrap();
        assert_eq!(delivery.landed(&launch, Landing::Untaken), Err(Undone));
        delivery.failed(Failure::Other);
        assert_eq!(delivery.failures(), failures);
    }
    delivery.found(Place::At(Cursor::new(7, Revision(2))), None, 1);
    delivery.rests();
    assert_eq!(delivery.failures(), 0, "it has everything");
}

#[test]
fn a_report_whose_proof_is_refused_is_told_when_the_outage_ends_in_a_synchronisation() {
    let log = log(1);
    let mut delivery = Delivery::new(Opening::Replaces);
    delivery.found(Place::Nowhere, None, 1);
    delivery.begun(1);
    delivery.look();
    assert_eq!(read(&mut delivery, &log, 10), Turned::On);
    for refused in [1, 0] {
        let launch = delivery.launch().unwrap();
        assert_eq!(launch.changes.len(), refused);
        assert_eq!(delivery.landed(&launch, no()).is_ok(), refused == 1);
    }
    delivery.failed(Failure::Other);
    assert_eq!(delivery.standing(), Standing::Synchronising);
    assert_eq!(delivery.launch().unwrap().changes.len(), 1, "it was not given up");
}

#[test]
fn what_was_refused_before_a_failure_proves_nothing_after_it() {
    let log = log(2);
    let mut delivery = Delivery::new(Opening::Replaces);
    delivery.found(Place::Nowhere, None, 2);
    delivery.begun(2);
    delivery.look();
    for _ in 0..2 {
        assert_eq!(read(&mut delivery, &log, 1), Turned::On);
    }
    let (first, second) = (delivery.launch().unwrap(), delivery.launch().unwrap());
    assert_eq!(delivery.landed(&first, no()), Ok(None));
    assert_eq!(delivery.landed(&second, Landing::Untaken), Err(Undone));
    delivery.failed(Failure::Other);
    assert_eq!(about(&delivery.launch().unwrap()), ["10.0.1.0"], "and nothing in its place");
}

#[test]
fn a_synchronisation_of_whose_end_the_target_knows_nothing_is_begun_anew() {
    let mut delivery = Delivery::new(Opening::Replaces);
    delivery.found(Place::Nowhere, None, 1);
    delivery.begun(1);
    assert_eq!(read(&mut delivery, &log(0), 1), Turned::On);
    assert!(delivery.is_told());
    assert_eq!(delivery.standing(), Standing::Ending);
    delivery.failed(Failure::Elsewhere);
    assert_eq!((delivery.standing(), delivery.end()), (Standing::Anew, None));
}

#[test]
fn what_was_told_after_a_lost_batch_is_told_again_once_that_can_arrive_no_more() {
    let log = log(3);
    let mut delivery = overwritten(&log, 1);
    let taken = delivery.launch().unwrap();
    assert_eq!(delivery.landed(&taken, Landing::Taken), Ok(None));
    assert_eq!(read(&mut delivery, &log, 1), Turned::On);
    let lost = delivery.launch().unwrap();
    assert_eq!(delivery.landed(&lost, Landing::Lost), Err(Undone));
    delivery.failed(Failure::Other);
    delivery.found(Place::Untold, None, 1);
    assert_eq!(tell(&mut delivery, &log, |_| true), 0);
    assert!(delivery.is_told() && delivery.is_doubted());
    let revision = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.revision);
    let (safe, told) = (revision(delivery.safe()), revision(delivery.cursor()));
    assert_eq!((safe, told), (Some(Revision(1)), Some(Revision(3))));
    delivery.repeat();
    assert!(delivery.look());
    assert_eq!(read(&mut delivery, &log, 10), Turned::On);
    assert_eq!(about(&delivery.launch().unwrap()), ["10.0.1.1", "10.0.1.2"]);
    assert!(!delivery.is_doubted());
}

#[test]
fn what_came_before_a_restart_may_still_arrive_after_it() {
    let log = log(3);
    let mut delivery = Delivery::new(Opening::Overwrites);
    let (cursor, hears) = (Cursor::new(7, Revision(2)), Hears::OthersGone);
    delivery.found(Place::Untold, Some(Kept { cursor, hears, scope: Scope::Same }), 1);
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
        (Cursor::new(7, Revision(1)), Turned::On),
        (Cursor::new(6, Revision(1)), Turned::EndsForgotten),
        (Cursor::new(6, Revision(1)).again(), Turned::EndsForgotten),
        (Cursor::FOREIGN, Turned::On),
        (Cursor::FOREIGN.again(), Turned::On),
    ] {
        let mut delivery = Delivery::new(Opening::Overwrites);
        let kept = Kept { cursor, hears: Hears::Admitted, scope: Scope::Same };
        delivery.found(Place::Untold, Some(kept), 1);
        assert_eq!(read(&mut delivery, &log, 10), turned, "{cursor}");
        let launch = delivery.launch().unwrap();
        assert_eq!(delivery.landed(&launch, Landing::Taken), Ok(None));
        assert!(delivery.is_told());
        delivery.repeat();
        assert_eq!(read(&mut delivery, &log, 10), Turned::On, "that is said once");
    }
}

#[test]
fn where_nothing_was_for_it_a_batch_of_nothing_moves_the_place_of_a_target() {
    let log = log(3);
    let nobody = Filter { include: vec!["192.0.2.0/24".parse().unwrap()], ..Filter::default() };
    let mut delivery = Delivery::new(Opening::Replaces);
    let at = Cursor::new(7, Revision(1));
    let kept = Kept { cursor: at, hears: Hears::Admitted, scope: Scope::Same };
    delivery.found(Place::At(at), Some(kept), 1);
    let request =
        Request { cursor: Some(at), since: None, filter: &nobody, limit: 10, now: seconds(20) };
    assert_eq!(delivery.take(log.read(&request)), Turned::On);
    assert!(delivery.is_told());
    assert_eq!(delivery.at(), Some(at));
    assert!(delivery.move_place());
    let launch = delivery.launch().unwrap();
    assert_eq!((launch.changes.len(), launch.next.revision), (0, Revision(3)));
    assert_eq!(delivery.landed(&launch, Landing::Taken), Ok(None));
    assert!(delivery.at() == delivery.cursor() && !delivery.move_place());
}
