//! What one line, one decision and one report cost by themselves, on one core and without a socket.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use rollcall_config::{Environment, Settings, load};
use rollcall_identity::directory::{Group, NetbiosNames};
use rollcall_identity::{
    Change, ChangeLog, ChangeLogLimits, Event, Filter, GroupSet, Name, Origin, PageRequest,
    Producer, Revision, Table, TableSnapshot, Timestamp,
};
use rollcall_wire::srx::{self, Report, ResponseFormatter, ResponseWriter};
use rollcall_wire::syslog::{
    ClientDefaults, LineOutcome, LineReader, SenderClock, SyslogMessage, Template,
};

use crate::line::{Line, Sort};

/// How many times each thing is done.
const TIMES: u32 = 300_000;

/// What a capture of the four values costs with the regex crate alone, as a yardstick.
const PLAIN: &str = r"VPN (?<vpn>.*?) from [^ ]+ is up\. Local-ip: .*?, Remote IKE-ID: (?<ike_id>.*?), AAA username: (?<user>.*?), VR id: .*?, Traffic-selector remote ID: (?<selector>.*?), SA Type: ";

/// A figure: what it is of, and nanoseconds.
pub type Cost = (&'static str, f64);

/// Measures all of them.
pub fn measure() -> io::Result<Vec<Cost>> {
    let settings = load(None, &Environment::process()).map_err(io::Error::other)?;
    let mut costs = lines(&settings);
    costs.extend(decisions(&settings));
    Ok(costs)
}

fn lines(settings: &Settings) -> Vec<Cost> {
    let templates = &settings.syslog[0].clients[0].templates;
    let all: Vec<_> = templates.iter().map(|shipped| Arc::clone(&shipped.template)).collect();
    let junos: Vec<_> =
        all.iter().filter(|template| template.name().as_str() == "junos-vpn").cloned().collect();
    let plain = regex::bytes::Regex::new(PLAIN).expect("it is the template's own");
    let mut places = plain.capture_locations();
    let mut vpn = Line::new(Sort::Vpn);
    let plain = each(|index| {
        let found = plain.captures_read(&mut places, vpn.of(index));
        assert!(black_box(found).is_some());
    });
    vec![
        ("Junos VPN line, junos-vpn alone", read(&junos, Sort::Vpn)),
        ("Junos VPN line, all shipped templates", read(&all, Sort::Vpn)),
        ("flow line without a matching template, junos-vpn alone", read(&junos, Sort::Flow)),
        ("flow line without a matching template, all shipped templates", read(&all, Sort::Flow)),
        ("Junos VPN line, regex crate captures only", plain),
    ]
}

/// Nanoseconds to read one line of this sort.
fn read(templates: &[Arc<Template>], sort: Sort) -> f64 {
    let with_origin = |template: &Arc<Template>| (Arc::clone(template), origin(template.name()));
    let reader =
        LineReader::new(templates.iter().map(with_origin).collect(), ClientDefaults::default());
    let mut clock = SenderClock::new(TimeZone::UTC);
    let (mut line, mut events) = (Line::new(sort), Vec::new());
    let seen = now();
    each(|index| {
        let outcome = reader.read_line(line.of(index), (seen, &mut clock), &mut events);
        assert_eq!(matches!(outcome, LineOutcome::Matched { .. }), sort == Sort::Vpn);
        black_box(&events);
        events.clear();
    })
}

/// Deciding, noting, and answering a page, with the events of as many tunnels.
fn decisions(settings: &Settings) -> Vec<Cost> {
    let shipped = &settings.syslog[0].clients[0].templates;
    let templates: Vec<_> = shipped
        .iter()
        .map(|shipped| (Arc::clone(&shipped.template), origin(shipped.template.name())))
        .collect();
    let reader = LineReader::new(templates, ClientDefaults::default());
    let (mut clock, mut line) = (SenderClock::new(TimeZone::UTC), Line::new(Sort::Vpn));
    let (seen, mut events) = (now(), Vec::new());
    for index in 0..TIMES {
        let message = SyslogMessage::read(line.of(index), seen, &mut clock);
        reader.read(&message, seen, &mut events);
    }
    let (mut table, mut changes) = (Table::default(), Vec::new());
    let apply = |table: &mut Table, changes: &mut Vec<_>, event: &Event, revision: u32| {
        let decision = table.apply(Revision(u64::from(revision)), event, &settings.rules);
        changes.extend(decision.change);
    };
    let begins = each(|at| apply(&mut table, &mut changes, &events[at as usize], at + 1));
    let again = each(|at| apply(&mut table, &mut changes, &events[at as usize], TIMES + at + 1));
    let mut log = ChangeLog::new(1, ChangeLogLimits::default());
    let begun = &changes[..TIMES as usize];
    let noted = each(|at| log.apply(&begun[at as usize], seen));
    let mut with_groups = ChangeLog::new(1, ChangeLogLimits::default());
    grouped(begun).iter().for_each(|change| with_groups.apply(change, seen));
    let mut looked = 0;
    let look = each(|at| {
        looked += usize::from(log.get(events[at as usize].address, seen).is_some());
    });
    assert_eq!(looked, TIMES as usize, "a session is missing");
    vec![
        ("decision: new session", begins),
        ("decision: repeated event", again),
        ("append of a change to the change log", noted),
        ("address lookup", look),
        (
            "export of one session from the table for a snapshot",
            told(|| table.snapshot(Revision(0))),
        ),
        ("transfer of one session from the change log to a new cache", told(|| log.snapshot())),
        ("JSON encoding of one report in a page of 1000", page(&log, seen)),
        ("the same with 30 groups, from 5,000 group sets", page(&with_groups, seen)),
    ]
}

/// So many different sets of groups, of so many groups each, are in use at once.
const SETS: usize = 5000;
const GROUPS: usize = 30;

/// The changes of another log in which directories know everybody: 5,000 sets out of 500 groups, and
/// neighbours seldom share one.
fn grouped(changes: &[Change]) -> Vec<Change> {
    let name = |text: String| Name::new(&text).expect("a word and a number are a name");
    let group = |number: usize| Group {
        name: name(format!("GG-Branch-Office-{number}")),
        domain: name("corp.example.com".to_owned()),
        dn: format!("CN=GG-Branch-Office-{number},OU=Groups,DC=corp,DC=example,DC=com").into(),
        sid: None,
    };
    let groups: Vec<_> = (0..500).map(|number| Arc::new(group(number))).collect();
    let set = |at: usize| {
        let members = (0..GROUPS).map(|n| Arc::clone(&groups[(at * 7 + n * n) % groups.len()]));
        GroupSet::new(members.collect())
    };
    let sets: Vec<_> = (0..SETS).map(set).collect();
    let with_groups = |(at, change): (usize, &Change)| {
        let mut change = change.clone();
        if let Some(session) = &mut change.after {
            let session = Arc::make_mut(session);
            session.membership.user = Some(sets[at * 3779 % SETS].clone());
        }
        change
    };
    changes.iter().enumerate().map(with_groups).collect()
}

/// Nanoseconds per session when all are reported at once.
fn told(tell: impl FnOnce() -> TableSnapshot) -> f64 {
    let begin = Instant::now();
    let handover = tell();
    let took = begin.elapsed().as_nanos() as f64;
    assert_eq!(handover.sessions.len(), TIMES as usize, "a session is missing");
    took / f64::from(TIMES)
}

/// Nanoseconds for each report of all pages of the log, when they have been reported once before.
fn page(log: &ChangeLog, now: Timestamp) -> f64 {
    let mut formatter = ResponseFormatter::default();
    tell(log, now, &mut formatter);
    let begin = Instant::now();
    tell(log, now, &mut formatter);
    begin.elapsed().as_nanos() as f64 / f64::from(TIMES)
}

/// Writes all pages of the log.
fn tell(log: &ChangeLog, now: Timestamp, formatter: &mut ResponseFormatter) {
    let (filter, netbios) = (Filter::default(), NetbiosNames::default());
    let (mut cursor, mut reports, mut out) = (None, 0, Vec::new());
    loop {
        let page =
            log.read(&PageRequest { cursor, since: None, filter: &filter, limit: 1000, now });
        let cookie = page.next.to_string();
        out.clear();
        if !srx::reported_sessions(&page.changes).all(|session| formatter.is_cached(session)) {
            srx::reported_sessions(&page.changes)
                .for_each(|session| formatter.cache_groups(session));
        }
        let told = page.changes.iter().map(Report::from);
        reports += srx::write_batch(
            ResponseWriter { formatter, netbios: &netbios },
            told,
            &cookie,
            &mut out,
        )
        .reports;
        black_box(&out);
        if !page.more {
            break;
        }
        cursor = Some(page.next);
    }
    assert_eq!(reports, TIMES as usize, "a report is missing");
}

/// Nanoseconds of one time out of [`TIMES`].
fn each(mut work: impl FnMut(u32)) -> f64 {
    let begin = Instant::now();
    (0..TIMES).for_each(&mut work);
    begin.elapsed().as_nanos() as f64 / f64::from(TIMES)
}

fn origin(form: &Name) -> Arc<Origin> {
    let name = |text| Name::new(text).expect("a word of our own is a name");
    let (producer, client) = (name("syslog"), name("loopback"));
    Arc::new(Origin { kind: Producer::Syslog, producer, client, form: form.clone() })
}

fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
