//! Tests of a delivery when the target rejects, fails or loses batches.

use super::*;
use crate::engine::Decider;
use crate::test_support::{address, event_at, rules, seconds};
use crate::{ChangeLog, ChangeLogLimits, Filter, Kind, PageRequest, Revision};

/// A log with `users` logins, each at an address of its own.
fn log(users: usize) -> ChangeLog {
    let (mut decider, mut log) =
        (Decider::default(), ChangeLog::new(7, ChangeLogLimits::default()));
    let events: Vec<_> = (0..users)
        .map(|n| {
            let address = address(&format!("10.0.1.{n}"));
            crate::Event { address, ..event_at(Kind::VpnUp, "alice@corp", 10) }
        })
        .collect();
    decider.apply_batch((Revision(1), &events), &rules(), |_, _, decision| {
        let change = decision.change.expect("everybody is new");
        log.apply(&change, seconds(10));
    });
    log
}

fn read(delivery: &mut Delivery, log: &ChangeLog, limit: usize) -> PageOutcome {
    let (cursor, filter) = (delivery.read_after(), Filter::default());
    let now = seconds(20);
    delivery.push_page(log.read(&PageRequest { cursor, since: None, filter: &filter, limit, now }))
}

fn no() -> SendOutcome {
    SendOutcome::Rejected("no".to_owned())
}

#[test]
fn an_empty_target_gets_a_full_resync_and_then_changes() {
    let log = log(3);
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    assert_eq!(
        delivery.on_position(TargetPosition::Empty, None, 1),
        ResumeOutcome::FullResync("empty")
    );
    assert_eq!(delivery.state(), DeliveryState::StartResync);
    delivery.resync_started(1);
    assert!(delivery.poll() && delivery.wants_page());
    assert_eq!(read(&mut delivery, &log, 10), PageOutcome::Queued);
    let batch = delivery.next_batch().unwrap();
    assert_eq!((batch.changes.len(), delivery.cursor()), (3, None));
    assert_eq!(
        (delivery.on_outcome(&batch, SendOutcome::Accepted), delivery.resync_end()),
        (Ok(None), None)
    );
    assert!(delivery.finish_reading());
    let end = delivery.resync_end().unwrap();
    delivery.on_failure(DeliveryFailure::Other);
    assert_eq!((delivery.state(), delivery.resync_end()), (DeliveryState::FinishResync, Some(end)));
    delivery.resync_finished();
    assert_eq!((delivery.state(), delivery.cursor()), (DeliveryState::Following, Some(end)));
    assert_eq!((end.revision, delivery.resync_end()), (Revision(3), None));
}

#[test]
fn a_target_that_rejects_its_own_position_gets_a_full_resync() {
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    let at = Cursor::new(7, Revision(2));
    let stored = StoredPosition {
        cursor: at,
        scope: DeliveryScope::Filtered,
        filter: FilterChange::Unchanged,
    };
    assert_eq!(
        delivery.on_position(TargetPosition::At(at), Some(stored), 1),
        ResumeOutcome::FromTarget
    );
    delivery.on_failure(DeliveryFailure::PositionMismatch);
    assert_eq!(delivery.state(), DeliveryState::StartResync);
    assert_eq!(delivery.on_position(TargetPosition::At(at), None, 1), ResumeOutcome::FromTarget);
    delivery.on_failure(DeliveryFailure::Other);
    assert_eq!(delivery.state(), DeliveryState::Probing, "it is asked once more");
}

#[test]
fn an_upsert_target_resumes_from_the_stored_position_and_a_filter_change_is_reconciled() {
    let cursor = Cursor::new(7, Revision(2));
    let stored = |filter| Some(StoredPosition { cursor, scope: DeliveryScope::Filtered, filter });
    let mut delivery = Delivery::new(DeliveryMode::Upsert);
    assert_eq!(
        delivery.on_position(TargetPosition::Unsupported, stored(FilterChange::Unchanged), 1),
        ResumeOutcome::FromStored
    );
    assert_eq!(delivery.cursor(), Some(cursor));
    let mut delivery = Delivery::new(DeliveryMode::Upsert);
    assert_eq!(
        delivery.on_position(TargetPosition::Unsupported, stored(FilterChange::Changed), 1),
        ResumeOutcome::Reconcile
    );
    assert_eq!(
        (delivery.cursor(), delivery.scope()),
        (Some(cursor.replay()), DeliveryScope::FilteredWithRemovals)
    );
    delivery.replay();
    assert!(delivery.on_idle() && !delivery.on_idle());
    let mut delivery = Delivery::new(DeliveryMode::Upsert);
    assert_eq!(
        delivery.on_position(TargetPosition::Unsupported, None, 1),
        ResumeOutcome::FromStored
    );
    assert_eq!(delivery.cursor(), Some(Cursor::UNKNOWN), "it may hold anything");
}

