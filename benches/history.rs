//! The cost of history queries: the user of an address at a point in time, among many events.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::contender::{Contender, Rollcall};
use crate::http::Connection;
use crate::line::{Sort, address};
use crate::process::wait_until;
use crate::sender;

/// The number of times that every tunnel comes up.
pub const ROUNDS: u32 = 10;

/// The number of sequential queries.
const QUESTIONS: usize = 5000;

/// The time limit for sealing the last segments.
const SEALING: Duration = Duration::from_secs(600);

/// The results.
pub struct Cost {
    /// The first query, which indexes the open segment.
    pub first: Duration,
    /// Each further query for a point in time.
    pub moments: Vec<Duration>,
    /// Each query for the whole history of an address.
    pub stays: Vec<Duration>,
    /// The memory that the answers took, in bytes.
    pub resident: f64,
}

/// Sends [`ROUNDS`] logins for each of `tunnels`, waits until all complete segments are sealed, and
/// runs the queries.
pub fn measure(server: &Rollcall, tunnels: u32) -> io::Result<Cost> {
    let begin = SystemTime::now();
    for round in 1..=ROUNDS {
        sender::stream(server.listens(), (Sort::Vpn, 0), tunnels)?;
        let all = u64::from(tunnels) * u64::from(round);
        wait_until("events", Duration::from_secs(300), || {
            let account = server.account()?;
            Ok(account.applied + account.deduplicated >= all)
        })?;
    }
    let journal = server.data().join("journal");
    wait_until("sealed segments", SEALING, || Ok(written(&journal)? <= 1))?;
    let end = SystemTime::now();
    let before = server.resident()?;
    let mut asking = Asking::begin(server, (begin, end), tunnels)?;
    let first = asking.moment()?;
    let ask = |times: &mut dyn FnMut() -> io::Result<Duration>| -> io::Result<Vec<Duration>> {
        (0..QUESTIONS).map(|_| times()).collect()
    };
    let moments = ask(&mut || asking.moment())?;
    let stays = ask(&mut || asking.stays())?;
    let resident = server.resident()? as f64 - before as f64;
    Ok(Cost { first, moments, stays, resident })
}

/// The number of segments that are not sealed.
fn written(journal: &Path) -> io::Result<usize> {
    let mut written = 0;
    for entry in fs::read_dir(journal)? {
        written += usize::from(entry?.file_name().to_string_lossy().ends_with(".open.db"));
    }
    Ok(written)
}

/// A client that queries one tunnel after the other, at one point in time after the other.
struct Asking {
    connection: Connection,
    begin: i64,
    span: i64,
    tunnels: u32,
    random: u64,
}

impl Asking {
    fn begin(
        server: &Rollcall,
        (begin, end): (SystemTime, SystemTime),
        tunnels: u32,
    ) -> io::Result<Self> {
        let millis = |at: SystemTime| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_millis()).unwrap_or_default()
        };
        // A little later, so that the first lines were received.
        let (begin, end) = (millis(begin) + 1000, millis(end));
        let connection = server.administrator()?;
        Ok(Self { connection, begin, span: (end - begin).max(1), tunnels, random: 7 })
    }

    /// The next pseudo-random number (Knuth's MMIX generator).
    fn next(&mut self, below: u64) -> u64 {
        let (multiplier, increment) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
        self.random = self.random.wrapping_mul(multiplier).wrapping_add(increment);
        (self.random >> 33) % below
    }

    fn moment(&mut self) -> io::Result<Duration> {
        let at = self.begin + self.next(self.span.cast_unsigned()).cast_signed();
        self.ask(&format!("at={}", written_as(at)?))
    }

    fn stays(&mut self) -> io::Result<Duration> {
        let from = written_as(self.begin)?;
        self.ask(&format!("from={from}"))
    }

    fn ask(&mut self, query: &str) -> io::Result<Duration> {
        let tunnels = u64::from(self.tunnels);
        let tunnel = u32::try_from(self.next(tunnels)).unwrap_or_default();
        let path = format!("/api/v1/history/addresses/{}?{query}", address(tunnel));
        let asked = Instant::now();
        self.connection.get(&path)?.ok()?;
        Ok(asked.elapsed())
    }
}

fn written_as(millis: i64) -> io::Result<String> {
    let at = jiff::Timestamp::from_millisecond(millis).map_err(io::Error::other)?;
    Ok(at.to_string())
}

impl Rollcall {
    /// An administrator's connection, with the server's token.
    pub fn administrator(&self) -> io::Result<Connection> {
        let token = fs::read_to_string(self.data().join("admin.token"))?;
        let at: SocketAddr = self.rest();
        let mut connection = Connection::open(at, None)?;
        connection.authorize(token.trim());
        Ok(connection)
    }
}
