//! A firewall that follows its cookies ends with the sessions that its filter admits, through all
//! filter changes.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rollcall_identity::{
    Address, Authority, ChangeLog, ChangeLogLimits, Effect, Event, Glob, Kind, Name, Origin,
    PageRequest, Principal, Producer, Revision, Rules, Session, Table,
};
use rollcall_wire::srx::ResponseFormatter;

use super::super::rendering::SharedFormatter;
use super::*;

const HOSTS: [&str; 4] = ["10.0.0.1", "10.0.0.2", "10.1.0.1", "2001:db8::1"];
const USERS: [&str; 5] = ["alice@corp", "bob@corp", "alice@lab", "carol@home", "alice"];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn domains(globs: &[&str]) -> Filter {
    let domains = globs.iter().map(|glob| Glob::new(glob).unwrap()).collect();
    Filter { domains, ..Filter::default() }
}

fn networks(include: &[&str], exclude: &[&str]) -> Filter {
    let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Filter { include: read(include), exclude: read(exclude), ..Filter::default() }
}

fn filters() -> Vec<Filter> {
    vec![
        Filter::default(),
        domains(&["corp"]),
        domains(&["lab", "home"]),
        domains(&["corp", "lab"]).both(networks(&["10.0.0.0/16"], &[])),
        networks(&["10.0.0.0/8"], &["10.0.0.1/32"]),
        networks(&["2001:db8::/32"], &[]),
    ]
}

/// The value in the documentation. If it changes, every firewall receives all sessions once after
/// the update; this must be intended.
#[test]
fn the_fingerprint_of_the_default_format_without_a_filter_is_stable() {
    let format = SharedFormatter::new(ResponseFormatter::default()).format;
    let Fingerprint(fingerprint) = Fingerprint::of(&Filter::default(), format);
    assert_eq!(format!("{fingerprint:016x}"), "ff367dca633b512a");
}

#[test]
fn equivalent_filters_have_the_same_fingerprint() {
    let of = |filter: Filter| Fingerprint::of(&filter, FormatHash::default());
    let both = |one: Filter, other: Filter| of(one.both(other));
    assert_eq!(of(domains(&["a", "B*"])), of(domains(&["b*", "A", "a"])));
    assert_eq!(of(networks(&["10.9.9.9/8"], &[])), of(networks(&["10.0.0.0/8"], &[])));
    assert_eq!(
        both(domains(&["a"]), networks(&[], &["10.0.0.0/8"])),
        both(networks(&[], &["10.0.0.0/8"]), domains(&["a"]))
    );
    assert_eq!(both(domains(&["a"]), Filter::default()), of(domains(&["a"])));
    let all = [
        of(Filter::default()),
        of(domains(&["a"])),
        of(domains(&["ab"])),
        of(domains(&["a", "b"])),
        both(domains(&["a"]), domains(&["b"])),
        of(networks(&["10.0.0.0/8"], &[])),
        of(networks(&[], &["10.0.0.0/8"])),
        of(networks(&["10.0.0.0/8"], &["10.0.0.0/8"])),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(!all[..at].contains(one), "{at}");
    }
}

#[test]
fn invalid_cookies_are_rejected() {
    let good = "7.120.400~00ff00ff00ff00ff~all";
    assert_eq!(good.parse::<Cookie>().unwrap().to_string(), good);
    for text in [
        "",
        "7",
        "~",
        "7.1~",
        "7.1~ff",
        "7.1~+0ff00ff00ff00ff",
        "7.1~00ff00ff00ff00ff~",
        "7.1~00ff00ff00ff00ff~some",
        "7.1~00ff00ff00ff00ff~all~",
        "7.1~all",
    ] {
        assert_eq!(text.parse::<Cookie>(), Err(InvalidCookie), "{text:?}");
    }
}