#[test]
fn parallel_batches_continue_after_a_resync() {
    let log = log(4);
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    delivery.on_position(TargetPosition::Empty, None, 1);
    delivery.resync_started(3);
    delivery.poll();
    let nobody = ChangeLog::new(7, ChangeLogLimits::default());
    assert_eq!(read(&mut delivery, &nobody, 1), PageOutcome::Queued);
    assert!(delivery.finish_reading());
    delivery.resync_finished();
    assert!(delivery.poll());
    for _ in 0..4 {
        assert_eq!(read(&mut delivery, &log, 1), PageOutcome::Queued);
    }
    let first = delivery.next_batch().unwrap();
    assert!(delivery.next_batch().is_none(), "the first of a turn goes alone");
    assert_eq!(delivery.on_outcome(&first, SendOutcome::Accepted), Ok(None));
    let sent: Vec<_> = std::iter::from_fn(|| delivery.next_batch()).collect();
    assert_eq!(sent.len(), 3);
}

#[test]
fn an_upsert_target_without_stored_position_gets_removals() {
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    let at = TargetPosition::At(Cursor::new(7, Revision(2)));
    assert_eq!(delivery.on_position(at, None, 1), ResumeOutcome::FullResync("scope"));
    delivery.resync_started(1);
    assert_eq!(read(&mut delivery, &log(0), 10), PageOutcome::Queued);
    assert!(delivery.finish_reading());
    delivery.resync_finished();
    delivery.on_failure(DeliveryFailure::Other);
    assert_eq!(
        delivery.on_position(at, None, 1),
        ResumeOutcome::FromTarget,
        "this process sent everything"
    );
}

/// An upsert target of unknown state that is to receive the log.
fn overwritten(log: &ChangeLog, limit: usize) -> Delivery {
    let mut delivery = Delivery::new(DeliveryMode::Upsert);
    delivery.on_position(TargetPosition::Unsupported, None, 1);
    assert!(delivery.poll());
    assert_eq!(read(&mut delivery, log, limit), PageOutcome::Queued);
    delivery
}

fn about(batch: &OutgoingBatch) -> Vec<String> {
    batch.changes.iter().map(|change| change.address.to_string()).collect()
}

#[test]
fn a_rejected_batch_is_split_down_to_the_invalid_change() {
    let log = log(4);
    let mut delivery = overwritten(&log, 10);
    let (mut sent, mut skipped) = (Vec::new(), Vec::new());
    while let Some(batch) = delivery.next_batch() {
        sent.push(about(&batch));
        let is_bad = |change: &crate::Change| {
            change.address == address("10.0.1.2") && change.after.is_some()
        };
        let outcome = if batch.changes.iter().any(is_bad) { no() } else { SendOutcome::Accepted };
        skipped.extend(delivery.on_outcome(&batch, outcome).unwrap());
    }
    let skipped: Vec<_> = skipped.into_iter().map(|report| report.address).collect();
    assert_eq!(skipped, [address("10.0.1.2")]);
    assert_eq!(
        sent[3..],
        [["10.0.1.2"], ["10.0.1.1"], ["10.0.1.3"]],
        "what it took last is a proof"
    );
    assert!(delivery.finish_reading());
    assert_eq!(delivery.cursor().map(|cursor| cursor.revision), Some(Revision(4)));
}

/// Delivers the log to a target that accepts the batches for which `takes` is true, until it is
/// complete or fails. Returns the number of skipped changes.
fn deliver(
    delivery: &mut Delivery,
    log: &ChangeLog,
    takes: impl Fn(&OutgoingBatch) -> bool,
) -> usize {
    delivery.poll();
    let mut given_up = 0;
    loop {
        if delivery.wants_page() {
            assert_eq!(read(delivery, log, 1), PageOutcome::Queued);
        }
        let Some(batch) = delivery.next_batch() else { break };
        let outcome = if takes(&batch) { SendOutcome::Accepted } else { no() };
        match delivery.on_outcome(&batch, outcome) {
            Ok(skipped) => given_up += skipped.iter().count(),
            Err(MustResend) => {
                delivery.on_failure(DeliveryFailure::Other);
                delivery.on_position(TargetPosition::Unsupported, None, 1);
                break;
            }
        }
    }
    given_up
}

