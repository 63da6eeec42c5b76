//! Stories of the reader alone: what it learns from a real domain controller, and keeps learning.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rollcall_config::{Environment, load};
use rollcall_identity::Principal;
use rollcall_identity::directory::{
    self, AccountKind, Directory, DomainNames, ResolvedAccount, UnqualifiedNames,
};
use rollcall_producers::active_directory::{
    ActiveDirectory, DirectorySink, DirectoryState, DirectoryStatus, DirectoryUpdate,
    PendingUpdates,
};
use rollcall_runtime::clock::Clock;
use tokio::sync::oneshot;

use super::configured;
use crate::harness::{ADMINISTRATOR, Controller, until_within};

/// How long a story waits: Samba takes ten seconds to tell a domain of 10,000 users on a machine
/// that does nothing else, and counting through them may take a twentieth of the time.
const WAIT_LIMIT: Duration = Duration::from_secs(480);

/// The first `Some` of `look`. Panics, naming `what` was waited for, after [`WAIT_LIMIT`].
#[track_caller]
pub(super) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(WAIT_LIMIT, what, look)
}

/// What was learnt, by whoever asks.
#[derive(Default)]
struct Book {
    directory: Mutex<Directory>,
    /// How often everything was learnt at once.
    wholes: Mutex<usize>,
}

impl DirectorySink for Book {
    fn learn<'a>(&'a self, names: &'a DomainNames, learnt: DirectoryUpdate) -> PendingUpdates<'a> {
        Box::pin(async move {
            let mut directory = self.directory.lock().unwrap();
            directory.put_domain(names.clone(), UnqualifiedNames::ThisDomain);
            match learnt {
                DirectoryUpdate::Whole(image) => {
                    directory.replace(&names.dns, *image).unwrap();
                    *self.wholes.lock().unwrap() += 1;
                }
                DirectoryUpdate::Changes(updates) => {
                    drop(directory.apply(&names.dns, updates).unwrap());
                }
            }
            Ok(())
        })
    }
}

