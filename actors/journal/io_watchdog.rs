//! Whether the disk answers. The journal's thread cannot say that it waits for the kernel: it says when
//! it begins to, and another thread looks whether that is long ago.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use rollcall_identity::JournalError;
use tokio::sync::watch;

use crate::telemetry::DiskNotResponding;
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long the disk may take for one group of batches. A million events a minute are committed in
/// groups of some milliseconds; a disk that is only slow takes a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whoever is told why the journal takes no events.
pub(super) type Told = Arc<watch::Sender<Option<JournalError>>>;

/// The pulse of the journal's thread. When it is dropped, nobody looks any more.
pub(super) struct IoWatchdog {
    beat: Arc<Mutex<Beat>>,
    _alive: Sender<()>,
}

/// What the thread is at.
#[derive(Debug, Default)]
struct Beat {
    /// Since when it waits for the disk.
    began: Option<Instant>,
    /// Whether it was said that the disk does not answer.
    is_silent: bool,
}

impl IoWatchdog {
    /// Starts to look, every `often`. While the disk does not answer, `told` says so.
    pub(super) fn start(told: Told, often: Duration) -> io::Result<Self> {
        let (alive, ended) = bounded::<()>(0);
        let beat = Arc::<Mutex<Beat>>::default();
        let watched = Arc::clone(&beat);
        let thread = std::thread::Builder::new().name("journal-pulse".to_owned());
        thread.spawn(move || {
            while ended.recv_timeout(often) == Err(RecvTimeoutError::Timeout) {
                lock(&watched).look(Clock::instant(), &told);
            }
        })?;
        Ok(Self { beat, _alive: alive })
    }

    /// Does what the disk takes part in, and says how long that was when it was said meanwhile that the
    /// disk does not answer.
    pub(super) fn beat<T>(&self, work: impl FnOnce() -> T) -> (T, Option<Duration>) {
        lock(&self.beat).began = Some(Clock::instant());
        let done = work();
        let Beat { began, is_silent } = std::mem::take(&mut *lock(&self.beat));
        (done, began.filter(|_| is_silent).map(|began| began.elapsed()))
    }
}

impl Beat {
    /// Says it when the disk has not answered for too long; once.
    fn look(&mut self, now: Instant, told: &Told) {
        let waits = self.began.map(|began| now.saturating_duration_since(began));
        if self.is_silent || waits.is_none_or(|waits| waits < PATIENCE) {
            return;
        }
        self.is_silent = true;
        DiskNotResponding { patience: PATIENCE }.emit();
        let text = format!("the disk has not answered for {} s", PATIENCE.as_secs());
        told.send_replace(Some(JournalError(text)));
    }
}

fn lock(beat: &Mutex<Beat>) -> MutexGuard<'_, Beat> {
    // Nothing under the lock can leave it half written.
    beat.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_said_once_and_not_before_its_time() {
        let (told, mut illness) = watch::channel(None);
        let told = Arc::new(told);
        let began = Clock::instant();
        let mut beat = Beat::default();
        beat.look(began + 2 * PATIENCE, &told);
        assert!(illness.borrow_and_update().is_none(), "nobody waits for it");
        beat.began = Some(began);
        beat.look(began + PATIENCE - Duration::from_millis(1), &told);
        assert!(!illness.has_changed().unwrap(), "it is only slow");
        beat.look(began + PATIENCE, &told);
        let said = illness.borrow_and_update().clone().unwrap();
        assert_eq!(said.0, "the disk has not answered for 5 s");
        beat.look(began + 2 * PATIENCE, &told);
        assert!(!illness.has_changed().unwrap(), "once is enough");
    }

    #[test]
    fn whoever_looks_sees_a_disk_that_hangs_and_how_long_it_hung_is_known_after() {
        let (told, mut illness) = watch::channel(None);
        let pulse = IoWatchdog::start(Arc::new(told), Duration::from_millis(1)).unwrap();
        assert_eq!(pulse.beat(|| 7), (7, None));
        let (done, hung) = pulse.beat(|| {
            // As if it had hung for so long already.
            lock(&pulse.beat).began = Clock::instant().checked_sub(2 * PATIENCE);
            futures_executor::block_on(illness.wait_for(Option::is_some)).is_ok()
        });
        assert!(done);
        assert!(hung.unwrap() >= 2 * PATIENCE);
        assert_eq!(pulse.beat(|| 7), (7, None), "the next time is another");
    }
}
