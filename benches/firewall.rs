//! The view of firewalls: propagation latency, lookups, the duration of a full read, and whether all
//! polling firewalls receive the same content.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::contender::{Contender, Rollcall};
use crate::http::Connection;
use crate::line::{self, Line, Sort};

/// Where questions go.
const ASK: &str = "/user_query/v2";

/// The largest page that an SRX asks for.
const PAGE: usize = 1000;

/// After this long an event is lost.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Page {
    report_entries: Vec<Report>,
    cookie: String,
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "ip-address")]
    address: IpAddr,
}

/// A firewall that reads batch after batch.
pub struct Reader {
    connection: Connection,
    cookie: Option<String>,
}

impl Reader {
    /// A firewall that knows nothing yet.
    pub fn new(connection: Connection) -> Self {
        Self { connection, cookie: None }
    }

    /// Reads one page into `found`; says how many reports it had.
    pub fn page(&mut self, found: &mut Vec<IpAddr>) -> io::Result<usize> {
        let cookie = self.cookie.as_ref().map(|cookie| format!("&cookie={cookie}"));
        let target = format!("{ASK}?count={PAGE}{}", cookie.unwrap_or_default());
        let page: Page = serde_json::from_slice(&self.connection.get(&target)?.ok()?)?;
        self.cookie = Some(page.cookie);
        found.extend(page.report_entries.iter().map(|report| report.address));
        Ok(page.report_entries.len())
    }

    /// Reads until there is no more. Returns all addresses, each as often as it was reported.
    pub fn everything(&mut self) -> io::Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        while self.page(&mut found)? > 0 {}
        Ok(found)
    }
}

/// Reads all sessions as a firewall that begins from nothing. Gives the time, and how many
/// different addresses there were.
pub fn read_all(server: &Rollcall) -> io::Result<(Duration, usize)> {
    let mut reader = Reader::new(server.firewall()?);
    let begin = Instant::now();
    let found = reader.everything()?;
    let took = begin.elapsed();
    Ok((took, found.into_iter().collect::<HashSet<_>>().len()))
}

/// As many connections as an SRX opens at most for IP queries, each of which has asked once: they shake
/// hands with their first question, which is not measured.
pub fn lines(server: &Rollcall) -> io::Result<Vec<Connection>> {
    const CONNECTIONS: usize = 20;
    let first = server.firewall()?;
    let more = (1..CONNECTIONS).map(|_| server.another(&first));
    let mut lines: Vec<_> = more.collect::<io::Result<_>>()?;
    lines.push(first);
    for line in &mut lines {
        look(line, 0)?;
    }
    Ok(lines)
}

/// Asks for addresses of the first `known` tunnels, scattered over the table, the same in each run.
pub fn find(known: u32) -> impl Fn(&mut Connection, u32) -> io::Result<()> {
    move |connection, number| {
        let index = (u64::from(number) * 2_654_435_761 % u64::from(known)) as u32;
        if look(connection, index)? {
            return Ok(());
        }
        Err(io::Error::other(format!("{} is unknown", line::address(index))))
    }
}

/// Whether the user of tunnel `index` is at its address.
fn look(connection: &mut Connection, index: u32) -> io::Result<bool> {
    knows(connection, &line::address(index).to_string(), &line::user(index))
}

/// Whether a firewall that asks for `address` is answered with `user`.
pub fn knows(connection: &mut Connection, address: &str, user: &str) -> io::Result<bool> {
    let answer = connection.get(&format!("{ASK}/ip/{address}"))?;
    Ok(answer.status == 200 && memchr::memmem::find(&answer.body, user.as_bytes()).is_some())
}

/// Sends the line of one tunnel after the other from `first` on while `on` holds, and asks for its
/// address until it is answered. Gives the times from sending to the answer: what an event takes to
/// be visible, and at most one question more.
pub fn probe(server: &Rollcall, first: u32, on: &AtomicBool) -> io::Result<Vec<Duration>> {
    let (mut connection, socket) = (server.firewall()?, UdpSocket::bind("127.0.0.1:0")?);
    look(&mut connection, first)?;
    let (mut line, mut delays) = (Line::new(Sort::Vpn), Vec::new());
    for index in first.. {
        if !on.load(Relaxed) {
            break;
        }
        line.renew();
        let sent = Instant::now();
        socket.send_to(line.of(index), server.listens())?;
        while !look(&mut connection, index)? {
            if sent.elapsed() > PATIENCE {
                return Err(io::Error::other("an event never became visible"));
            }
        }
        delays.push(sent.elapsed());
        // Not in step with anything else.
        std::thread::sleep(Duration::from_micros(3_000 + u64::from(index) * 7_919 % 5_000));
    }
    Ok(delays)
}

/// What `count` firewalls received that polled every `interval` while `on` held, and once more after.
/// Gives how many different addresses each one knows, and how long each poll took.
pub fn poll(
    server: &Rollcall,
    count: usize,
    interval: Duration,
    on: &AtomicBool,
) -> io::Result<(Vec<usize>, Vec<Duration>)> {
    let first = server.firewall()?;
    let readers: Vec<_> =
        (0..count).map(|_| server.another(&first).map(Reader::new)).collect::<io::Result<_>>()?;
    let one = |mut reader: Reader| -> io::Result<(usize, Vec<Duration>)> {
        let (mut found, mut polls) = (Vec::new(), Vec::new());
        loop {
            let last = !on.load(Relaxed);
            let begin = Instant::now();
            found.extend(reader.everything()?);
            polls.push(begin.elapsed());
            if last {
                return Ok((found.into_iter().collect::<HashSet<_>>().len(), polls));
            }
            std::thread::sleep(interval.saturating_sub(begin.elapsed()));
        }
    };
    std::thread::scope(|scope| {
        let polling: Vec<_> =
            readers.into_iter().map(|reader| scope.spawn(|| one(reader))).collect();
        let (mut known, mut polls) = (Vec::new(), Vec::new());
        for thread in polling {
            let one = thread.join().map_err(|_| io::Error::other("a firewall panicked"))??;
            known.push(one.0);
            polls.extend(one.1);
        }
        Ok((known, polls))
    })
}

/// Posts `bodies` of `size` events each from each of `senders`; gives events a second.
pub fn push(server: &Rollcall, senders: u32, bodies: u32, size: u32) -> io::Result<f64> {
    let first = server.firewall()?;
    let one = move |mut connection: Connection, part: u32| -> io::Result<()> {
        for body in 0..bodies {
            let from = (part * bodies + body) * size;
            let events: Vec<_> = (from..from + size).map(posted).collect();
            let body = format!("[{}]", events.join(","));
            connection.post("/api/v1/events", ("application/json", body.as_bytes()))?.ok()?;
        }
        Ok(())
    };
    let connections: Vec<_> =
        (0..senders).map(|_| server.another(&first)).collect::<io::Result<_>>()?;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let posting: Vec<_> = (0..)
            .zip(connections)
            .map(|(part, connection)| scope.spawn(move || one(connection, part)))
            .collect();
        for thread in posting {
            thread.join().map_err(|_| io::Error::other("a sender panicked"))??;
        }
        io::Result::Ok(())
    })?;
    Ok(f64::from(senders * bodies * size) / begin.elapsed().as_secs_f64())
}

fn posted(index: u32) -> String {
    let (address, user) = (line::address(index), line::user(index));
    format!(r#"{{"kind":"vpn_up","address":"{address}","user":"{user}","domain":"corp.example"}}"#)
}
