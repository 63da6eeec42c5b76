//! Servers that answer as no server should. That real ones are understood, the stories with a real
//! domain controller show.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use ldap3::asn1::{ASNTag, OctetString, Sequence, Tag, TagClass};
use proptest::prelude::*;
use rollcall_config::{DirectoryLimits, Environment};
use rollcall_identity::directory::{Guid, Object};
use rollcall_wire::active_directory as wire;
use rollcall_wire::ldap::{
    BerError, BerReader, Filter, SearchRequest, element, frame_length, integer, octets,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::connection::LdapConnection;
use super::server::DirectoryServer;
use super::sync::PagedSearch;
use super::transport::Transport;
use super::*;
use crate::remote::{AuthAttempt, FailureStage, RemoteError};
use crate::windows::sspi::Channel;

/// A directory with limits that a test reaches.
fn settings() -> config::ActiveDirectory {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[active_directory]]\nname = \"corp\"\ndomain = \"x.org\"\naccount = \"a@x.org\"\n\
                transport = \"ldap\"\nallow_clear_text = true\nsecret_env = \"PASSWORD\"\n";
    let file = folder.path().join("rollcall.toml");
    std::fs::write(&file, text).unwrap();
    let variable = |name: &str| (name == "PASSWORD").then(|| "canary".to_owned());
    let environment = Environment::new(variable, jiff::tz::TimeZone::UTC);
    let file: &Path = &file;
    let mut settings = rollcall_config::load(Some(file), &environment).unwrap();
    let limits =
        DirectoryLimits { objects: 100, answer: Duration::from_secs(5), ..Default::default() };
    config::ActiveDirectory { limits, ..settings.active_directory.remove(0) }
}

async fn attempt(settings: &config::ActiveDirectory) -> AuthAttempt {
    let guard = AccountGuard::default();
    let account = guard.account(&settings.account, None, settings.limits.credential_retry);
    account.begin().await.unwrap()
}

fn server() -> DirectoryServer {
    DirectoryServer { host: "dc1".into(), address: [127, 0, 0, 1].into(), rank: 0 }
}

/// What a search asks: its number, its base, and all of it as it was sent.
struct Asked {
    id: u64,
    base: String,
    sent: Vec<u8>,
}

fn message(id: u64, body: &[u8]) -> Vec<u8> {
    element(0x30, &[&integer(2, id), body])
}

fn outcome(tag: u8, code: u64) -> Vec<u8> {
    element(tag, &[&integer(10, code), &octets(b""), &octets(b"as it is told")])
}

/// The end of a search, with the cookie of another page.
fn page_end(id: u64, cookie: &[u8]) -> Vec<u8> {
    let value = element(0x30, &[&integer(2, 0), &octets(cookie)]);
    let control = element(0x30, &[&octets(b"1.2.840.113556.1.4.319"), &octets(&value)]);
    element(0x30, &[&integer(2, id), &outcome(0x65, 0), &element(0xa0, &[&control])])
}

fn entry(id: u64, dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, values)| {
            let values: Vec<u8> = values.iter().flat_map(|value| octets(value)).collect();
            element(0x30, &[&octets(name.as_bytes()), &element(0x31, &[&values])])
        })
        .collect();
    let list = element(0x30, &[&attributes]);
    message(id, &element(0x64, &[&octets(dn.as_bytes()), &list]))
}

fn root(id: u64) -> Vec<u8> {
    let attributes: [(&str, &[&[u8]]); 5] = [
        ("defaultNamingContext", &[b"DC=x,DC=org"]),
        ("configurationNamingContext", &[b"CN=Configuration,DC=x,DC=org"]),
        ("dsServiceName", &[b"CN=NTDS Settings,CN=DC1"]),
        ("dnsHostName", &[b"dc1.x.org"]),
        ("highestCommittedUSN", &[b"41"]),
    ];
    [entry(id, "", &attributes), message(id, &outcome(0x65, 0))].concat()
}

/// Reads requests, lets everybody in, and answers searches as `answer` says; how many bytes of it
/// were `taken` is counted.
async fn serve(
    mut stream: DuplexStream,
    mut answer: impl FnMut(Asked) -> Vec<u8>,
    taken: &Cell<usize>,
) {
    let mut bytes = Vec::new();
    loop {
        let length = match frame_length(&bytes).unwrap() {
            Some(length) if length <= bytes.len() => length,
            _ => match stream.read_buf(&mut bytes).await {
                Ok(1..) => continue,
                _ => return,
            },
        };
        let request: Vec<u8> = bytes.drain(..length).collect();
        let mut request = BerReader::new(&request).within(0x30).unwrap();
        let id = request.number(2).unwrap();
        let (tag, body) = request.any().unwrap();
        let answered = match tag {
            0x60 => message(id, &outcome(0x61, 0)),
            0x63 => {
                let base = BerReader::new(body).tagged(4).unwrap();
                let base = String::from_utf8(base.to_vec()).unwrap();
                if base.is_empty() {
                    root(id)
                } else {
                    answer(Asked { id, base, sent: body.to_vec() })
                }
            }
            _ => return,
        };
        for part in answered.chunks(1024) {
            if stream.write_all(part).await.is_err() {
                return;
            }
            taken.set(taken.get() + part.len());
        }
    }
}

