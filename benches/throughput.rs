//! How many lines a second a contender takes: flat out, without loss, and over one stream.

use std::io;
use std::time::{Duration, Instant};

use crate::contender::{Contender, Kind, Stand};
use crate::line::Sort;
use crate::process::kernel_drops;
use crate::sender::{self, Pace, Sent};

/// How long one rate is held. Rollcall's and the kernel's buffers hold a tenth of it.
const HELD: Duration = Duration::from_secs(2);

/// After this long without progress nothing more will come.
const SETTLED: Duration = Duration::from_secs(2);

/// A receiver that needs longer for what is left when the sender stops was not keeping up.
const BEHIND: Duration = Duration::from_millis(500);

/// How often the highest rate without loss is halved in on: to 2 % of the first guess.
const STEPS: u32 = 6;

/// What became of what was sent.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Lines sent.
    pub sent: u64,
    /// Lines that went all the way.
    pub through: u64,
    /// Datagrams that the kernel dropped because the socket buffer was full.
    pub kernel_drops: u64,
    /// From the first line sent to the last that went through.
    pub took: Duration,
    /// From the last line sent to the last that went through.
    pub behind: Duration,
    /// Processor time of the contender.
    pub processor: Duration,
}

impl Run {
    /// Lines a second that went through.
    pub fn rate(&self) -> f64 {
        self.through as f64 / self.took.as_secs_f64()
    }

    /// Whether every line went through, and in time.
    pub fn is_lossless(&self) -> bool {
        self.through == self.sent && self.behind < BEHIND
    }

    /// Lines that are neither through nor dropped by the kernel: 0, or the measurement is wrong.
    pub fn missing(&self) -> i64 {
        self.sent as i64 - self.through as i64 - self.kernel_drops as i64
    }
}

/// A contender and the number of tunnels that it has received.
pub struct Course {
    contender: Box<dyn Contender>,
    sort: Sort,
    next: u32,
}

impl Course {
    /// Starts the contender.
    pub fn begin(kind: Kind, stand: &Stand, sort: Sort) -> io::Result<Self> {
        Ok(Self { contender: kind.start(stand)?, sort, next: 0 })
    }

    /// Datagrams at `pace` for `time`, and what became of them.
    pub fn datagrams(&mut self, pace: Pace, time: Duration) -> io::Result<Run> {
        let to = self.contender.listens();
        self.measure(|subject| sender::datagrams(to, subject, pace, time))
    }

    /// `count` lines over one stream, and what became of them.
    pub fn stream(&mut self, count: u32) -> io::Result<Run> {
        let to = self.contender.listens();
        self.measure(|subject| sender::stream(to, subject, count))
    }

    /// The highest rate of datagrams that all go through in time, searched for below `ceiling`.
    pub fn lossless(&mut self, ceiling: f64) -> io::Result<f64> {
        let (mut good, mut bad) = (0.0, ceiling);
        for _ in 0..STEPS {
            let rate = (good + bad) / 2.0;
            let run = self.datagrams(Pace::Rate(rate), HELD)?;
            // What was sent, and not what was wished: the sender may be the slower one.
            let sent = run.sent as f64 / HELD.as_secs_f64();
            if run.is_lossless() {
                good = sent;
                if sent < 0.95 * rate {
                    break;
                }
            } else {
                bad = rate;
            }
        }
        Ok(good)
    }

    fn measure(&mut self, send: impl FnOnce((Sort, u32)) -> io::Result<Sent>) -> io::Result<Run> {
        let contender = &mut self.contender;
        let (before, drops) = (contender.through()?, kernel_drops(contender.listens())?);
        let (processor, begin) = (contender.processor_time()?, Instant::now());
        let sent = send((self.sort, self.next))?;
        let ended = Instant::now();
        self.next += sent.lines;
        let (mut through, mut last) = (0, ended);
        loop {
            let now = contender.through()? - before;
            if now != through {
                (through, last) = (now, Instant::now());
            }
            let dropped = kernel_drops(contender.listens())? - drops;
            if through + dropped >= u64::from(sent.lines) || last.elapsed() > SETTLED {
                let processor = contender.processor_time()? - processor;
                let (took, behind) = (last - begin, last - ended);
                let sent = u64::from(sent.lines);
                return Ok(Run { sent, through, kernel_drops: dropped, took, behind, processor });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
