//! Detects a stalled disk. The journal's thread cannot report that it waits for the kernel: it
//! records the start of each operation, and another thread checks how long ago that was.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rollcall_identity::JournalError;
use tokio::sync::watch;

use crate::telemetry::DiskNotResponding;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// The time limit of the disk for one group of batches. At a million events per minute, a group
/// takes some milliseconds; on a slow disk, a second.
const IO_TIMEOUT: Duration = Duration::from_secs(5);

/// Publishes why the journal is not writable.
pub(super) type ErrorSender = Arc<watch::Sender<Option<JournalError>>>;

/// The watchdog of the journal's thread. Dropping it ends the check.
pub(super) struct IoWatchdog {
    watch: Arc<Mutex<Operation>>,
    _alive: Sender<()>,
}

/// The current operation of the thread.
#[derive(Debug, Default)]
struct Operation {
    /// The start of the current disk operation.
    started: Option<Instant>,
    /// Whether the stall was reported.
    is_reported: bool,
}

impl IoWatchdog {
    /// Starts the check at every `interval`. A stall is published to `errors`.
    pub(super) fn start(errors: ErrorSender, interval: Duration) -> io::Result<Self> {
        let (alive, ended) = bounded::<()>(0);
        let watch = Arc::<Mutex<Operation>>::default();
        let watched = Arc::clone(&watch);
        let thread = std::thread::Builder::new().name("journal-watchdog".to_owned());
        thread.spawn(move || {
            while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                lock(&watched).check(Clock::instant(), &errors);
            }
        })?;
        Ok(Self { watch, _alive: alive })
    }

    /// Runs a disk operation. Returns its duration if it was reported as stalled.
    pub(super) fn watch<T>(&self, operation: impl FnOnce() -> T) -> (T, Option<Duration>) {
        lock(&self.watch).started = Some(Clock::instant());
        let result = operation();
        let Operation { started, is_reported } = std::mem::take(&mut *lock(&self.watch));
        (result, started.filter(|_| is_reported).map(|started| started.elapsed()))
    }
}

impl Operation {
    /// Reports a stalled operation once.
    fn check(&mut self, now: Instant, errors: &ErrorSender) {
        let waiting = self.started.map(|started| now.saturating_duration_since(started));
        if self.is_reported || waiting.is_none_or(|waiting| waiting < IO_TIMEOUT) {
            return;
        }
        self.is_reported = true;
        DiskNotResponding { timeout: IO_TIMEOUT }.emit();
        let text = format!("the disk has not answered for {} s", IO_TIMEOUT.as_secs());
        errors.send_replace(Some(JournalError(text)));
    }
}

fn lock(watch: &Mutex<Operation>) -> MutexGuard<'_, Operation> {
    // No panic can leave the operation partly written.
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_disk_is_reported_once_after_the_timeout() {
        let (errors, mut write_error) = watch::channel(None);
        let errors = Arc::new(errors);
        let started = Clock::instant();
        let mut watch = Operation::default();
        watch.check(started + 2 * IO_TIMEOUT, &errors);
        assert!(write_error.borrow_and_update().is_none(), "no operation is running");
        watch.started = Some(started);
        watch.check(started + IO_TIMEOUT - Duration::from_millis(1), &errors);
        assert!(!write_error.has_changed().unwrap(), "it is only slow");
        watch.check(started + IO_TIMEOUT, &errors);
        let reported = write_error.borrow_and_update().clone().unwrap();
        assert_eq!(reported.0, "the disk has not answered for 5 s");
        watch.check(started + 2 * IO_TIMEOUT, &errors);
        assert!(!write_error.has_changed().unwrap(), "it is reported once");
    }

    #[test]
    fn a_stall_is_visible_while_it_lasts_and_its_duration_is_returned() {
        let (errors, mut write_error) = watch::channel(None);
        let watchdog = IoWatchdog::start(Arc::new(errors), Duration::from_millis(1)).unwrap();
        assert_eq!(watchdog.watch(|| 7), (7, None));
        let (result, stalled) = watchdog.watch(|| {
            // Simulates a stall of that duration.
            lock(&watchdog.watch).started = Clock::instant().checked_sub(2 * IO_TIMEOUT);
            futures_executor::block_on(write_error.wait_for(Option::is_some)).is_ok()
        });
        assert!(result);
        assert!(stalled.unwrap() >= 2 * IO_TIMEOUT);
        assert_eq!(watchdog.watch(|| 7), (7, None), "the next operation is not stalled");
    }
}