/// Reads everything of a server that answers so.
fn read_all(
    settings: &config::ActiveDirectory,
    answer: impl FnMut(Asked) -> Vec<u8>,
) -> Result<Vec<Update>, DirectoryError> {
    read_counted(settings, answer, &Cell::new(0))
}

fn read_counted(
    settings: &config::ActiveDirectory,
    answer: impl FnMut(Asked) -> Vec<u8>,
    taken: &Cell<usize>,
) -> Result<Vec<Update>, DirectoryError> {
    read_these(
        settings,
        &wire::all_objects("DC=x,DC=org", wire::MailAttribute::Skip),
        answer,
        taken,
    )
}

/// Reads what `asked` finds.
fn read_these(
    settings: &config::ActiveDirectory,
    asked: &SearchRequest,
    answer: impl FnMut(Asked) -> Vec<u8>,
    taken: &Cell<usize>,
) -> Result<Vec<Update>, DirectoryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(4096);
        let reading = async {
            let wire = Transport::new(ours, settings.limits.answer);
            let reached = (wire, Channel::Clear);
            let limit = settings.limits.connect;
            let mut connection =
                LdapConnection::open(settings, &attempt(settings).await, reached, server(), limit)
                    .await?;
            let mut pass = PagedSearch::new(settings);
            let mut updates = Vec::new();
            pass.pages(&mut connection, asked, &[], |update| updates.push(update)).await?;
            for (group, added) in pass.remaining_members(&mut connection).await? {
                updates.push(Update::MembersChanged { group, added, removed: Vec::new() });
            }
            Ok(updates)
        };
        let served = async {
            serve(theirs, answer, taken).await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            read = reading => read,
            never = served => match never {},
        }
    })
}

#[test]
fn a_directory_that_answers_for_ever_is_cut() {
    let failure = read_all(&settings(), |asked| page_end(asked.id, b"more")).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "stopped after 100 objects and members: the directory exceeds a limit of \
        [active_directory.limits]"
    );
    let failure = read_all(&settings(), |asked| entry(asked.id, "CN=a", &[]).repeat(200));
    assert!(matches!(failure, Err(DirectoryError::Endless(_))), "{failure:?}");
}

#[test]
fn a_group_whose_rest_begins_again_and_again_ends() {
    let group = |id, range: &str| {
        entry(
            id,
            "CN=g,DC=x,DC=org",
            &[
                ("objectClass", &[b"group"]),
                ("objectGUID", &[&[7; 16]]),
                ("sAMAccountName", &[b"g"]),
                (range, &[b"<GUID=01010101010101010101010101010101>;CN=m,DC=x"]),
            ],
        )
    };
    let read = read_all(&settings(), |asked| {
        let end = page_end(asked.id, b"");
        match asked.base.as_str() {
            "DC=x,DC=org" => [group(asked.id, "member;range=0-1"), end].concat(),
            _ => [group(asked.id, "member;range=2-1"), end].concat(),
        }
    });
    let updates = read.unwrap();
    assert!(
        matches!(&updates[1], Update::MembersChanged { added, .. } if added.len() == 1),
        "{updates:?}"
    );
}

/// A real server cannot tell result 4 here: Samba 4.17 takes MaxPageSize, MaxResultSetSize and the size
/// limit of a search and heeds none of them, but ends with it one page of more than 256 MiB
/// (`LDAP_SERVER_MAX_REPLY_SIZE`), which is a million members of groups. MaxQueryDuration it heeds:
/// `a_search_aborted_by_the_controller_is_reported_and_retried`.
#[test]
fn what_ends_a_search_is_told_in_words() {
    for (code, words) in [
        (4, "a limit of the server ended the search"),
        (10, "the server rejected the request (result 10"),
        (50, "the account has no right to read this"),
        (51, "the server is busy"),
    ] {
        let failure = read_all(&settings(), |asked| message(asked.id, &outcome(0x65, code)));
        let text = failure.unwrap_err().to_string();
        assert!(text.contains(words) && text.contains("DC=x,DC=org"), "{text}");
        assert!(!text.contains("canary"));
    }
    let closed = read_all(&settings(), |_| message(0, &outcome(0x78, 52))).unwrap_err();
    assert!(matches!(closed, DirectoryError::Closed(_)), "{closed}");
    let unpaged = read_all(&settings(), |asked| message(asked.id, &outcome(0x65, 0))).unwrap_err();
    assert!(matches!(unpaged, DirectoryError::Control(_)), "{unpaged}");
    let long = read_all(&settings(), |_| vec![0x30, 0x84, 0x7f, 0, 0, 0]).unwrap_err();
    assert!(matches!(long, DirectoryError::Protocol(BerError::TooLong)), "{long}");
    let mut hasty = settings();
    hasty.limits.answer = Duration::from_millis(50);
    let silent = read_all(&hasty, |_| Vec::new()).unwrap_err();
    assert!(matches!(silent, DirectoryError::Silent(_)), "{silent}");
}

