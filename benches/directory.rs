//! The cost of a large directory: memory, a first full read, an incremental read, a look-up.

use std::hint::black_box;
use std::io;
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::time::ClockId;
use rollcall_identity::Name;
use rollcall_identity::directory::{
    Account, AccountClass, AccountKind, AccountState, Directory, DirectorySnapshot, DomainNames,
    Guid, Member, Object, Sid, UnqualifiedNames, Update,
};

use crate::process::Answering;

/// Users, each directly in [`DIRECT`] groups.
const USERS: u32 = 100_000;

/// Groups, in [`LEVELS`] levels: each of a lower level is in one of the next.
const GROUPS: u32 = 5_000;

/// How many groups a user is in directly, all of the lowest level.
const DIRECT: u32 = 20;

/// How many different sets of groups there are where people of one department are in the same groups.
pub const SHARED: u32 = 4_000;

/// How many there are when no two users are in the same groups: the worst case.
pub const EACH: u32 = USERS;

/// How deep groups are nested.
const LEVELS: u32 = 4;

/// How many users change at once, as when a department is moved to another group.
const CHANGED: u32 = 1000;

/// The number of objects that are applied between lookups, as in the server.
const SLICE: usize = 2048;

/// A figure: what it is of, and milliseconds or bytes.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Resident memory beyond that of the empty process, in bytes.
    pub resident: f64,
    /// A whole directory, from the first update noted to the last set of groups, in seconds.
    pub first_read: f64,
    /// The longest wait of a lookup meanwhile, in milliseconds of processor time.
    pub slice: f64,
    /// The same read again, of which nothing is new, in seconds.
    pub same_read: f64,
    /// Resident memory afterwards, in bytes.
    pub resident_after: f64,
    /// A change of the groups of [`CHANGED`] users, in milliseconds.
    pub changed: f64,
    /// How long a page of the list of all users takes, in milliseconds of processor time; updates
    /// wait for it, and lookups wait for updates.
    pub listed: f64,
    /// How many different sets of groups there are.
    pub sets: f64,
}

/// Measures in a process of its own, so that nothing else is in its memory.
///
/// Users are in `sets` different sets of groups.
pub fn measure(sets: u32) -> io::Result<Cost> {
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = Answering::start(
        command.args(["hold-directory", &sets.to_string()]).stderr(Stdio::inherit()),
    )?;
    child.listen()?;
    let empty = child.running().resident()?;
    let told = child.ask()?;
    let resident = child.running().resident()? - empty;
    let figures: Vec<f64> = told.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [first_read, slice, sets] = figures[..] else { return Err(io::Error::other(told)) };
    let told = child.ask()?;
    let figures: Vec<f64> = told.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [same_read, changed, listed] = figures[..] else { return Err(io::Error::other(told)) };
    let after = child.running().resident()? - empty;
    let (resident, resident_after) = (resident as f64, after as f64);
    Ok(Cost { resident, first_read, slice, same_read, resident_after, changed, listed, sets })
}

/// The process that is measured: reads a directory, waits, and reads on, a line at a time.
pub fn hold(sets: u32) -> io::Result<()> {
    let mut lines = io::stdin().lines();
    let mut asked = || lines.next().transpose().map(|line| line.is_some());
    println!("ready");
    asked()?;
    let mut directory = Directory::default();
    let names =
        DomainNames { dns: name("corp.example.com"), netbios: name("corp"), sid: sid(None) };
    directory.put_domain(names, UnqualifiedNames::ThisDomain);
    let corp = name("corp.example.com");
    let begin = Instant::now();
    let read = |directory: &mut Directory| {
        let mut image = DirectorySnapshot::default();
        updates(sets).for_each(|update| match update {
            Update::Upsert { guid, .. } if directory.already_holds(&corp, &update) => {
                image.keep(guid)
            }
            update => image.add(update),
        });
        directory.replace(&corp, image).map_err(io::Error::other)
    };
    let mut image = DirectorySnapshot::default();
    updates(sets).for_each(|update| image.add(update));
    let (affected, slice) = entered(&mut directory, &corp, image)?;
    let took = begin.elapsed().as_secs_f64();
    println!("{took} {} {}", slice.as_secs_f64() * 1000.0, directory.group_sets());
    asked()?;
    let begin = Instant::now();
    let nobody = read(&mut directory)?.accounts.len();
    let same = begin.elapsed().as_secs_f64();
    let joined = Update::MembersChanged {
        group: guid(USERS),
        added: (0..CHANGED).map(|user| Member::Object(guid(user * (USERS / CHANGED)))).collect(),
        removed: Vec::new(),
    };
    let begin = Instant::now();
    let some = directory.apply(&corp, vec![joined]).map_err(io::Error::other)?.accounts.len();
    let changed = begin.elapsed().as_secs_f64() * 1000.0;
    if (affected, nobody) != (USERS as usize, 0) || some == 0 || some > CHANGED as usize {
        return Err(io::Error::other(format!("{affected}, {nobody} and {some} were affected")));
    }
    let begin = worked()?;
    let page =
        directory.accounts(&corp, AccountClass::Users, "", 0..100).map_err(io::Error::other)?;
    let listed = worked()?.saturating_sub(begin).as_secs_f64() * 1000.0;
    black_box(&page);
    println!("{same} {changed} {listed}");
    asked().map(|_| ())
}

