//! What a directory says reaches the sessions of those concerned, and nobody else's.

use actix::System;
use std::time::Duration;

use rollcall_identity::directory::{
    Account as Person, AccountKind, AccountState, DomainNames, Guid, Member, Object, RemovalPolicy,
    SessionAction, UnqualifiedNames, Update,
};
use rollcall_identity::{
    Address, Authority, ChangeLogLimits, Event, Kind, MemoryJournal, Name, Principal, Producer,
    Rules, Session, Timestamp,
};

use super::*;
use crate::engine::Engine;
use crate::messages::LookupAddress;
use rollcall_runtime::event_accounting::EventAccount;
use rollcall_runtime::mailbox::MailboxClosed;

static NOW: std::sync::LazyLock<Timestamp> =
    std::sync::LazyLock::new(|| Timestamp::from_millis(1_795_290_600_000));
const CORP: &str = "corp.example.com";
const ALICE: Guid = Guid([1; 16]);
const STAFF: Guid = Guid([2; 16]);
const SALES: Guid = Guid([3; 16]);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn origin(kind: Producer, producer: &str) -> Arc<Origin> {
    let [producer, client, form] = [producer, "dc1", "directory"].map(name);
    Arc::new(Origin { kind, producer, client, form })
}

struct Life(Engine);

fn story(test: impl AsyncFnOnce(Life)) {
    let story = async {
        let kinds = vec![Kind::Login, Kind::Logout];
        let mut rules = Rules::default();
        let source = (name("syslog"), name("dc1"));
        rules.authorities.insert(source, Authority { kinds, ..Authority::default() });
        let (journal, clock) = (MemoryJournal::new(7), Clock::from_fn(|| *NOW));
        let engine =
            Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await.unwrap();
        test(Life(engine)).await;
    };
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), story).await.expect("the story ends");
    });
}

fn person(login: &str, state: AccountState) -> Update {
    let account = Person {
        kind: AccountKind::User,
        name: name(login),
        upn: None,
        display: None,
        mail: None,
        host: None,
        system: None,
        state,
        primary_group: None,
    };
    seen(ALICE, Object::Account(account))
}

fn group(guid: Guid, called: &str, members: &[Guid]) -> Update {
    let members = members.iter().map(|guid| Member::Object(*guid)).collect();
    seen(guid, Object::Group { name: name(called), members })
}

fn seen(guid: Guid, object: Object) -> Update {
    let dn = format!("CN={guid},DC=corp,DC=example,DC=com").into();
    Update::Upsert { guid, dn, sid: None, object }
}

impl Life {
    /// The directory says so, and those concerned hear it.
    async fn learn(&self, updates: Vec<Update>, removal: RemovalPolicy) {
        let affected = {
            let mut book = self.0.directory.write();
            if book.domains().is_empty() {
                let (dns, netbios) = (name(CORP), name("corp"));
                let sid = "S-1-5-21-1-2-3".parse().unwrap();
                book.put_domain(DomainNames { dns, netbios, sid }, UnqualifiedNames::ThisDomain);
            }
            book.apply(&name(CORP), updates).unwrap()
        };
        let origin = origin(Producer::ActiveDirectory, "corp");
        let affected = Arc::new(affected);
        self.0
            .cache
            .send(UpdateMembership { affected, gone: removal, origin })
            .await
            .unwrap()
            .unwrap();
    }

    async fn login(&self, at: &str, user: &str) {
        let receipt = self.log_in(at, user).await.unwrap();
        assert_eq!(receipt.unwrap().applied, 1);
    }

    /// Somebody logs on; the answer comes when it is visible.
    fn log_in(
        &self,
        at: &str,
        user: &str,
    ) -> impl Future<Output = Result<Result<Receipt, ApplyError>, MailboxClosed>> + use<> {
        let event = Event {
            principal: Some(Principal::parse(user, None).unwrap()),
            ..Event::bare(
                Kind::Login,
                at.parse().unwrap(),
                *NOW,
                origin(Producer::Syslog, "syslog"),
            )
        };
        let account = EventAccount::open("syslog", 1);
        let cache = self.0.cache.clone();
        async move { cache.send(Apply { events: vec![event], read: None, account }).await }
    }

    async fn session(&self, at: &str) -> Option<Arc<Session>> {
        self.0.query.send(LookupAddress(at.parse::<Address>().unwrap())).await.unwrap()
    }

    /// Who is there, and in which groups.
    async fn shown(&self, at: &str) -> String {
        let Some(session) = self.session(at).await else { return "nobody".to_owned() };
        let groups = session.membership.user.iter().flat_map(|groups| groups.as_slice());
        let groups: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
        format!("{} in [{}]", session.principal.as_ref().unwrap(), groups.join(" "))
    }
}

