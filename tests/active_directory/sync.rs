//! The directory reader alone: it reads a real domain controller and follows its changes.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rollcall_config::{Environment, load};
use rollcall_identity::Principal;
use rollcall_identity::directory::{
    self, AccountKind, Directory, DomainNames, ResolvedAccount, UnqualifiedNames,
};
use rollcall_producers::active_directory::{
    ActiveDirectory, DirectorySink, DirectoryState, DirectoryStatus, DirectoryUpdate, UpdateFuture,
};
use rollcall_producers::remote::AccountGuard;
use rollcall_runtime::clock::Clock;
use tokio::sync::oneshot;

use super::configured;
use crate::harness::{ADMINISTRATOR, Controller, until_within};

/// How long a test waits. Samba needs ten seconds to return a domain of 10,000 users on an idle
/// machine, and deletion scans may take a twentieth of the time.
const WAIT_LIMIT: Duration = Duration::from_secs(480);

/// Calls `check` until it returns `Some`. Panics after [`WAIT_LIMIT`]; the message names the
/// `condition`.
#[track_caller]
pub(super) fn until<T>(condition: &str, check: impl FnMut() -> Option<T>) -> T {
    until_within(WAIT_LIMIT, condition, check)
}

/// A sink that holds the directory that was read.
#[derive(Default)]
struct TestSink {
    directory: Mutex<Directory>,
    /// The number of full reads.
    full_reads: Mutex<usize>,
}

impl DirectorySink for TestSink {
    fn apply_update<'a>(
        &'a self,
        names: &'a DomainNames,
        update: DirectoryUpdate,
    ) -> UpdateFuture<'a> {
        Box::pin(async move {
            let mut directory = self.directory.lock().unwrap();
            directory.put_domain(names.clone(), UnqualifiedNames::ThisDomain);
            match update {
                DirectoryUpdate::Full(snapshot) => {
                    directory.replace(&names.dns, *snapshot).unwrap();
                    *self.full_reads.lock().unwrap() += 1;
                }
                DirectoryUpdate::Changes(updates) => {
                    drop(directory.apply(&names.dns, updates).unwrap());
                }
            }
            Ok(())
        })
    }
}

/// A running reader, on a thread of its own.
pub(super) struct Reader {
    sink: Arc<TestSink>,
    directory: Arc<ActiveDirectory>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Reader {
    pub(super) fn start(controller: &Controller, more: &str) -> Self {
        Self::of(&controller.section(more), configured(controller, more))
    }

    /// A reader with this section, in a folder with the files that it names.
    pub(super) fn of(section: &str, folder: tempfile::TempDir) -> Self {
        std::fs::write(folder.path().join("rollcall.toml"), section).unwrap();
        if section.contains("administrator") {
            super::secret(folder.path(), ADMINISTRATOR);
        }
        let settings = load(Some(&folder.path().join("rollcall.toml")), &Environment::process());
        let settings = settings.unwrap();
        let sink = Arc::new(TestSink::default());
        let shared: Arc<dyn DirectorySink> = Arc::clone(&sink) as _;
        let section = &settings.active_directory[0];
        let directory =
            ActiveDirectory::new(section, shared, Clock::system(), &AccountGuard::default())
                .unwrap();
        let directory = Arc::new(directory);
        let (stop, stop_requested) = oneshot::channel();
        let running = Arc::clone(&directory);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    never = running.follow("corp".to_owned()) => match never {},
                    _ = stop_requested => {}
                }
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { sink, directory, stop, thread, _folder: folder }
    }

    pub(super) fn status(&self) -> DirectoryStatus {
        self.directory.status()
    }

    pub(super) fn user_at(&self, name: &str) -> Option<ResolvedAccount> {
        let principal = Principal::parse(name, None).unwrap();
        self.sink.directory.lock().unwrap().resolve(&principal)
    }

    /// The names of the groups of an account.
    pub(super) fn groups(&self, name: &str) -> Vec<String> {
        let groups = self.user_at(name).map(|account| account.groups).unwrap_or_default();
        groups.as_slice().iter().map(|group| group.name.to_string()).collect()
    }

    pub(super) fn full_reads(&self) -> usize {
        *self.sink.full_reads.lock().unwrap()
    }