#[test]
fn a_target_that_rejects_everything_is_faulty_and_no_change_is_skipped() {
    let log = log(12);
    let mut delivery = overwritten(&log, 1);
    for failures in 1..50 {
        assert_eq!(deliver(&mut delivery, &log, |_| false), 0);
        assert_eq!(delivery.failures(), failures, "each pause is longer than the one before");
    }
    assert_eq!(delivery.cursor(), Some(Cursor::UNKNOWN));
    assert_eq!(deliver(&mut delivery, &log, |_| true), 0);
    assert!(delivery.finish_reading() && delivery.failures() == 0);
}

#[test]
fn a_target_that_accepts_only_probes_skips_one_change_per_backoff() {
    let log = log(20);
    let mut delivery = overwritten(&log, 1);
    let is_proof =
        |batch: &OutgoingBatch| batch.changes.iter().all(|change| change.after.is_none());
    assert_eq!(deliver(&mut delivery, &log, is_proof), 8);
    for failures in 1..5 {
        assert_eq!(delivery.failures(), failures);
        assert_eq!(deliver(&mut delivery, &log, is_proof), 1);
    }
    assert_eq!(delivery.cursor().map(|cursor| cursor.revision), Some(Revision(12)));
    assert_eq!(deliver(&mut delivery, &log, |_| true), 0);
    assert_eq!(delivery.failures(), 0);
}

#[test]
fn a_reported_position_does_not_reset_failures() {
    let log = log(2);
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    let at = Cursor::new(7, Revision(1));
    let stored = StoredPosition {
        cursor: at,
        scope: DeliveryScope::Filtered,
        filter: FilterChange::Unchanged,
    };
    for failures in 1..50 {
        assert_eq!(
            delivery.on_position(TargetPosition::At(at), Some(stored), 1),
            ResumeOutcome::FromTarget
        );
        assert!(delivery.poll());
        assert_eq!(read(&mut delivery, &log, 10), PageOutcome::Queued);
        let batch = delivery.next_batch().unwrap();
        assert_eq!(delivery.on_outcome(&batch, SendOutcome::NotApplied), Err(MustResend));
        delivery.on_failure(DeliveryFailure::Other);
        assert_eq!(delivery.failures(), failures);
    }
    delivery.on_position(TargetPosition::At(Cursor::new(7, Revision(2))), None, 1);
    delivery.on_idle();
    assert_eq!(delivery.failures(), 0, "it has everything");
}

#[test]
fn a_change_whose_probe_is_rejected_is_sent_after_the_outage_by_a_resync() {
    let log = log(1);
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    delivery.on_position(TargetPosition::Empty, None, 1);
    delivery.resync_started(1);
    delivery.poll();
    assert_eq!(read(&mut delivery, &log, 10), PageOutcome::Queued);
    for refused in [1, 0] {
        let batch = delivery.next_batch().unwrap();
        assert_eq!(batch.changes.len(), refused);
        assert_eq!(delivery.on_outcome(&batch, no()).is_ok(), refused == 1);
    }
    delivery.on_failure(DeliveryFailure::Other);
    assert_eq!(delivery.state(), DeliveryState::Resyncing);
    assert_eq!(delivery.next_batch().unwrap().changes.len(), 1, "it was not given up");
}

#[test]
fn rejections_before_a_failure_are_discarded() {
    let log = log(2);
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    delivery.on_position(TargetPosition::Empty, None, 2);
    delivery.resync_started(2);
    delivery.poll();
    for _ in 0..2 {
        assert_eq!(read(&mut delivery, &log, 1), PageOutcome::Queued);
    }
    let (first, second) = (delivery.next_batch().unwrap(), delivery.next_batch().unwrap());
    assert_eq!(delivery.on_outcome(&first, no()), Ok(None));
    assert_eq!(delivery.on_outcome(&second, SendOutcome::NotApplied), Err(MustResend));
    delivery.on_failure(DeliveryFailure::Other);
    assert_eq!(about(&delivery.next_batch().unwrap()), ["10.0.1.0"], "and nothing in its place");
}

#[test]
fn a_resync_that_the_target_does_not_confirm_is_restarted() {
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    delivery.on_position(TargetPosition::Empty, None, 1);
    delivery.resync_started(1);
    assert_eq!(read(&mut delivery, &log(0), 1), PageOutcome::Queued);
    assert!(delivery.finish_reading());
    assert_eq!(delivery.state(), DeliveryState::FinishResync);
    delivery.on_failure(DeliveryFailure::PositionMismatch);
    assert_eq!((delivery.state(), delivery.resync_end()), (DeliveryState::StartResync, None));
}

