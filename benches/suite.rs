//! The measurements of one run, and the ratios between them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use clap::ValueEnum;

use crate::Part;
use crate::asking::Pace;
use crate::contender::{Contender, Kind, Rollcall, Stand};
use crate::edge::{Edge, Line};
use crate::events::{following, reading};
use crate::http::Connection;
use crate::line::{DISTINCT, Sort};
use crate::outcome::{Outcomes, missing};
use crate::process::{kernel_drops, wait_until};
use crate::sender;
use crate::table::{Table, Unit, quantile};
use crate::throughput::{Course, Run};
use crate::{asking, directory, durable, firewall, guessing, history, micro};

/// How long the senders send without a limit.
const FLAT_OUT: Duration = Duration::from_secs(3);

/// How long latencies are sampled.
const WATCHED: Duration = Duration::from_secs(10);

/// Lines on one stream: enough for one second of the fastest receiver.
const STREAMED: [u32; 2] = [500_000, 4_000_000];

/// Firewalls that poll while events arrive, and their interval. Junos polls every five seconds by
/// default, and every second at most.
const FIREWALLS: usize = 2;
const INTERVAL: Duration = Duration::from_secs(1);

/// Shares of the highest rate without loss. The first share without loss is used: the highest rate
/// was found without polling firewalls.
const HALF_LOAD: [f64; 4] = [0.5, 0.4, 0.3, 0.2];

/// Changes in one request to a Secure Edge: the default.
const BATCH: u32 = 1000;

/// IP queries a second.
const ASKED: f64 = 5000.0;

/// Alternations between the two sides of a comparison, so that other load on the machine affects both.
const TURNS: u32 = 5;

/// Sessions of a measurement that does not depend on their number.
const FEW: u32 = 10_000;

/// The rates of a contender that is not installed; a ratio with them has no row.
const NOT_MEASURED: (f64, f64) = (f64::NAN, f64::NAN);

/// The first tunnel of the probes, outside of those of the load.
const PROBES: u32 = DISTINCT - 100_000;

/// One run.
pub struct Suite<'a> {
    /// The paths of the programs.
    pub stand: &'a Stand,
    /// The figures.
    pub table: &'a mut Table,
    /// The skipped and failed measurements.
    pub outcomes: &'a mut Outcomes,
    /// The number of sessions of the large table.
    pub sessions: u32,
}