/// The server is never silent, and never says anything whole.
#[test]
fn a_server_that_does_not_let_in_is_left_in_time() {
    let mut hasty = settings();
    hasty.limits.connect = Duration::from_millis(200);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let failure = runtime.block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let dripping = async {
            // The head of a message of 1 MiB, and then a byte at a time.
            theirs.write_all(&[0x30, 0x83, 0x10, 0, 0]).await.unwrap();
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if theirs.write_all(&[0]).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let reached = (Transport::new(ours, hasty.limits.answer), Channel::Clear);
        let attempt = attempt(&hasty).await;
        tokio::select! {
            opened = LdapConnection::open(&hasty, &attempt, reached, server(), hasty.limits.connect) => {
                opened.err().expect("it never lets anybody in")
            }
            () = dripping => unreachable!("it drips for ever"),
        }
    });
    assert_eq!(failure.stage(), FailureStage::Credentials);
    let text = failure.to_string();
    assert!(
        text.contains("dc1")
            && text.contains("did not complete the authentication of a@x.org within 200ms"),
        "{text}"
    );
    assert_eq!(DirectoryLimits::default().connect, Duration::from_secs(10));
}

#[test]
fn references_are_not_followed_and_do_not_end_the_search() {
    let read = read_all(&settings(), |asked| {
        let reference = message(asked.id, &element(0x73, &[&octets(b"ldap://elsewhere/")]));
        let user = entry(
            asked.id,
            "CN=a,DC=x,DC=org",
            &[
                ("objectClass", &[b"user"]),
                ("objectGUID", &[&[7; 16]]),
                ("sAMAccountName", &[b"a"]),
            ],
        );
        [reference, user, page_end(asked.id, b"")].concat()
    });
    assert_eq!(read.unwrap().len(), 1);
}

#[test]
fn references_without_end_are_cut() {
    let read = read_all(&settings(), |asked| {
        message(asked.id, &element(0x73, &[&octets(b"ldap://elsewhere/")])).repeat(10_001)
    });
    assert!(matches!(read, Err(DirectoryError::Endless(_))), "{read:?}");
}

#[test]
fn what_the_library_would_not_survive_does_not_reach_it() {
    let deep = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| element(0x30, &[&inner]));
    let bad = element(0x65, &[&integer(10, 0), &octets(b""), &octets(&[0xff])]);
    for (answer, why) in [
        (element(0x64, &[&deep]), BerError::TooDeep),
        (element(0x65, &[]), BerError::Truncated),
        (element(0x61, &[&integer(10, 0), &octets(b""), &octets(b"")]), BerError::Unsolicited),
        (element(0x79, &[]), BerError::Unsolicited),
        (bad, BerError::Text),
    ] {
        let failure = read_all(&settings(), |asked| message(asked.id, &answer)).unwrap_err();
        assert!(matches!(&failure, DirectoryError::Protocol(found) if *found == why), "{failure}");
    }
    let other = read_all(&settings(), |asked| message(asked.id + 1, &outcome(0x65, 0)));
    assert!(matches!(other, Err(DirectoryError::Protocol(BerError::Unsolicited))), "{other:?}");
}

#[test]
fn a_message_beyond_all_buffers_is_read_whole() {
    let members: Vec<Vec<u8>> = (0..20_000)
        .map(|n| format!("<GUID={n:032x}>;CN=somebody,{},DC=x", "OU=y,".repeat(20)).into_bytes())
        .collect();
    let members: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
    let group = |id| {
        let attributes: [(&str, &[&[u8]]); 4] = [
            ("objectClass", &[b"group"]),
            ("objectGUID", &[&[7; 16]]),
            ("sAMAccountName", &[b"g"]),
            ("member", &members),
        ];
        entry(id, "CN=g,DC=x,DC=org", &attributes)
    };
    let mut patient = settings();
    patient.limits.objects = 1_000_000;
    let answer = |asked: Asked| [group(asked.id).repeat(3), page_end(asked.id, b"")].concat();
    let updates = read_all(&patient, answer).unwrap();
    let count = |update: &Update| match update {
        Update::Upsert { object: Object::Group { members, .. }, .. } => members.len(),
        _ => 0,
    };
    assert_eq!(updates.iter().map(count).collect::<Vec<_>>(), [20_000; 3]);
}

