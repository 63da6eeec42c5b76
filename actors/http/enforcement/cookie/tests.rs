//! Whatever becomes of its filter, a firewall that follows its cookies ends with what that admits.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rollcall_identity::{
    Address, Authority, ChangeLog, ChangeLogLimits, Effect, Event, Glob, Kind, Name, Origin,
    PageRequest, Principal, Producer, Revision, Rules, Session, Table,
};
use rollcall_wire::srx::ResponseFormatter;

use super::super::voices::SharedVoice;
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

/// The one in the documentation. Another one here means that every firewall hears everything once
/// more after the update: is that meant?
#[test]
fn the_fingerprint_of_no_filter_and_the_words_by_default_is_the_same_in_every_build() {
    let wording = SharedVoice::new(ResponseFormatter::default()).wording;
    let Fingerprint(fingerprint) = Fingerprint::of(&Filter::default(), wording);
    assert_eq!(format!("{fingerprint:016x}"), "ff367dca633b512a");
}

#[test]
fn a_fingerprint_is_that_of_what_is_admitted() {
    let of = |filter: Filter| Fingerprint::of(&filter, Wording::default());
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
fn what_is_no_cookie_is_strange() {
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
fn a_changed_filter_is_noticed_once() {
    let cookie: Cookie = "7.3~00ff00ff00ff00ff".parse().unwrap();
    let filter = Arc::new(domains(&["corp"]));
    let first = BatchRead::new(Some(cookie), Arc::clone(&filter), Wording::default());
    assert!(first.refiltered);
    assert_eq!(first.cursor.unwrap().to_string(), "7.0.3", "of ends, only those after it");
    let next = Cursor::new(7, Revision(2));
    let mut page = Page { changes: Vec::new(), next, more: true, resync: false };
    let amid = first.told(&mut page, Timestamp::EPOCH);
    let second = BatchRead::new(Some(amid), filter, Wording::default());
    assert!(!second.refiltered);
    assert_eq!((second.cursor, second.pass), (Some(next), Pass::Everything));
    page.more = false;
    assert_eq!(second.told(&mut page, Timestamp::EPOCH).pass, Pass::News);
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Fold {
        kind: Kind,
        host: usize,
        user: usize,
    },
    /// Time passes, in seconds.
    Pass(i64),
    /// The expiries that are due are folded.
    Expire,
    /// The firewall asks once for so many.
    Ask(usize),
    /// Another filter is put in force.
    Govern(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let kinds = vec![Kind::VpnUp, Kind::Login, Kind::VpnUp, Kind::VpnDown, Kind::Rekey];
    prop_oneof![
        8 => (prop::sample::select(kinds), 0..HOSTS.len(), 0..USERS.len())
            .prop_map(|(kind, host, user)| Step::Fold { kind, host, user }),
        2 => (1..60_i64).prop_map(Step::Pass),
        1 => Just(Step::Expire),
        4 => (1..4_usize).prop_map(Step::Ask),
        2 => (0..filters().len()).prop_map(Step::Govern),
    ]
}

struct World {
    table: Table,
    log: ChangeLog,
    rules: Rules,
    origin: Arc<Origin>,
    revision: u64,
    now: Timestamp,
    filter: Arc<Filter>,
    /// What the firewall shows the next time.
    cookie: Option<String>,
    /// What it took from the answers.
    holds: BTreeMap<Address, String>,
}

impl World {
    fn new(limits: ChangeLogLimits) -> Self {
        let [producer, client, form] = ["ptim", "fw1", "json"].map(name);
        let kinds = vec![Kind::Login, Kind::VpnUp, Kind::VpnDown, Kind::Rekey];
        let mut rules = Rules { logoff_time: Duration::from_secs(150), ..Rules::default() };
        let authority = Authority { kinds, ..Authority::default() };
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
            holds: BTreeMap::new(),
        }
    }

    fn fold(&mut self, event: &Event) {
        self.revision += 1;
        let decision = self.table.apply(Revision(self.revision), event, &self.rules);
        if let Some(change) = decision.change {
            self.log.apply(&change, self.now);
        }
    }

    fn happen(&mut self, kind: Kind, host: &str, user: &str) {
        let event = Event {
            principal: Some(Principal::parse(user, None).unwrap()),
            ..Event::bare(kind, host.parse().unwrap(), self.now, Arc::clone(&self.origin))
        };
        self.fold(&event);
    }

    fn expire(&mut self) {
        let [producer, client, form] = ["cache", "cache", "expiry"].map(name);
        let cache = Arc::new(Origin { kind: Producer::Cache, producer, client, form });
        for event in self.table.due_expiries(self.now, &cache, usize::MAX) {
            self.fold(&event);
        }
    }

    /// The firewall asks once; says whether there is more.
    fn ask(&mut self, limit: usize) -> bool {
        let cookie = self.cookie.as_ref().map(|cookie| cookie.parse().unwrap());
        let reading = BatchRead::new(cookie, Arc::clone(&self.filter), Wording::default());
        let (filter, cursor, now) = (reading.asked(), reading.cursor, self.now);
        let mut page =
            self.log.read(&PageRequest { cursor, since: None, filter: &filter, limit, now });
        self.cookie = Some(reading.told(&mut page, now).to_string());
        if page.resync {
            self.holds.clear();
        }
        for change in &page.changes {
            let admitted = |session: &Arc<Session>| self.filter.admits(session);
            assert!(change.session().is_none_or(admitted), "told in passing: {change:?}");
            assert_eq!(change.effect == Effect::Ended, change.after.is_none());
            match &change.after {
                Some(session) => self.holds.insert(change.address, shown(session)),
                None => self.holds.remove(&change.address),
            };
        }
        page.more
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Fold { kind, host, user } => self.happen(kind, HOSTS[host], USERS[user]),
            Step::Pass(seconds) => {
                self.now = self.now + Duration::from_secs(seconds.unsigned_abs());
            }
            Step::Expire => self.expire(),
            Step::Ask(limit) => drop(self.ask(limit)),
            Step::Govern(filter) => self.filter = Arc::new(filters().swap_remove(filter)),
        }
    }

    fn truth(&self) -> BTreeMap<Address, String> {
        let stands = |s: &&Arc<Session>| s.is_active_at(self.now) && self.filter.admits(s);
        self.table.sessions().filter(stands).map(|s| (s.address, shown(s))).collect()
    }
}

fn shown(session: &Session) -> String {
    session.principal.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// A session that lapsed is read while its expiry is still on the way; the filter that admitted it
/// is gone by then, and nobody would tell its end afterwards.
#[test]
fn a_session_that_lapses_while_the_filter_changes_is_not_kept() {
    let mut world = World::new(ChangeLogLimits::default());
    world.happen(Kind::VpnUp, "10.0.0.1", "alice@corp");
    world.ask(9);
    assert_eq!(world.holds.len(), 1);
    world.filter = Arc::new(domains(&["lab"]));
    world.now = world.now + Duration::from_secs(150);
    world.ask(9);
    world.expire();
    world.ask(9);
    assert_eq!(world.holds, BTreeMap::new());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_firewall_holds_what_its_filter_admits_however_often_that_changes(
        steps in prop::collection::vec(step(), 1..120),
        tombstone_count in prop_oneof![0..4_usize, Just(1000)],
        limit in 1..4_usize,
    ) {
        let limits = ChangeLogLimits { tombstone_count, ..ChangeLogLimits::default() };
        let mut world = World::new(limits);
        for step in &steps {
            world.step(step);
        }
        // A minute later whatever lapsed is folded, even where an expiry was lost before.
        world.now = world.now + Duration::from_secs(60);
        world.expire();
        while world.ask(limit) {}
        prop_assert_eq!(&world.holds, &world.truth());
        // And it is settled: nothing is told twice, whatever was told before.
        let before = world.cookie.clone();
        prop_assert!(!world.ask(limit));
        prop_assert!(!before.unwrap().ends_with(ALL));
    }

    #[test]
    fn any_text_is_a_cookie_or_strange(
        text in "([0-9]{1,3}\\.){1,2}[0-9]{1,3}(~[0-9a-f]{16})?(~all)?|\\PC*",
    ) {
        if let Ok(cookie) = text.parse::<Cookie>() {
            let again: Cookie = cookie.to_string().parse().unwrap();
            prop_assert_eq!((again.filter, again.pass), (cookie.filter, cookie.pass));
            prop_assert!(cookie.to_string().len() <= rollcall_wire::srx::SrxQuery::COOKIE_LIMIT);
        }
    }
}