impl Suite<'_> {
    /// Measures one part. A failure or a missing program is noted and does not end the run.
    pub(crate) fn measure(&mut self, part: Part) {
        let result = match part {
            Part::Micro => self.micro(),
            Part::Directory => self.directory(),
            Part::Events => self.events(),
            Part::Udp => self.udp(),
            Part::Stream => self.streams(),
            Part::Sessions => self.large_table(),
            Part::Journal => self.journal(),
            Part::Secrets => self.secrets(),
            Part::History => self.history(),
            Part::Push => self.push(),
            Part::Visible => self.visible(),
        };
        let name = part.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned());
        self.outcomes.take(&name, result);
    }

    fn micro(&mut self) -> io::Result<()> {
        for (what, nanoseconds) in micro::measure()? {
            self.table.note(what, Unit::Nanoseconds, nanoseconds);
        }
        Ok(())
    }

    fn directory(&mut self) -> io::Result<()> {
        let shared = directory::measure(directory::SHARED)?;
        let what = ("directory of 100,000 users in 5,000 groups: memory", "at most 150 MB");
        self.table.note_with_aim(what, Unit::Megabytes, shared.resident / 1e6);
        self.table.note("distinct group sets", Unit::Count, shared.sets);
        let cost = directory::measure(directory::EACH)?;
        let what = "the same with a distinct group set for each user: memory";
        self.table.note(what, Unit::Megabytes, cost.resident / 1e6);
        self.table.note("distinct group sets in that case", Unit::Count, cost.sets);
        self.table.note("ingest: first full read", Unit::Seconds, cost.first_read);
        let what = "ingest: longest delay of a query";
        self.table.note(what, Unit::Milliseconds, cost.slice);
        self.table.note("ingest: the same data again", Unit::Seconds, cost.same_read);
        let what = "memory after the ingest";
        self.table.note(what, Unit::Megabytes, cost.resident_after / 1e6);
        self.table.note("1000 users join one group", Unit::Milliseconds, cost.changed);
        self.table.note("one page of the list of all users", Unit::Milliseconds, cost.listed);
        Ok(())
    }

    fn events(&mut self) -> io::Result<()> {
        let read = self.event_records();
        self.outcomes.take("events: reading records", read);
        self.following()
    }

    fn event_records(&mut self) -> io::Result<()> {
        let costs = reading::measure()?;
        if costs.is_empty() {
            return Err(missing(&format!("a recorded log ({})", reading::named())));
        }
        for reading::Cost { log, records, ours, theirs, .. } in &costs {
            let ratio = theirs / ours;
            eprintln!(
                "    {log}: {records} records, {ours:.0} ns, evtx {theirs:.0} ns: {ratio:.1} x"
            );
        }
        let records: usize = costs.iter().map(|cost| cost.records).sum();
        let mean = |of: fn(&reading::Cost) -> f64| -> f64 {
            let all = costs.iter().map(|cost| of(cost) * cost.records as f64);
            all.sum::<f64>() / records as f64
        };
        let (ours, theirs) = (mean(|cost| cost.ours), mean(|cost| cost.theirs));
        let (cold, read) = (mean(|cost| cost.cold), mean(|cost| cost.read));
        let aim = "at least 3 x";
        self.table.note("event records read", Unit::Count, records as f64);
        self.table.note("event record to fields", Unit::Nanoseconds, ours);
        self.table.note("the same, every value read", Unit::Nanoseconds, read);
        self.table.note("the same with an empty template cache", Unit::Nanoseconds, cold);
        let what = "event record to JSON by the evtx crate";
        self.table.note(what, Unit::Nanoseconds, theirs);
        self.ratio("event records, every value read: evtx to JSON / Rollcall", aim, theirs / read);
        self.ratio("event records to fields: evtx to JSON / Rollcall", aim, theirs / ours);
        let large = costs.iter().filter(|cost| cost.records >= reading::LARGE);
        match large.map(|cost| cost.theirs / cost.ours).min_by(f64::total_cmp) {
            Some(least) => self.ratio("the same, of the large log where it is least", aim, least),
            None => eprintln!(
                "    no log of {} records or more, and no row of the least of them: {}",
                reading::LARGE,
                reading::named()
            ),
        }
        Ok(())
    }

    fn following(&mut self) -> io::Result<()> {
        let flow = following::flow(self.stand)?;
        let what = format!("one controller at {}/s: visible events", following::RATE);
        self.table.note_with_aim((what, "10,000/s"), Unit::PerSecond, flow.rate);
        self.table.note("the same: backlog after the last event", Unit::Count, flow.backlog);
        self.table.note("the same: processor time per event", Unit::Nanoseconds, flow.cost);
        let mut delays = following::delays(self.stand)?;
        let (half, most) = (quantile(&mut delays, 0.5), quantile(&mut delays, 0.99));
        self.table.note("propagation latency, event log pull: p50", Unit::Milliseconds, half);
        let what = ("propagation latency, event log pull: p99", "under 1000 ms");
        self.table.note_with_aim(what, Unit::Milliseconds, most);
        let idle = following::idle(self.stand)?;
        let what = format!("{} idle controllers: resident memory", following::IDLE);
        self.table.note_with_aim((what, "under 100 MB"), Unit::Megabytes, idle.resident / 1e6);
        let what = format!("{} idle controllers: share of a core", following::IDLE);
        self.table.note_with_aim((what, "under 1 %"), Unit::Percent, 100.0 * idle.share);
        Ok(())
    }

    fn udp(&mut self) -> io::Result<()> {
        let [bare, rollcall, rsyslog] = [Kind::Bare, Kind::Rollcall, Kind::Rsyslog];
        let (ours, most) = self.datagrams(rollcall, Sort::Vpn)?;
        // Without rsyslog or Redis, their rows are missing and those of Rollcall are there.
        let theirs = self.datagrams(rsyslog, Sort::Vpn);
        let (theirs, their_most) =
            self.outcomes.take("udp: rsyslog + Redis", theirs).unwrap_or(NOT_MEASURED);
        let by_regex = self.datagrams(Kind::RsyslogRegex, Sort::Vpn);
        let (by_regex, most_by_regex) =
            self.outcomes.take("udp: rsyslog by regex + Redis", by_regex).unwrap_or(NOT_MEASURED);
        let (limit, limit_most) = self.datagrams(bare, Sort::Vpn)?;
        let aim = "at least 3 x, aim 5 x";
        self.ratio("UDP, VPN lines, unthrottled: Rollcall / rsyslog + Redis", aim, ours / theirs);
        self.ratio("UDP, VPN lines, no loss: Rollcall / rsyslog + Redis", aim, most / their_most);
        let what = "UDP, VPN lines, unthrottled: Rollcall / rsyslog by regex + Redis";
        self.ratio(what, "", ours / by_regex);
        let what = "UDP, VPN lines, no loss: Rollcall / rsyslog by regex + Redis";
        self.ratio(what, "", most / most_by_regex);
        self.ratio("UDP, VPN lines, unthrottled: Rollcall / bare receiver", "", ours / limit);
        self.ratio("UDP, VPN lines, no loss: Rollcall / bare receiver", "", most / limit_most);
        let (ours, most) = self.datagrams(rollcall, Sort::Flow)?;
        let (limit, limit_most) = self.datagrams(bare, Sort::Flow)?;
        let aim = "at least 0.5 x";
        self.ratio("UDP, flow lines, unthrottled: Rollcall / bare receiver", aim, ours / limit);
        self.ratio("UDP, flow lines, no loss: Rollcall / bare receiver", aim, most / limit_most);
        Ok(())
    }

    /// Lines per second: unthrottled, and the highest rate without loss.
    fn datagrams(&mut self, kind: Kind, sort: Sort) -> io::Result<(f64, f64)> {
        let what = format!("UDP, {}", subject(kind, sort));
        let mut course = Course::begin(kind, self.stand, sort)?;
        let flat_out = course.datagrams(sender::Pace::Full, FLAT_OUT)?;
        self.rate(&format!("{what}, unthrottled"), flat_out);
        let offered = flat_out.sent as f64 / FLAT_OUT.as_secs_f64();
        drop(course);
        let mut course = Course::begin(kind, self.stand, sort)?;
        let most = course.lossless(offered)?;
        self.table.note(format!("{what}, highest rate without loss"), Unit::PerSecond, most);
        Ok((flat_out.rate(), most))
    }

    fn streams(&mut self) -> io::Result<()> {
        let mut rates = Vec::new();
        for (kind, sort) in [
            (Kind::Rollcall, Sort::Vpn),
            (Kind::Rsyslog, Sort::Vpn),
            (Kind::Bare, Sort::Vpn),
            (Kind::Rollcall, Sort::Flow),
            (Kind::Bare, Sort::Flow),
            (Kind::RsyslogRegex, Sort::Vpn),
        ] {
            let [few, many] = STREAMED;
            let count = if sort == Sort::Flow || kind == Kind::Bare { many } else { few };
            let name = format!("TCP, {}", subject(kind, sort));
            let run = Course::begin(kind, self.stand, sort).and_then(|mut it| it.stream(count));
            let run = match kind {
                Kind::Rsyslog | Kind::RsyslogRegex => self.outcomes.take(&name, run),
                _ => Some(run?),
            };
            rates.push(run.map_or(f64::NAN, |run| run.rate()));
            if let Some(run) = run {
                self.rate(&name, run);
            }
        }
        let aim = "at least 3 x, aim 5 x";
        self.ratio("TCP, VPN lines: Rollcall / rsyslog + Redis", aim, rates[0] / rates[1]);
        let what = "TCP, VPN lines: Rollcall / rsyslog by regex + Redis";
        self.ratio(what, "", rates[0] / rates[5]);
        self.ratio("TCP, VPN lines: Rollcall / bare receiver", "", rates[0] / rates[2]);
        self.ratio(
            "TCP, flow lines: Rollcall / bare receiver",
            "at least 0.5 x",
            rates[3] / rates[4],
        );
        let server = Rollcall::start(self.stand)?;
        let events = firewall::push(&server, 4, 250, 100)?;
        self.table.note("HTTPS, events posted in batches of 100", Unit::PerSecond, events);
        Ok(())
    }

    fn large_table(&mut self) -> io::Result<()> {
        let server = Rollcall::start(self.stand)?;
        let empty = server.resident()?;
        fill(&server, self.sessions)?;
        let full = server.resident()?;
        self.table.note("no sessions: resident memory", Unit::Megabytes, empty as f64 / 1e6);
        let what = format!("{} sessions: resident memory", self.sessions);
        self.table.note_with_aim((what, "at most 600 MB"), Unit::Megabytes, full as f64 / 1e6);
        let (took, found) = firewall::read_all(&server)?;
        if found != self.sessions as usize {
            return Err(io::Error::other(format!("{found} addresses of {} read", self.sessions)));
        }
        let what = format!("{} sessions: full read in pages of 1000, HTTPS", self.sessions);
        self.table.note_with_aim((what, "at most 10 s"), Unit::Seconds, took.as_secs_f64());
        self.queries(&server)
    }

    /// IP queries, alternating with `/healthz` at the same rate, which shows the share of the machine,
    /// the load generator and HTTP.
    fn queries(&mut self, server: &Rollcall) -> io::Result<()> {
        let (mut firewalls, mut health) = (firewall::lines(server)?, Vec::new());
        for _ in &firewalls {
            health.push(Connection::open(server.rest(), None)?);
        }
        let pace = Pace { rate: ASKED, time: WATCHED / TURNS };
        let alive = |connection: &mut Connection, _| connection.get("/healthz")?.ok().map(drop);
        let (mut queries, mut control) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let find = firewall::find(self.sessions);
            queries.extend(asking::ask(&mut firewalls, pace, find)?);
            control.extend(asking::ask(&mut health, pace, alive)?);
        }
        let half = quantile(&mut queries, 0.5);
        self.table.note("IP query at 5000/s, HTTPS: p50", Unit::Milliseconds, half);
        let most = quantile(&mut queries, 0.99);
        let what = ("IP query at 5000/s, HTTPS: p99", "under 2 ms");
        self.table.note_with_aim(what, Unit::Milliseconds, most);
        let half = quantile(&mut control, 0.5);
        self.table.note("/healthz at 5000/s, HTTP: p50", Unit::Milliseconds, half);
        let least = quantile(&mut control, 0.99);
        self.table.note("/healthz at 5000/s, HTTP: p99", Unit::Milliseconds, least);
        self.ratio("p99: IP query, HTTPS / healthz, HTTP", "", most / least);
        Ok(())
    }

    fn secrets(&mut self) -> io::Result<()> {
        let server = Rollcall::start_with(self.stand, guessing::PATIENT)?;
        let (mut known, mut unknown) = guessing::apart(&server)?;
        let (known, unknown) = (quantile(&mut known, 0.5), quantile(&mut unknown, 0.5));
        self.table.note("wrong secret, known client ID: p50", Unit::Milliseconds, known);
        self.table.note("wrong secret, unknown client ID: p50", Unit::Milliseconds, unknown);
        let aim = "0.95 to 1.05 x";
        self.ratio("wrong secret: unknown / known client ID", aim, unknown / known);
        drop(server);
        let server = Rollcall::start(self.stand)?;
        fill(&server, FEW)?;
        let mut cost = guessing::beside(&server, FEW, WATCHED / TURNS, TURNS)?;
        self.table.note("responses to wrong secrets", Unit::PerSecond, cost.rate);
        let (quiet, pressed) = (quantile(&mut cost.quiet, 0.99), quantile(&mut cost.pressed, 0.99));
        self.table.note("IP query at 1000/s, HTTPS: p99", Unit::Milliseconds, quiet);
        let what = "IP query with 1000 wrong secrets/s: p99";
        self.table.note(what, Unit::Milliseconds, pressed);
        self.ratio("p99: with wrong secrets / without", "at most 2 x", pressed / quiet);
        Ok(())
    }

    fn journal(&mut self) -> io::Result<()> {
        for [disk, memory] in durable::rates(self.stand)? {
            let what = "TCP, VPN lines: journal on disk / in memory";
            self.ratio(what, "at least 0.7 x", disk / memory);
        }
        let durable::Commits { offered, count, most } = durable::commits(self.stand)?;
        self.table.note(
            "UDP, VPN lines sent during the commit measurement",
            Unit::PerSecond,
            offered,
        );
        self.table.note("commits measured", Unit::Count, count);
        let what = ("commit duration: p99", "50 ms");
        self.table.note_with_aim(what, Unit::Milliseconds, 1000.0 * most);
        for (from, written_down) in [("a snapshot", true), ("events only", false)] {
            let took = durable::start(self.stand, self.sessions, written_down)?;
            let what =
                format!("{} sessions: kill -9 to the first response, from {from}", self.sessions);
            self.table.note_with_aim((what, "under 3 s"), Unit::Seconds, took.as_secs_f64());
        }
        Ok(())
    }

    fn history(&mut self) -> io::Result<()> {
        let server = Rollcall::start(self.stand)?;
        let mut cost = history::measure(&server, self.sessions)?;
        let rows = u64::from(self.sessions) * u64::from(history::ROUNDS);
        let of = |what: &str| format!("{rows} history rows, HTTP: {what}");
        let (half, most) = (quantile(&mut cost.moments, 0.5), quantile(&mut cost.moments, 0.99));
        self.table.note(of("session at a point in time: p50"), Unit::Milliseconds, half);
        let what = (of("session at a point in time: p99"), "under 5 ms");
        self.table.note_with_aim(what, Unit::Milliseconds, most);
        let most = quantile(&mut cost.stays, 0.99);
        self.table.note(of("all sessions of an address: p99"), Unit::Milliseconds, most);
        let first = cost.first.as_secs_f64();
        self.table.note(of("first query"), Unit::Seconds, first);
        self.table.note(of("memory for the first query"), Unit::Megabytes, cost.resident / 1e6);
        Ok(())
    }

    fn push(&mut self) -> io::Result<()> {
        let near = "a local Secure Edge";
        let far = "a Secure Edge with 40 ms latency";
        let distance = Duration::from_millis(40);
        for (place, aim, line) in [
            (near, "at least 50,000/s", Line { window: 1, delay: Duration::ZERO }),
            (near, "at least 50,000/s", Line { window: 4, delay: Duration::ZERO }),
            (far, "", Line { window: 1, delay: distance }),
            (far, "", Line { window: 4, delay: distance }),
        ] {
            let rate = self.pushed(line)?;
            let what =
                format!("{} sessions pushed to {place}, window {}", self.sessions, line.window);
            self.table.note_with_aim((what, aim), Unit::PerSecond, rate);
        }
        Ok(())
    }

    /// Sessions pushed per second, from the start of a full synchronization to its end.
    fn pushed(&self, line: Line) -> io::Result<f64> {
        let edge = Edge::bind(line)?;
        // The edge does not accept yet: all sessions exist before the first is pushed.
        let server = Rollcall::start_with(self.stand, &edge.section(BATCH)?)?;
        fill(&server, self.sessions)?;
        let told = edge.synchronised()?;
        if told.sessions < u64::from(self.sessions) {
            return Err(io::Error::other(format!("{} of {} told", told.sessions, self.sessions)));
        }
        Ok(told.sessions as f64 / told.took.as_secs_f64())
    }

    fn visible(&mut self) -> io::Result<()> {
        let most = Course::begin(Kind::Rollcall, self.stand, Sort::Vpn)?.lossless(1e6)?;
        for share in HALF_LOAD {
            if self.visible_at(share * most)? {
                return Ok(());
            }
            eprintln!("    datagrams were lost at {share} of the highest rate");
        }
        Err(io::Error::other("datagrams are lost at any rate while firewalls ask"))
    }

    /// Measures at `rate`; false when datagrams were lost, which makes the figures invalid.
    fn visible_at(&mut self, rate: f64) -> io::Result<bool> {
        let server = Rollcall::start(self.stand)?;
        let (to, on) = (server.listens(), AtomicBool::new(true));
        let (sent, delays, polled) = std::thread::scope(|scope| {
            let probing = scope.spawn(|| firewall::probe(&server, PROBES, &on));
            let polling = scope.spawn(|| firewall::poll(&server, FIREWALLS, INTERVAL, &on));
            let sent = sender::datagrams(to, (Sort::Vpn, 0), sender::Pace::Rate(rate), WATCHED);
            on.store(false, Relaxed);
            let panicked = |_| io::Error::other("a thread panicked");
            let delays = probing.join().map_err(panicked)?;
            io::Result::Ok((sent?, delays, polling.join().map_err(panicked)??))
        })?;
        if kernel_drops(to)? > 0 {
            return Ok(false);
        }
        let (mut delays, (known, mut polls)) = (delays?, polled);
        let (all, account) = (sent.lines as usize + delays.len(), server.account()?);
        if !account.is_exact() || account.applied != all as u64 {
            return Err(io::Error::other(format!("{all} events sent, and {account:?}")));
        }
        if known.iter().any(|known| *known != all) {
            return Err(io::Error::other(format!("{all} sessions, and firewalls know {known:?}")));
        }
        let rate = f64::from(sent.lines) / sent.took.as_secs_f64();
        self.table.note("half load", Unit::PerSecond, rate);
        let (half, most) = (quantile(&mut delays, 0.5), quantile(&mut delays, 0.99));
        self.table.note("propagation latency at half load: p50", Unit::Milliseconds, half);
        let what = ("propagation latency at half load: p99", "under 50 ms");
        self.table.note_with_aim(what, Unit::Milliseconds, most);
        let what = "2 firewalls that poll all changes every second: p99";
        self.table.note(what, Unit::Milliseconds, quantile(&mut polls, 0.99));
        Ok(true)
    }

    fn rate(&mut self, what: &str, run: Run) {
        self.table.note(what, Unit::PerSecond, run.rate());
        let each = run.processor.as_nanos() as f64 / run.through as f64;
        self.table.note(format!("{what}: processor time per line"), Unit::Nanoseconds, each);
        if run.missing() != 0 {
            let what = format!("{what}: neither through nor dropped by the kernel");
            self.table.note(what, Unit::Count, run.missing() as f64);
        }
        let share = 100.0 * run.kernel_drops as f64 / run.sent as f64;
        eprintln!("    {share:.1} % of {} dropped by the kernel", run.sent);
    }

    /// A row of a ratio, unless one of its two sides was not measured.
    fn ratio(&mut self, what: &str, aim: &'static str, value: f64) {
        if value.is_nan() {
            return;
        }
        self.table.note_with_aim((what, aim), Unit::Times, value);
    }
}

/// Creates sessions.
pub fn fill(server: &Rollcall, sessions: u32) -> io::Result<()> {
    sender::stream(server.listens(), (Sort::Vpn, 0), sessions)?;
    let all = u64::from(sessions);
    wait_until("sessions", Duration::from_secs(60), || Ok(server.account()?.applied >= all))
}

fn subject(kind: Kind, sort: Sort) -> String {
    let lines = match sort {
        Sort::Vpn => "VPN lines",
        Sort::Flow => "flow lines",
    };
    format!("{lines}, {}", kind.name())
}
