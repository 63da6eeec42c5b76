//! A directory change reaches the sessions of the affected accounts, and no other.

use actix::System;
use std::time::Duration;

use rollcall_identity::directory::{
    Account as AccountObject, AccountKind, AccountState, DomainNames, Guid, Member, Object,
    RemovalPolicy, SessionAction, UnqualifiedNames, Update,
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

struct Fixture(Engine);

fn run(test: impl AsyncFnOnce(Fixture)) {
    let test = async {
        let kinds = vec![Kind::Login, Kind::Logout];
        let mut rules = Rules::default();
        let source = (name("syslog"), name("dc1"));
        rules.authorities.insert(source, Authority::unrestricted(kinds));
        let (journal, clock) = (MemoryJournal::new(7), Clock::from_fn(|| *NOW));
        let engine =
            Engine::start(journal, rules, ChangeLogLimits::default(), &clock).await.unwrap();
        test(Fixture(engine)).await;
    };
    System::new().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test ends in time");
    });
}

fn alice_as(login: &str, state: AccountState) -> Update {
    let account = AccountObject {
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
    upsert(ALICE, Object::Account(account))
}

fn group(guid: Guid, called: &str, members: &[Guid]) -> Update {
    let members = members.iter().map(|guid| Member::Object(*guid)).collect();
    upsert(guid, Object::Group { name: name(called), members })
}

fn upsert(guid: Guid, object: Object) -> Update {
    let dn = format!("CN={guid},DC=corp,DC=example,DC=com").into();
    Update::Upsert { guid, dn, sid: None, object }
}

impl Fixture {
    /// Applies updates to the directory, and then to the sessions.
    async fn update_directory(&self, updates: Vec<Update>, removal: RemovalPolicy) {
        let affected = {
            let mut directory = self.0.directory.write();
            if directory.domains().is_empty() {
                let (dns, netbios) = (name(CORP), name("corp"));
                let sid = "S-1-5-21-1-2-3".parse().unwrap();
                directory
                    .put_domain(DomainNames { dns, netbios, sid }, UnqualifiedNames::ThisDomain);
            }
            directory.apply(&name(CORP), updates).unwrap()
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
        let receipt = self.submit_login(at, user).await.unwrap();
        assert_eq!(receipt.unwrap().applied, 1);
    }

    /// Submits a login. The receipt follows when it is visible.
    fn submit_login(
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

    /// The user of an address and the groups of the session.
    async fn describe(&self, at: &str) -> String {
        let Some(session) = self.session(at).await else { return "no session".to_owned() };
        let groups = session.membership.user.iter().flat_map(|groups| groups.as_slice());
        let groups: Vec<&str> = groups.map(|group| group.name.as_str()).collect();
        format!("{} in [{}]", session.principal.as_ref().unwrap(), groups.join(" "))
    }
}

#[test]
fn a_login_gets_the_groups_of_the_directory() {
    run(async |fixture| {
        let groups = [group(STAFF, "Staff", &[ALICE]), group(SALES, "Sales", &[STAFF])];
        let updates =
            groups.into_iter().chain([alice_as("Alice", AccountState::Enabled)]).collect();
        fixture.update_directory(updates, RemovalPolicy::default()).await;
        fixture.login("10.0.0.7", "CORP\\ALICE").await;
        assert_eq!(fixture.describe("10.0.0.7").await, "alice@corp.example.com in [Sales Staff]");
    });
}

#[test]
fn an_earlier_session_gets_its_account_when_the_directory_is_read() {
    run(async |fixture| {
        fixture.login("10.0.0.7", "corp\\alice").await;
        fixture.login("10.0.0.8", "corp\\bob").await;
        assert_eq!(fixture.describe("10.0.0.7").await, "alice@corp in []");
        let revision = fixture.session("10.0.0.8").await.unwrap().revision;
        let updates =
            vec![alice_as("Alice", AccountState::Enabled), group(STAFF, "Staff", &[ALICE])];
        fixture.update_directory(updates, RemovalPolicy::default()).await;
        assert_eq!(fixture.describe("10.0.0.7").await, "alice@corp.example.com in [Staff]");
        assert_eq!(
            fixture.session("10.0.0.8").await.unwrap().revision,
            revision,
            "bob is not affected"
        );
    });
}

#[test]
fn a_session_known_by_sid_gets_its_name_when_the_directory_is_read() {
    run(async |fixture| {
        let sid = "S-1-5-21-1-2-3-1104";
        fixture.login("10.0.0.7", sid).await;
        assert_eq!(fixture.describe("10.0.0.7").await, format!("{} in []", sid.to_lowercase()));
        let Update::Upsert { guid, dn, object, .. } = alice_as("Alice", AccountState::Enabled)
        else {
            unreachable!("it is an upsert")
        };
        let alice = Update::Upsert { guid, dn, sid: sid.parse().ok(), object };
        fixture
            .update_directory(
                vec![alice, group(STAFF, "Staff", &[ALICE])],
                RemovalPolicy::default(),
            )
            .await;
        assert_eq!(fixture.describe("10.0.0.7").await, "alice@corp.example.com in [Staff]");
    });
}

#[test]
fn a_session_continues_when_its_user_joins_a_group_or_is_renamed() {
    run(async |fixture| {
        fixture
            .update_directory(
                vec![alice_as("alice", AccountState::Enabled)],
                RemovalPolicy::default(),
            )
            .await;
        fixture.login("10.0.0.7", "alice").await;
        let since = fixture.session("10.0.0.7").await.unwrap().since;
        fixture
            .update_directory(vec![group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default())
            .await;
        assert_eq!(fixture.describe("10.0.0.7").await, "alice@corp.example.com in [Staff]");
        fixture
            .update_directory(
                vec![alice_as("alice.smith", AccountState::Enabled)],
                RemovalPolicy::default(),
            )
            .await;
        assert_eq!(fixture.describe("10.0.0.7").await, "alice.smith@corp.example.com in [Staff]");
        assert_eq!(fixture.session("10.0.0.7").await.unwrap().since, since);
    });
}

#[test]
fn the_policy_decides_about_sessions_of_disabled_and_deleted_accounts() {
    let ends = RemovalPolicy { disabled: SessionAction::End, deleted: SessionAction::End };
    for (gone, update, wanted) in [
        (
            RemovalPolicy::default(),
            alice_as("alice", AccountState::Disabled),
            "alice@corp.example.com in []",
        ),
        (RemovalPolicy::default(), Update::Deleted(ALICE), "alice@corp.example.com in []"),
        (ends, alice_as("alice", AccountState::Disabled), "no session"),
        (ends, Update::Deleted(ALICE), "no session"),
    ] {
        run(async |fixture| {
            fixture.update_directory(vec![alice_as("alice", AccountState::Enabled)], gone).await;
            fixture.login("10.0.0.7", "alice").await;
            fixture.update_directory(vec![update], gone).await;
            assert_eq!(fixture.describe("10.0.0.7").await, wanted);
        });
    }
}

#[test]
fn more_sessions_than_one_slice_are_all_updated() {
    run(async |fixture| {
        fixture
            .update_directory(
                vec![alice_as("alice", AccountState::Enabled)],
                RemovalPolicy::default(),
            )
            .await;
        let hosts: Vec<String> =
            (0..3 * SLICE).map(|n| format!("10.1.{}.{}", n / 250, n % 250 + 1)).collect();
        for host in &hosts {
            fixture.login(host, "alice").await;
        }
        fixture
            .update_directory(vec![group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default())
            .await;
        for host in &hosts {
            assert_eq!(fixture.describe(host).await, "alice@corp.example.com in [Staff]", "{host}");
        }
    });
}

#[test]
fn a_login_during_a_directory_change_is_updated() {
    run(async |fixture| {
        fixture
            .update_directory(
                vec![alice_as("alice", AccountState::Enabled)],
                RemovalPolicy::default(),
            )
            .await;
        let hosts: Vec<String> = (1..250).map(|n| format!("10.2.0.{n}")).collect();
        // They are enriched before she is in the group, and applied after it.
        let logins: Vec<_> = hosts
            .iter()
            .map(|host| tokio::task::spawn_local(fixture.submit_login(host, "alice")))
            .collect();
        tokio::task::yield_now().await;
        fixture
            .update_directory(vec![group(STAFF, "Staff", &[ALICE])], RemovalPolicy::default())
            .await;
        for receipt in logins {
            receipt.await.unwrap().unwrap().unwrap();
        }
        for host in &hosts {
            assert_eq!(fixture.describe(host).await, "alice@corp.example.com in [Staff]", "{host}");
        }
    });
}