/// Enters a whole domain slice by slice, as the server does: how many accounts are affected, and how
/// long the longest slice worked: on a machine with other work, the time that passes is that of the
/// others.
fn entered(
    directory: &mut Directory,
    corp: &Name,
    image: DirectorySnapshot,
) -> io::Result<(usize, Duration)> {
    let mut longest = Duration::ZERO;
    let mut entering = directory.begin_replace(corp, image).map_err(io::Error::other)?;
    loop {
        let begin = worked()?;
        let gone_on = entering.step(directory, SLICE);
        longest = longest.max(worked()?.saturating_sub(begin));
        match gone_on {
            ControlFlow::Continue(rest) => entering = rest,
            ControlFlow::Break(affected) => return Ok((affected.accounts.len(), longest)),
        }
    }
}

/// Processor time of this thread so far.
fn worked() -> io::Result<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

/// All that a first read of the directory brings, as a server does: the members of one group at a time.
fn updates(sets: u32) -> impl Iterator<Item = Update> {
    let lowest = GROUPS / LEVELS;
    let mut members = vec![Vec::new(); GROUPS as usize];
    for user in 0..USERS {
        for nth in 0..DIRECT {
            let group = mixed(user % sets * DIRECT + nth) % lowest;
            members[group as usize].push(user);
        }
    }
    for group in 0..GROUPS - lowest {
        let above = lowest * (group / lowest + 1) + mixed(group) % lowest;
        members[above as usize].push(USERS + group);
    }
    let groups = members.into_iter().zip(0..).map(|(members, number)| {
        let members = members.into_iter().map(|member| Member::Object(guid(member))).collect();
        let text = format!("Group {number} of the company");
        seen(USERS + number, &text, Object::Group { name: name(&text), members })
    });
    (0..USERS).map(user).chain(groups)
}

fn user(number: u32) -> Update {
    let (sam, display) = (format!("User{number}"), format!("Surname{number}, Given{number}"));
    let account = Account {
        kind: AccountKind::User,
        name: name(&sam),
        upn: Some(name(&format!("given{number}.surname{number}@example.com"))),
        display: Some(name(&display)),
        mail: None,
        host: None,
        system: None,
        state: AccountState::Enabled,
        primary_group: Some(513),
    };
    seen(number, &display, Object::Account(account))
}

fn seen(number: u32, text: &str, object: Object) -> Update {
    let dn = format!(
        "CN={},OU=Department,OU=People,DC=corp,DC=example,DC=com",
        text.replace(',', "\\,")
    );
    Update::Upsert {
        guid: guid(number),
        dn: dn.into(),
        sid: Some(sid(Some(1000 + number))),
        object,
    }
}

fn guid(number: u32) -> Guid {
    let mut bytes = [0; 16];
    for (part, salt) in bytes.chunks_mut(4).zip(0..) {
        part.copy_from_slice(&mixed(number ^ salt << 28).to_le_bytes());
    }
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Guid(bytes)
}

fn sid(rid: Option<u32>) -> Sid {
    let domain: Sid =
        "S-1-5-21-2871512113-613133000-3782238197".parse().expect("it is one by its form");
    rid.and_then(|rid| domain.account(rid)).unwrap_or(domain)
}

/// A number that looks like chance and is the same in each run (the finaliser of MurmurHash3).
fn mixed(number: u32) -> u32 {
    let number = (number ^ number >> 16).wrapping_mul(0x85eb_ca6b);
    let number = (number ^ number >> 13).wrapping_mul(0xc2b2_ae35);
    number ^ number >> 16
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a word of our own is a name")
}