#[test]
fn a_user_who_logs_on_is_in_the_groups_that_the_directory_knows() {
    story(async |life| {
        let groups = [group(STAFF, "Staff", &[ALICE]), group(SALES, "Sales", &[STAFF])];
        let updates = groups.into_iter().chain([person("Alice", AccountState::Enabled)]).collect();
        life.learn(updates, RemovalPolicy::default()).await;
        life.login("10.0.0.7", "CORP\\ALICE").await;
        assert_eq!(life.shown("10.0.0.7").await, "alice@corp.example.com in [Sales Staff]");
    });
}

#[test]
fn a_user_who_was_there_before_the_directory_is_known_when_it_is_read() {
    story(async |life| {
        life.login("10.0.0.7", "corp\\alice").await;
        life.login("10.0.0.8", "corp\\bob").await;
        assert_eq!(life.shown("10.0.0.7").await, "alice@corp in []");
        let told = life.session("10.0.0.8").await.unwrap().revision;
        let updates = vec![person("Alice", AccountState::Enabled), group(STAFF, "Staff", &[ALICE])];
        life.learn(updates, RemovalPolicy::default()).await;
        assert_eq!(life.shown("10.0.0.7").await, "alice@corp.example.com in [Staff]");
        assert_eq!(life.session("10.0.0.8").await.unwrap().revision, told, "nobody asked of bob");
    });
}

#[test]
fn who_is_known_by_sid_alone_is_called_by_name_when_the_directory_is_read() {
    story(async |life| {
        let sid = "S-1-5-21-1-2-3-1104";
        life.login("10.0.0.7", sid).await;
        assert_eq!(life.shown("10.0.0.7").await, format!("{} in []", sid.to_lowercase()));
        let Update::Upsert { guid, dn, object, .. } = person("Alice", AccountState::Enabled) else {
            unreachable!("she is seen")
        };
        let alice = Update::Upsert { guid, dn, sid: sid.parse().ok(), object };
        life.learn(vec![alice, group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default()).await;
        assert_eq!(life.shown("10.0.0.7").await, "alice@corp.example.com in [Staff]");
    });
}

#[test]
fn who_joins_a_group_or_is_renamed_keeps_the_session() {
    story(async |life| {
        life.learn(vec![person("alice", AccountState::Enabled)], RemovalPolicy::default()).await;
        life.login("10.0.0.7", "alice").await;
        let since = life.session("10.0.0.7").await.unwrap().since;
        life.learn(vec![group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default()).await;
        assert_eq!(life.shown("10.0.0.7").await, "alice@corp.example.com in [Staff]");
        life.learn(vec![person("alice.smith", AccountState::Enabled)], RemovalPolicy::default())
            .await;
        assert_eq!(life.shown("10.0.0.7").await, "alice.smith@corp.example.com in [Staff]");
        assert_eq!(life.session("10.0.0.7").await.unwrap().since, since);
    });
}

#[test]
fn who_is_disabled_or_deleted_stays_or_goes_as_the_rule_says() {
    let ends = RemovalPolicy { disabled: SessionAction::End, deleted: SessionAction::End };
    for (gone, update, wanted) in [
        (
            RemovalPolicy::default(),
            person("alice", AccountState::Disabled),
            "alice@corp.example.com in []",
        ),
        (RemovalPolicy::default(), Update::Deleted(ALICE), "alice@corp.example.com in []"),
        (ends, person("alice", AccountState::Disabled), "nobody"),
        (ends, Update::Deleted(ALICE), "nobody"),
    ] {
        story(async |life| {
            life.learn(vec![person("alice", AccountState::Enabled)], gone).await;
            life.login("10.0.0.7", "alice").await;
            life.learn(vec![update], gone).await;
            assert_eq!(life.shown("10.0.0.7").await, wanted);
        });
    }
}

#[test]
fn more_sessions_than_a_slice_are_all_followed_up() {
    story(async |life| {
        life.learn(vec![person("alice", AccountState::Enabled)], RemovalPolicy::default()).await;
        let places: Vec<String> =
            (0..3 * SLICE).map(|n| format!("10.1.{}.{}", n / 250, n % 250 + 1)).collect();
        for place in &places {
            life.login(place, "alice").await;
        }
        life.learn(vec![group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default()).await;
        for place in &places {
            assert_eq!(life.shown(place).await, "alice@corp.example.com in [Staff]", "{place}");
        }
    });
}

#[test]
fn who_logs_on_while_the_directory_speaks_is_followed_up() {
    story(async |life| {
        life.learn(vec![person("alice", AccountState::Enabled)], RemovalPolicy::default()).await;
        let places: Vec<String> = (1..250).map(|n| format!("10.2.0.{n}")).collect();
        // They are looked up before she is in the group, and are in the table after it.
        let coming: Vec<_> = places
            .iter()
            .map(|place| tokio::task::spawn_local(life.log_in(place, "alice")))
            .collect();
        tokio::task::yield_now().await;
        life.learn(vec![group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default()).await;
        for receipt in coming {
            receipt.await.unwrap().unwrap().unwrap();
        }
        for place in &places {
            assert_eq!(life.shown(place).await, "alice@corp.example.com in [Staff]", "{place}");
        }
    });
}
