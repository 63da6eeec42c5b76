//! What the delivery loop expects of every dialect, and a new dialect with other capabilities.

use std::collections::BTreeSet;

use rollcall_config::SrxWebApi;
use rollcall_identity::delivery::DeliveryMode;
use rollcall_identity::directory::GroupFilter;

use super::record_dialect::{self, RecordSettings};
use super::*;
use crate::dialects::{REGISTRATIONS, find};

/// A target of each dialect.
fn examples(folder: &Path) -> Vec<PushTarget> {
    let (user, password) = ("user".to_owned(), "password".into());
    let groups = GroupFilter::default();
    let firewall = SrxWebApi { user, password, rate: 10, roles: 200, groups };
    let sections = [secure_edge(folder), DialectSection::new(firewall)];
    sections.into_iter().map(|section| target("https://target", section)).collect()
}

fn records(time_to_live: Duration) -> RecordSettings {
    RecordSettings { time_to_live, server: Arc::default() }
}

async fn start(settings: &RecordSettings, folder: &Path) -> Fixture {
    let target = target("records", DialectSection::new(settings.clone()));
    let registrations: Vec<_> =
        REGISTRATIONS.iter().chain([&record_dialect::REGISTRATION]).collect();
    let dialect = find(registrations, &target).expect("the dialect is registered");
    Fixture::start(target, dialect, folder).await
}

#[test]
fn every_section_of_the_configuration_has_a_dialect() {
    let folder = tempfile::tempdir().unwrap();
    let registered: Vec<_> = REGISTRATIONS.iter().map(|dialect| dialect.section).collect();
    assert_eq!(registered, PushTarget::sections().collect::<Vec<_>>());
    let examples = examples(folder.path());
    let found: BTreeSet<_> = examples.iter().map(|target| target.dialect.name()).collect();
    assert_eq!(found, registered.into_iter().collect(), "add an example of the new dialect");
    assert!(examples.iter().all(|target| find(REGISTRATIONS, target).is_some()));
}

#[test]
fn each_dialect_implements_the_operations_that_it_declares() {
    let folder = tempfile::tempdir().unwrap();
    for target in examples(folder.path()) {
        let factory = crate::dialects::factory(&target);
        let (declared, mut dialect) = (factory.capabilities(), factory.create(&Clock::system()));
        let section = target.dialect.name();
        let replaces = declared.resync == DeliveryMode::Replace;
        assert_eq!(dialect.resync().is_some(), replaces, "{section}");
        assert_eq!(dialect.content().is_some(), declared.check_interval().is_some(), "{section}");
        let reads_position = dialect.position().is_some();
        assert!(reads_position || !replaces, "{section}: a resync ends at a position");
        assert!(reads_position || declared.read_back != ReadBack::Position, "{section}");
        assert!(!reads_position || declared.read_back != ReadBack::None, "{section}");
        assert!(declared.batch >= 1 && declared.parallel >= 1 && declared.rate != Some(0));
    }
}

#[test]
fn a_target_that_accepts_one_record_per_request_gets_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let settings = records(Duration::from_secs(3600));
    System::new().block_on(async {
        let fixture = start(&settings, folder.path()).await;
        settings.server().rejected_user = Some("user3".to_owned());
        fixture.logins(1..=5).await;
        until("four records are there", || settings.server().records.len() == 4).await;
        until("the rejected one is counted", || fixture.target.status().refused == 1).await;
        // The server has lost a record, and its end is acknowledged anyway.
        settings.server().records.pop_first();
        let logouts = (1..=2).map(|host| event(Kind::Logout, host, &fixture.clock));
        fixture.apply(logouts.collect()).await;
        until("two records are there", || settings.server().records.len() == 2).await;
        until("the absent one is counted", || fixture.target.status().duplicates >= 1).await;
        let checked = fixture.check().await.unwrap();
        assert_eq!((checked.outcome, checked.differing), (Outcome::Unsupported, 0));
        assert_eq!(fixture.target.status().kind, "records");
        fixture.stop_at(7).await;
    });
}

#[test]
fn sessions_are_sent_again_before_the_target_discards_them() {
    let folder = tempfile::tempdir().unwrap();
    let settings = records(Duration::from_millis(400));
    System::new().block_on(async {
        let fixture = start(&settings, folder.path()).await;
        fixture.logins(1..=2).await;
        until("both records are there", || settings.server().records.len() == 2).await;
        for round in 1..=3 {
            settings.server().records.clear();
            let is_complete = || settings.server().records.len() == 2;
            until(&format!("refresh {round}"), is_complete).await;
        }
        let status = fixture.target.status();
        assert_eq!((status.full_resyncs, status.retries), (0, 0), "a refresh is no resync");
        fixture.stop_at(2).await;
    });
}
