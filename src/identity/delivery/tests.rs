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

fn read(delivery: &mut Delivery, log: &ChangeLog, limit: usize) -> bool {
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
    assert!(delivery.look() && delivery.wants_page() && read(&mut delivery, &log, 10));
    let launch = delivery.launch().unwrap();
    assert_eq!((launch.changes.len(), delivery.cursor()), (3, None));
    let told = Landed { reports: 3, left_out: None };
    assert_eq!(delivery.landed(&launch, Landing::Taken), Ok(told));
    assert!(delivery.is_told());
    let end = delivery.end().unwrap();
    delivery.ended(end, 1);
    assert_eq!((delivery.standing(), delivery.cursor()), (Standing::Following, Some(end)));
    assert_eq!((end.revision, delivery.end()), (Revision(3), None));
}

#[test]
fn one_that_does_not_go_on_from_where_it_says_it_is_is_told_everything() {
    let mut delivery = Delivery::new(Opening::Replaces);
    let at = Cursor::new(7, Revision(2));
    assert_eq!(delivery.found(Place::At(at), None, 1), Found::GoesOn);
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
    assert!(delivery.rests() && !delivery.rests());
    let mut delivery = Delivery::new(Opening::Overwrites);
    assert_eq!(delivery.found(Place::Untold, None, 1), Found::Resumes);
    assert_eq!(delivery.cursor(), Some(Cursor::FOREIGN), "it may hold anything");
}

#[test]
fn a_batch_that_cannot_be_taken_is_halved_until_the_bad_report_is_alone() {
    let log = log(4);
    let mut delivery = Delivery::new(Opening::Overwrites);
    delivery.found(Place::Untold, None, 1);
    assert!(delivery.look() && read(&mut delivery, &log, 10));
    let (mut told, mut left_out) = (0, Vec::new());
    while let Some(launch) = delivery.launch() {
        let is_bad = launch.changes.iter().any(|change| change.address == address("10.0.1.2"));
        let landed = delivery.landed(&launch, if is_bad { no() } else { Landing::Taken }).unwrap();
        told += landed.reports;
        left_out.extend(landed.left_out.map(|report| report.address));
    }
    assert_eq!((told, left_out), (4, vec![address("10.0.1.2")]));
    assert!(delivery.is_told());
    assert_eq!(delivery.cursor().map(|cursor| cursor.revision), Some(Revision(4)));
}

#[test]
fn one_that_refuses_report_after_report_is_in_trouble_and_is_not_taken_for_told() {
    let log = log(12);
    let mut delivery = Delivery::new(Opening::Overwrites);
    delivery.found(Place::Untold, None, 1);
    assert!(delivery.look());
    let mut given_up = 0;
    loop {
        if delivery.wants_page() {
            assert!(read(&mut delivery, &log, 1));
        }
        let launch = delivery.launch().unwrap();
        match delivery.landed(&launch, no()) {
            Ok(landed) => given_up += landed.left_out.iter().count(),
            Err(Undone) => break,
        }
    }
    assert_eq!(given_up, 8);
    delivery.failed(Failure::Other);
    assert_eq!(delivery.cursor().map(|cursor| cursor.revision), Some(Revision(8)));
}