    pub(super) fn until_read(&self) {
        until("the domain is read", || {
            let status = self.status();
            assert_ne!(status.state, DirectoryState::Failing, "{:?}", status.error);
            (self.full_reads() > 0).then_some(())
        });
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// LDIF of a change of one entry.
pub(super) fn change(dn: &str, lines: &str) -> String {
    format!("dn: {dn}\nchangetype: {lines}\n")
}

/// LDIF that adds a member to a group (`what` is `add`) or removes it (`delete`).
pub(super) fn with_member(group: &str, what: &str, member: &str) -> String {
    let dn = format!("CN={group},OU=Groups,{}", Controller::BASE);
    change(&dn, &format!("modify\n{what}: member\nmember: {member}"))
}

pub(super) fn staff(name: &str) -> String {
    format!("CN={name},OU=Staff,{}", Controller::BASE)
}

pub(super) const SEALED: &str = "account = \"rollcall@corp.example.com\"\ntransport = \"ldap\"\n\
    bind = \"spnego\"\npoll_interval = \"1s\"\n";

/// An account that can read deleted objects, as an ordinary account can after `dsacls`.
pub(super) const SEES_DELETIONS: &str = "account = \"administrator@corp.example.com\"\n\
    transport = \"ldap\"\nbind = \"spnego\"\npoll_interval = \"1s\"\n";

#[test]
fn a_domain_is_read_and_every_change_is_applied_within_the_interval() {
    let story = "a_domain_is_read_and_every_change_is_applied_within_the_interval";
    let Some(controller) = Controller::start(story) else { return };
    let reader = Reader::start(&controller, SEES_DELETIONS);
    reader.until_read();
    verify_all_objects(&reader);
    verify_changes(&controller, &reader);
    assert_eq!(reader.full_reads(), 1, "no second full read");
}

fn verify_all_objects(reader: &Reader) {
    let domain = rollcall_identity::Name::new("corp.example.com").unwrap();
    let counts = reader.sink.directory.lock().unwrap().counts(&domain).unwrap();
    assert!(
        counts.users >= 10_000 && counts.devices >= 2_000 && counts.groups >= 501,
        "{counts:?}"
    );
    assert_eq!(reader.status().problems, Default::default());
    // The user is in the innermost of six nested groups. Because of the cycle, the innermost group
    // also contains the outermost one.
    let all = reader.groups("CORP\\user00100");
    for group in ["group000", "group001", "group002", "group003", "group004", "group005"] {
        assert!(all.contains(&group.to_owned()), "{group}: {all:?}");
    }
    assert!(all.contains(&"everyone-here".to_owned()) && all.contains(&"Domain Users".to_owned()));
    assert!(!reader.groups("user06000").contains(&"everyone-here".to_owned()));
    assert!(reader.groups("user05999").contains(&"everyone-here".to_owned()));
    for number in 0..7 {
        let hard = reader.user_at(&format!("hard{number}@corp.example.com")).unwrap();
        assert_eq!(hard.kind, AccountKind::User);
    }
    assert_eq!(reader.user_at("pc0001$").map(|pc| pc.kind), Some(AccountKind::Device));
}

fn verify_changes(controller: &Controller, reader: &Reader) {
    let joined = |name: &str, group: &str| reader.groups(name).contains(&group.to_owned());
    controller.modify(&with_member("group005", "add", &staff("Alice")));
    until("alice is in the outermost group", || joined("alice", "group000").then_some(()));
    controller.modify(&with_member("group005", "delete", &staff("Alice")));
    until("alice is not in the group", || (!joined("alice", "group000")).then_some(()));
    controller.modify(&with_member("everyone-here", "add", &staff("Alice")));
    until("a large group is read completely", || joined("alice", "everyone-here").then_some(()));
    assert!(joined("user05999", "everyone-here"));
    let alice = reader.user_at("alice").unwrap().guid;
    let rename = "modify\nreplace: sAMAccountName\nsAMAccountName: alice.b\n-\n\
                  replace: userPrincipalName\nuserPrincipalName: alice.b@corp.example.com";
    controller.modify(&change(&staff("Alice"), rename));
    until("alice is renamed", || reader.user_at("alice.b").filter(|user| user.guid == alice));
    let moved = format!(
        "modrdn\nnewrdn: CN=Alice B\ndeleteoldrdn: 1\nnewsuperior: OU=Dept01,{}",
        Controller::BASE
    );
    controller.modify(&change(&staff("Alice"), &moved));
    let has_dn = |dn: &str| {
        let directory = reader.sink.directory.lock().unwrap();
        directory.profile(alice).is_some_and(|profile| profile.dn.ends_with(dn)).then_some(())
    };
    until("alice is moved", || has_dn("CN=Alice B,OU=Dept01,DC=corp,DC=example,DC=com"));
    let now = format!("CN=Alice B,OU=Dept01,{}", Controller::BASE);
    let disable = "modify\nreplace: userAccountControl\nuserAccountControl: 546";
    controller.modify(&change(&now, disable));
    until("alice is disabled", || {
        reader.user_at("alice.b").filter(|user| user.state == directory::AccountState::Disabled)
    });
    controller.modify(&change(&now, "delete"));
    until("alice is deleted", || reader.user_at("alice.b").is_none().then_some(()));
    controller.undelete(&alice.to_string(), &now);
    until("alice is restored", || reader.user_at("alice.b").filter(|user| user.guid == alice));
}

#[test]
fn dirsync_delivers_the_same_changes() {
    let Some(controller) = Controller::start("dirsync_delivers_the_same_changes") else { return };
    let reader =
        Reader::start(&controller, &format!("{SEES_DELETIONS}change_tracking = \"dirsync\"\n"));
    reader.until_read();
    verify_all_objects(&reader);
    verify_changes(&controller, &reader);
    assert_eq!(reader.full_reads(), 1, "no second full read");
}

#[test]
fn a_stopped_or_restored_controller_leaves_no_gap() {
    let story = "a_stopped_or_restored_controller_leaves_no_gap";
    let Some(controller) = Controller::start(story) else { return };
    let reader = Reader::start(&controller, SEALED);
    reader.until_read();
    controller.stop();
    until("the failure is noticed", || {
        (reader.status().state == DirectoryState::Failing).then_some(())
    });
    assert!(reader.user_at("bob").is_some(), "known objects stay");
    assert!(reader.status().error.is_some());
    controller.start_again();
    until("it is read again", || (reader.status().state == DirectoryState::Current).then_some(()));
    assert_eq!(reader.full_reads(), 1, "the same server resumes at the position");
    controller.modify(&change(&staff("Bob"), "delete"));
    until("the deletion scan of an ordinary account removes bob", || {
        reader.user_at("bob").is_none().then_some(())
    });
    controller.restore();
    until("the full resync is complete", || (reader.full_reads() == 2).then_some(()));
    assert!(reader.user_at("bob").is_some(), "the copy has him");
}