#[test]
fn changes_after_a_lost_batch_are_replayed_once_it_cannot_arrive() {
    let log = log(3);
    let mut delivery = overwritten(&log, 1);
    let taken = delivery.next_batch().unwrap();
    assert_eq!(delivery.on_outcome(&taken, SendOutcome::Accepted), Ok(None));
    assert_eq!(read(&mut delivery, &log, 1), PageOutcome::Queued);
    let lost = delivery.next_batch().unwrap();
    assert_eq!(delivery.on_outcome(&lost, SendOutcome::Unknown), Err(MustResend));
    delivery.on_failure(DeliveryFailure::Other);
    delivery.on_position(TargetPosition::Unsupported, None, 1);
    assert_eq!(deliver(&mut delivery, &log, |_| true), 0);
    assert!(delivery.finish_reading() && delivery.needs_replay());
    let revision = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.revision);
    let (safe, sent) = (revision(delivery.restart_cursor()), revision(delivery.cursor()));
    assert_eq!((safe, sent), (Some(Revision(1)), Some(Revision(3))));
    delivery.replay();
    assert!(delivery.poll());
    assert_eq!(read(&mut delivery, &log, 10), PageOutcome::Queued);
    assert_eq!(about(&delivery.next_batch().unwrap()), ["10.0.1.1", "10.0.1.2"]);
    assert!(!delivery.needs_replay());
}

#[test]
fn batches_in_flight_before_a_restart_are_replayed_after_it() {
    let log = log(3);
    let mut delivery = Delivery::new(DeliveryMode::Upsert);
    let (cursor, scope) = (Cursor::new(7, Revision(2)), DeliveryScope::FilteredWithRemovals);
    delivery.on_position(
        TargetPosition::Unsupported,
        Some(StoredPosition { cursor, scope, filter: FilterChange::Unchanged }),
        1,
    );
    assert_eq!(deliver(&mut delivery, &log, |_| true), 0);
    assert!(delivery.finish_reading() && !delivery.on_idle(), "other sessions are sent again too");
    assert_eq!(delivery.restart_cursor(), Some(cursor));
    delivery.replay();
    assert_eq!(deliver(&mut delivery, &log, |_| true), 0);
    assert!(delivery.finish_reading() && delivery.on_idle());
}

#[test]
fn an_upsert_target_that_missed_tombstones_is_reported() {
    let log = log(3);
    for (cursor, turned) in [
        (Cursor::new(7, Revision(1)), PageOutcome::Queued),
        (Cursor::new(6, Revision(1)), PageOutcome::TombstonesExpired),
        (Cursor::new(6, Revision(1)).replay(), PageOutcome::TombstonesExpired),
        (Cursor::UNKNOWN, PageOutcome::Queued),
        (Cursor::UNKNOWN.replay(), PageOutcome::Queued),
    ] {
        let mut delivery = Delivery::new(DeliveryMode::Upsert);
        let stored = StoredPosition {
            cursor,
            scope: DeliveryScope::Filtered,
            filter: FilterChange::Unchanged,
        };
        delivery.on_position(TargetPosition::Unsupported, Some(stored), 1);
        assert_eq!(read(&mut delivery, &log, 10), turned, "{cursor}");
        let batch = delivery.next_batch().unwrap();
        assert_eq!(delivery.on_outcome(&batch, SendOutcome::Accepted), Ok(None));
        assert!(delivery.finish_reading());
        delivery.replay();
        assert_eq!(read(&mut delivery, &log, 10), PageOutcome::Queued, "that is said once");
    }
}

#[test]
fn an_empty_batch_advances_the_position_of_a_target() {
    let log = log(3);
    let nobody = Filter { include: vec!["192.0.2.0/24".parse().unwrap()], ..Filter::default() };
    let mut delivery = Delivery::new(DeliveryMode::Replace);
    let at = Cursor::new(7, Revision(1));
    let stored = StoredPosition {
        cursor: at,
        scope: DeliveryScope::Filtered,
        filter: FilterChange::Unchanged,
    };
    delivery.on_position(TargetPosition::At(at), Some(stored), 1);
    let request =
        PageRequest { cursor: Some(at), since: None, filter: &nobody, limit: 10, now: seconds(20) };
    assert_eq!(delivery.push_page(log.read(&request)), PageOutcome::Queued);
    assert!(delivery.finish_reading());
    assert_eq!(delivery.acked(), Some(at));
    assert!(delivery.advance_position());
    let batch = delivery.next_batch().unwrap();
    assert_eq!((batch.changes.len(), batch.next.revision), (0, Revision(3)));
    assert_eq!(delivery.on_outcome(&batch, SendOutcome::Accepted), Ok(None));
    assert!(delivery.acked() == delivery.cursor() && !delivery.advance_position());
}
