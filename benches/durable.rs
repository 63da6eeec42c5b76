//! What it costs that everything acknowledged is on the disk: the rate with the journal on disk against
//! that in memory, the time of a commit, and a start after a kill.

use std::io;
use std::time::{Duration, Instant};

use crate::contender::{Contender, Kind, Rollcall, Stand};
use crate::line::{Sort, address};
use crate::process::wait_until;
use crate::sender::{self, Pace};
use crate::suite::fill;
use crate::throughput::Course;

/// How many lines go over one stream: some seconds of them.
const STREAMED: u32 = 1_000_000;

/// How often both are measured, in turn: what else the machine does at one moment hits one of them.
const PAIRS: usize = 3;

/// What is offered while commits are timed, in events a second.
const OFFERED: f64 = 50_000.0;

/// For how long.
const WATCHED: Duration = Duration::from_secs(10);

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// VPN lines a second by one stream: on disk and in memory, a pair for each turn.
pub fn rates(stand: &Stand) -> io::Result<Vec<[f64; 2]>> {
    let rate = |kind| -> io::Result<f64> {
        Ok(Course::begin(kind, stand, Sort::Vpn)?.stream(STREAMED)?.rate())
    };
    (0..PAIRS).map(|_| Ok([rate(Kind::Rollcall)?, rate(Kind::Volatile)?])).collect()
}

/// Commits under a steady load.
pub struct Commits {
    /// Events that were offered, a second.
    pub offered: f64,
    /// How many commits there were.
    pub count: f64,
    /// 99 of 100 took at most so long, in seconds: the bound of the histogram's bucket.
    pub most: f64,
}

/// Times commits while datagrams come at a steady rate.
pub fn commits(stand: &Stand) -> io::Result<Commits> {
    let server = Rollcall::start(stand)?;
    let sent = sender::datagrams(server.listens(), (Sort::Vpn, 0), Pace::Rate(OFFERED), WATCHED)?;
    wait_until("events", PATIENCE, || Ok(server.account()?.applied >= u64::from(sent.lines)))?;
    let buckets = server.buckets("rollcall_journal_commit_seconds")?;
    let (_, count) = *buckets.last().ok_or_else(|| io::Error::other("no commit was timed"))?;
    let most = buckets.iter().find(|(_, below)| *below >= 0.99 * count);
    let most = most.map_or(f64::INFINITY, |(bound, _)| *bound);
    Ok(Commits { offered: f64::from(sent.lines) / sent.took.as_secs_f64(), count, most })
}

/// From the start of the program after `SIGKILL` to its first right answer, with `sessions` sessions
/// that began as they are folded, or are `written_down`.
pub fn start(stand: &Stand, sessions: u32, written_down: bool) -> io::Result<Duration> {
    let interval = if written_down { "1s" } else { "1h" };
    let journal = format!("\n[journal]\ncheckpoint_interval = \"{interval}\"\n");
    let mut server = Rollcall::start_with(stand, &journal)?;
    fill(&server, sessions)?;
    if written_down {
        let name = format!("snapshot-{sessions:020}.db");
        let snapshot = server.data().join("journal").join(name);
        wait_until("the snapshot", PATIENCE, || Ok(snapshot.exists()))?;
    }
    let began = Instant::now();
    server.kill_and_start(stand)?;
    let wanted = format!("/api/v1/sessions/{}", address(sessions - 1));
    let answer = server.administrator()?.get(&wanted)?;
    let took = began.elapsed();
    answer.ok()?;
    Ok(took)
}