/// A reader at work on a thread of its own.
pub(super) struct Reader {
    book: Arc<Book>,
    directory: Arc<ActiveDirectory>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Reader {
    pub(super) fn start(controller: &Controller, more: &str) -> Self {
        Self::of(&controller.section(more), configured(controller, more))
    }

    /// One with this section, in a folder with all that it names.
    pub(super) fn of(section: &str, folder: tempfile::TempDir) -> Self {
        std::fs::write(folder.path().join("rollcall.toml"), section).unwrap();
        if section.contains("administrator") {
            super::secret(folder.path(), ADMINISTRATOR);
        }
        let settings = load(Some(&folder.path().join("rollcall.toml")), &Environment::process());
        let settings = settings.unwrap();
        let book = Arc::new(Book::default());
        let learner: Arc<dyn DirectorySink> = Arc::clone(&book) as _;
        let section = &settings.active_directory[0];
        let directory = ActiveDirectory::new(section, learner, Clock::system()).unwrap();
        let directory = Arc::new(directory);
        let (stop, stopped) = oneshot::channel();
        let following = Arc::clone(&directory);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                tokio::select! {
                    never = following.follow("corp".to_owned()) => match never {},
                    _ = stopped => {}
                }
            });
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Self { book, directory, stop, thread, _folder: folder }
    }

    pub(super) fn status(&self) -> DirectoryStatus {
        self.directory.status()
    }

    pub(super) fn user_at(&self, name: &str) -> Option<ResolvedAccount> {
        let principal = Principal::parse(name, None).unwrap();
        self.book.directory.lock().unwrap().resolve(&principal)
    }

    /// The groups of somebody, by name.
    pub(super) fn groups(&self, name: &str) -> Vec<String> {
        let groups = self.user_at(name).map(|who| who.groups).unwrap_or_default();
        groups.as_slice().iter().map(|group| group.name.to_string()).collect()
    }

    pub(super) fn wholes(&self) -> usize {
        *self.book.wholes.lock().unwrap()
    }

    pub(super) fn until_read(&self) {
        until("everything is read", || {
            let status = self.status();
            assert_ne!(status.state, DirectoryState::Failing, "{:?}", status.error);
            (self.wholes() > 0).then_some(())
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

/// A change of one entry.
pub(super) fn change(dn: &str, lines: &str) -> String {
    format!("dn: {dn}\nchangetype: {lines}\n")
}

/// Somebody who comes to a group, or goes.
pub(super) fn with_member(group: &str, what: &str, member: &str) -> String {
    let dn = format!("CN={group},OU=Groups,{}", Controller::BASE);
    change(&dn, &format!("modify\n{what}: member\nmember: {member}"))
}

pub(super) fn staff(name: &str) -> String {
    format!("CN={name},OU=Staff,{}", Controller::BASE)
}

pub(super) const SEALED: &str = "account = \"rollcall@corp.example.com\"\ntransport = \"ldap\"\n\
    bind = \"spnego\"\npoll_interval = \"1s\"\n";

/// An account that sees deletions, as `dsacls` lets an ordinary one.
pub(super) const SEES_DELETIONS: &str = "account = \"administrator@corp.example.com\"\n\
    transport = \"ldap\"\nbind = \"spnego\"\npoll_interval = \"1s\"\n";

#[test]
fn a_domain_is_read_and_every_change_is_applied_within_the_interval() {
    let story = "a_domain_is_read_and_every_change_is_applied_within_the_interval";
    let Some(controller) = Controller::start(story) else { return };
    let reader = Reader::start(&controller, SEES_DELETIONS);
    reader.until_read();
    everything_is_there(&reader);
    everything_is_heard(&controller, &reader);
    assert_eq!(reader.wholes(), 1, "nothing was read twice");
}

fn everything_is_there(reader: &Reader) {
    let domain = rollcall_identity::Name::new("corp.example.com").unwrap();
    let counts = reader.book.directory.lock().unwrap().counts(&domain).unwrap();
    assert!(
        counts.users >= 10_000 && counts.devices >= 2_000 && counts.groups >= 501,
        "{counts:?}"
    );
    assert_eq!(reader.status().problems, Default::default());
    // The innermost of six, and through the cycle the outermost is in it, too.
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

fn everything_is_heard(controller: &Controller, reader: &Reader) {
    let joined = |name: &str, group: &str| reader.groups(name).contains(&group.to_owned());
    controller.modify(&with_member("group005", "add", &staff("Alice")));
    until("she is in the outermost group", || joined("alice", "group000").then_some(()));
    controller.modify(&with_member("group005", "delete", &staff("Alice")));
    until("she is no longer", || (!joined("alice", "group000")).then_some(()));
    controller.modify(&with_member("everyone-here", "add", &staff("Alice")));
    until("a large group is read whole", || joined("alice", "everyone-here").then_some(()));
    assert!(joined("user05999", "everyone-here"));
    let alice = reader.user_at("alice").unwrap().guid;
    let rename = "modify\nreplace: sAMAccountName\nsAMAccountName: alice.b\n-\n\
                  replace: userPrincipalName\nuserPrincipalName: alice.b@corp.example.com";
    controller.modify(&change(&staff("Alice"), rename));
    until("she has another name", || reader.user_at("alice.b").filter(|who| who.guid == alice));
    let moved = format!(
        "modrdn\nnewrdn: CN=Alice B\ndeleteoldrdn: 1\nnewsuperior: OU=Dept01,{}",
        Controller::BASE
    );
    controller.modify(&change(&staff("Alice"), &moved));
    let place = |dn: &str| {
        let directory = reader.book.directory.lock().unwrap();
        directory.profile(alice).is_some_and(|profile| profile.dn.ends_with(dn)).then_some(())
    };
    until("she is somewhere else", || place("CN=Alice B,OU=Dept01,DC=corp,DC=example,DC=com"));
    let now = format!("CN=Alice B,OU=Dept01,{}", Controller::BASE);
    let disable = "modify\nreplace: userAccountControl\nuserAccountControl: 546";
    controller.modify(&change(&now, disable));
    until("she is switched off", || {
        reader.user_at("alice.b").filter(|who| who.state == directory::AccountState::Disabled)
    });
    controller.modify(&change(&now, "delete"));
    until("she is gone", || reader.user_at("alice.b").is_none().then_some(()));
    controller.undelete(&alice.to_string(), &now);
    until("she is back", || reader.user_at("alice.b").filter(|who| who.guid == alice));
}

#[test]
fn dirsync_delivers_the_same_changes() {
    let Some(controller) = Controller::start("dirsync_delivers_the_same_changes") else { return };
    let reader =
        Reader::start(&controller, &format!("{SEES_DELETIONS}change_tracking = \"dirsync\"\n"));
    reader.until_read();
    everything_is_there(&reader);
    everything_is_heard(&controller, &reader);
    assert_eq!(reader.wholes(), 1, "nothing was read twice");
}

#[test]
fn a_stopped_or_restored_controller_leaves_no_gap() {
    let story = "a_stopped_or_restored_controller_leaves_no_gap";
    let Some(controller) = Controller::start(story) else { return };
    let reader = Reader::start(&controller, SEALED);
    reader.until_read();
    controller.stop();
    until("it is noticed", || (reader.status().state == DirectoryState::Failing).then_some(()));
    assert!(reader.user_at("bob").is_some(), "what is known stays in force");
    assert!(reader.status().error.is_some());
    controller.start_again();
    until("it is read again", || (reader.status().state == DirectoryState::Current).then_some(()));
    assert_eq!(reader.wholes(), 1, "the same server goes on where it was");
    controller.modify(&change(&staff("Bob"), "delete"));
    until("an ordinary account counts, and bob is gone", || {
        reader.user_at("bob").is_none().then_some(())
    });
    controller.restore();
    until("everything is compared", || (reader.wholes() == 2).then_some(()));
    assert!(reader.user_at("bob").is_some(), "the copy knows him");
}