#[test]
fn a_directory_is_not_read_faster_than_it_is_understood() {
    const UNDERSTOOD: usize = 20_000;
    let dn = format!("CN={}", "a".repeat(200));
    let length = entry(9, &dn, &[]).len();
    let mut patient = settings();
    patient.limits.objects = UNDERSTOOD;
    let taken = Cell::new(0);
    let answer = |asked: Asked| entry(asked.id, &dn, &[]).repeat(5 * UNDERSTOOD);
    let failure = read_counted(&patient, answer, &taken);
    assert!(matches!(failure, Err(DirectoryError::Endless(_))), "{failure:?}");
    // What lies in buffers in between is some 300 KiB, however much there is.
    let ahead = taken.get() - UNDERSTOOD * length;
    assert!(ahead < 1 << 20, "{ahead} bytes ahead of {}", taken.get());
}

#[test]
fn what_is_searched_for_is_sent_as_it_is_meant() {
    let strange = [0, b'*', b'(', b')', b'\\', 0xff, b' ', b'~', b'<', b'='];
    let guids = [Guid([0x2a; 16]), Guid([0x5c; 16]), Guid(std::array::from_fn(|n| n as u8))];
    let equal =
        |name: &str, value: &[u8]| element(0xa3, &[&octets(name.as_bytes()), &octets(value)]);
    let changed = element(0xa5, &[&octets(b"uSNChanged"), &octets(b"42")]);
    let wanted = element(0xa1, &[&equal("objectClass", b"user"), &equal("objectClass", b"group")]);
    let these: Vec<u8> = guids.iter().flat_map(|guid| equal("objectGUID", &guid.0)).collect();
    let strangely = SearchRequest {
        filter: Filter::Not(Box::new(Filter::Equal("cn", strange.to_vec()))),
        ..wire::change_notification("DC=x,DC=org")
    };
    for (asked, filter) in [
        (wire::change_notification("DC=x,DC=org"), element(0x87, &[b"objectClass"])),
        (wire::changed_since("DC=x,DC=org", 41, wire::MailAttribute::Skip), {
            element(0xa0, &[&changed, &wanted])
        }),
        (
            wire::by_guids("DC=x,DC=org", &guids, wire::MailAttribute::Skip),
            element(0xa1, &[&these]),
        ),
        (strangely, element(0xa2, &[&equal("cn", &strange)])),
    ] {
        let mut sent = Vec::new();
        let answer = |search: Asked| {
            sent = search.sent;
            page_end(search.id, b"")
        };
        read_these(&settings(), &asked, answer, &Cell::new(0)).unwrap();
        let names: Vec<u8> = asked.attributes.iter().flat_map(|n| octets(n.as_bytes())).collect();
        // Below the base and with it, no aliases, no limits, values as well as names.
        let fixed = b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00";
        let expected = [&octets(b"DC=x,DC=org"), &fixed[..], &filter, &element(0x30, &[&names])];
        assert_eq!(sent, expected.concat(), "{}", asked.filter);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_server_answers_ends_in_words(bytes: Vec<u8>, tag in prop::sample::select(vec![0x64u8, 0x65, 0x73, 0x78])) {
        let mut hasty = settings();
        hasty.limits.answer = Duration::from_millis(20);
        let _ = read_all(&hasty, |_| bytes.clone());
        let whole = |asked: Asked| {
            let message = message(asked.id, &element(tag, &[&bytes]));
            [message, page_end(asked.id, b"")].concat()
        };
        let _ = read_all(&hasty, whole);
    }

    #[test]
    fn no_value_becomes_a_part_of_a_filter(value: Vec<u8>) {
        let written = Filter::Equal("cn", value.clone()).to_string();
        let read = ldap3::parse_filter(&written).map(ASNTag::into_structure);
        let octets = |inner: &[u8]| OctetString { inner: inner.to_vec(), ..Default::default() };
        let parts = [octets(b"cn"), octets(&value)].map(Tag::OctetString);
        let equal = Sequence { id: 3, class: TagClass::Context, inner: parts.to_vec() };
        prop_assert_eq!(read, Ok(equal.into_structure()));
    }
}