#[test]
fn a_changed_filter_causes_one_full_read() {
    let cookie: Cookie = "7.3~00ff00ff00ff00ff".parse().unwrap();
    let filter = Arc::new(domains(&["corp"]));
    let first = BatchRead::new(Some(cookie), Arc::clone(&filter), FormatHash::default());
    assert!(first.filter_changed);
    assert_eq!(first.cursor.unwrap().to_string(), "7.0.3", "of ends, only those after it");
    let next = Cursor::new(7, Revision(2));
    let mut page = Page { changes: Vec::new(), next, more: true, resync: false };
    let during = first.finish_page(&mut page, Timestamp::EPOCH);
    let second = BatchRead::new(Some(during), filter, FormatHash::default());
    assert!(!second.filter_changed);
    assert_eq!((second.cursor, second.mode), (Some(next), Mode::Full));
    page.more = false;
    assert_eq!(second.finish_page(&mut page, Timestamp::EPOCH).mode, Mode::Incremental);
}

/// One step of the model.
#[derive(Debug, Clone)]
enum Step {
    Apply {
        kind: Kind,
        host: usize,
        user: usize,
    },
    /// Time passes, in seconds.
    Mode(i64),
    /// The expiry events that are due are applied.
    Expire,
    /// The firewall polls once, with this limit.
    Poll(usize),
    /// Another filter is configured.
    SetFilter(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = vec![Kind::VpnUp, Kind::Login, Kind::VpnUp, Kind::VpnDown, Kind::Rekey];
    prop_oneof![
        8 => (prop::sample::select(kinds), 0..HOSTS.len(), 0..USERS.len())
            .prop_map(|(kind, host, user)| Step::Apply { kind, host, user }),
        2 => (1..60_i64).prop_map(Step::Mode),
        1 => Just(Step::Expire),
        4 => (1..4_usize).prop_map(Step::Poll),
        2 => (0..filters().len()).prop_map(Step::SetFilter),
    ]
}

struct Model {
    table: Table,
    log: ChangeLog,
    rules: Rules,
    origin: Arc<Origin>,
    revision: u64,
    now: Timestamp,
    filter: Arc<Filter>,
    /// The cookie of the next query.
    cookie: Option<String>,
    /// The sessions that the firewall has, from the responses.
    held: BTreeMap<Address, String>,
}

impl Model {
    fn new(limits: ChangeLogLimits) -> Self {
        let [producer, client, form] = ["ptim", "fw1", "json"].map(name);
        let kinds = vec![Kind::Login, Kind::VpnUp, Kind::VpnDown, Kind::Rekey];
        let mut rules = Rules { logoff_time: Duration::from_secs(150), ..Rules::default() };
        let authority = Authority::unrestricted(kinds);
        rules.authorities.insert((producer.clone(), client.clone()), authority);
        Self {
            table: Table::default(),
            log: ChangeLog::new(7, limits),
            rules,
            origin: Arc::new(Origin { kind: Producer::Ptim, producer, client, form }),
            revision: 0,
            now: Timestamp::from_millis(1_795_000_000_000),
            filter: Arc::default(),
            cookie: None,
            held: BTreeMap::new(),
        }
    }

    fn apply(&mut self, event: &Event) {
        self.revision += 1;
        let decision = self.table.apply(Revision(self.revision), event, &self.rules);
        if let Some(change) = decision.change {
            self.log.apply(&change, self.now);
        }
    }

    fn record(&mut self, kind: Kind, host: &str, user: &str) {
        let event = Event {
            principal: Some(Principal::parse(user, None).unwrap()),
            ..Event::bare(kind, host.parse().unwrap(), self.now, Arc::clone(&self.origin))
        };
        self.apply(&event);
    }

    fn expire(&mut self) {
        let [producer, client, form] = ["cache", "cache", "expiry"].map(name);
        let cache = Arc::new(Origin { kind: Producer::Cache, producer, client, form });
        for event in self.table.due_expiries(self.now, &cache, usize::MAX) {
            self.apply(&event);
        }
    }

