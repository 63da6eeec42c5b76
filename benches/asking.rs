//! Questions at a steady rate, over several connections, and how long each waits for its answer.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::http::Connection;

/// How often something is asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Questions a second.
    pub rate: f64,
    /// How long.
    pub time: Duration,
}

/// Asks over `connections` at this pace. Question number `n` goes over whichever connection is free when
/// it is due, and its latency is counted from that moment: a slow answer makes the questions behind it
/// late, as it does for users.
pub fn ask<F>(connections: &mut [Connection], pace: Pace, question: F) -> io::Result<Vec<Duration>>
where
    F: Fn(&mut Connection, u32) -> io::Result<()> + Sync,
{
    let Pace { rate, time } = pace;
    let (total, next) = ((rate * time.as_secs_f64()) as u32, AtomicU32::new(0));
    let begin = Instant::now() + Duration::from_millis(50);
    let (next, question) = (&next, &question);
    let one = |connection: &mut Connection| -> io::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number >= total {
                return Ok(latencies);
            }
            let due = begin + Duration::from_secs_f64(f64::from(number) / rate);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            question(connection, number)?;
            latencies.push(due.elapsed());
        }
    };
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            connections.iter_mut().map(|connection| scope.spawn(move || one(connection))).collect();
        let mut all = Vec::new();
        for thread in asking {
            all.extend(thread.join().map_err(|_| io::Error::other("an asker panicked"))??);
        }
        Ok(all)
    })
}