    /// The firewall polls once; returns whether there are more changes.
    fn poll(&mut self, limit: usize) -> bool {
        let cookie = self.cookie.as_ref().map(|cookie| cookie.parse().unwrap());
        let reading = BatchRead::new(cookie, Arc::clone(&self.filter), FormatHash::default());
        let (filter, cursor, now) = (reading.read_filter(), reading.cursor, self.now);
        let mut page =
            self.log.read(&PageRequest { cursor, since: None, filter: &filter, limit, now });
        self.cookie = Some(reading.finish_page(&mut page, now).to_string());
        if page.resync {
            self.held.clear();
        }
        for change in &page.changes {
            let admitted = |session: &Arc<Session>| self.filter.admits(session);
            assert!(
                change.session().is_none_or(admitted),
                "a change that the filter excludes: {change:?}"
            );
            assert_eq!(change.effect == Effect::Ended, change.after.is_none());
            match &change.after {
                Some(session) => self.held.insert(change.address, user_of(session)),
                None => self.held.remove(&change.address),
            };
        }
        page.more
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Apply { kind, host, user } => self.record(kind, HOSTS[host], USERS[user]),
            Step::Mode(seconds) => {
                self.now = self.now + Duration::from_secs(seconds.unsigned_abs());
            }
            Step::Expire => self.expire(),
            Step::Poll(limit) => drop(self.poll(limit)),
            Step::SetFilter(filter) => self.filter = Arc::new(filters().swap_remove(filter)),
        }
    }

    fn expected(&self) -> BTreeMap<Address, String> {
        let is_visible = |s: &&Arc<Session>| s.is_active_at(self.now) && self.filter.admits(s);
        self.table.sessions().filter(is_visible).map(|s| (s.address, user_of(s))).collect()
    }
}

fn user_of(session: &Session) -> String {
    session.principal.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// An expired session is read before its expiry event is applied. The filter that admitted it has
/// changed by then, so that its end would not be reported afterwards.
#[test]
fn a_session_that_expires_during_a_filter_change_is_removed() {
    let mut model = Model::new(ChangeLogLimits::default());
    model.record(Kind::VpnUp, "10.0.0.1", "alice@corp");
    model.poll(9);
    assert_eq!(model.held.len(), 1);
    model.filter = Arc::new(domains(&["lab"]));
    model.now = model.now + Duration::from_secs(150);
    model.poll(9);
    model.expire();
    model.poll(9);
    assert_eq!(model.held, BTreeMap::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_firewall_ends_with_the_admitted_sessions_through_all_filter_changes(
        steps in prop::collection::vec(step(), 1..120),
        tombstone_count in prop_oneof![0..4_usize, Just(1000)],
        limit in 1..4_usize,
    ) {
        let limits = ChangeLogLimits { tombstone_count, ..ChangeLogLimits::default() };
        let mut model = Model::new(limits);
        for step in &steps {
            model.step(step);
        }
        // A minute later all expired sessions are ended, even if an expiry event was lost before.
        model.now = model.now + Duration::from_secs(60);
        model.expire();
        while model.poll(limit) {}
        prop_assert_eq!(&model.held, &model.expected());
        // The state is final: nothing is reported twice.
        let before = model.cookie.clone();
        prop_assert!(!model.poll(limit));
        prop_assert!(!before.unwrap().ends_with(ALL));
    }

    #[test]
    fn any_text_is_a_cookie_or_rejected(
        text in "([0-9]{1,3}\\.){1,2}[0-9]{1,3}(~[0-9a-f]{16})?(~all)?|\\PC*",
    ) {
        if let Ok(cookie) = text.parse::<Cookie>() {
            let again: Cookie = cookie.to_string().parse().unwrap();
            prop_assert_eq!((again.filter, again.mode), (cookie.filter, cookie.mode));
            prop_assert!(cookie.to_string().len() <= rollcall_wire::srx::SrxQuery::COOKIE_LIMIT);
        }
    }
}
