//! Tests with misbehaving servers. The stories in `tests/active_directory` use a real domain
//! controller.

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

/// A directory with low limits.
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
    let limits = DirectoryLimits {
        max_objects: 100,
        response_timeout: Duration::from_secs(5),
        ..Default::default()
    };
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

/// A received search request: its message ID, its base, and its encoding.
struct SearchSent {
    id: u64,
    base: String,
    sent: Vec<u8>,
}

fn message(id: u64, body: &[u8]) -> Vec<u8> {
    element(0x30, &[&integer(2, id), body])
}

fn outcome(tag: u8, code: u64) -> Vec<u8> {
    element(tag, &[&integer(10, code), &octets(b""), &octets(b"diagnostic")])
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

/// Accepts every bind, and responds to searches with `answer`. `sent_bytes` counts the bytes of the
/// responses that were sent.
async fn serve(
    mut stream: DuplexStream,
    mut answer: impl FnMut(SearchSent) -> Vec<u8>,
    sent_bytes: &Cell<usize>,
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
        let response = match tag {
            0x60 => message(id, &outcome(0x61, 0)),
            0x63 => {
                let base = BerReader::new(body).tagged(4).unwrap();
                let base = String::from_utf8(base.to_vec()).unwrap();
                if base.is_empty() {
                    root(id)
                } else {
                    answer(SearchSent { id, base, sent: body.to_vec() })
                }
            }
            _ => return,
        };
        for part in response.chunks(1024) {
            if stream.write_all(part).await.is_err() {
                return;
            }
            sent_bytes.set(sent_bytes.get() + part.len());
        }
    }
}

/// Runs a full read against a server that responds with `answer`.
fn read_all(
    settings: &config::ActiveDirectory,
    answer: impl FnMut(SearchSent) -> Vec<u8>,
) -> Result<Vec<Update>, DirectoryError> {
    read_counted(settings, answer, &Cell::new(0))
}

fn read_counted(
    settings: &config::ActiveDirectory,
    answer: impl FnMut(SearchSent) -> Vec<u8>,
    sent_bytes: &Cell<usize>,
) -> Result<Vec<Update>, DirectoryError> {
    read_these(
        settings,
        &wire::all_objects("DC=x,DC=org", wire::MailAttribute::Skip),
        answer,
        sent_bytes,
    )
}

/// Runs the search `search`.
fn read_these(
    settings: &config::ActiveDirectory,
    search: &SearchRequest,
    answer: impl FnMut(SearchSent) -> Vec<u8>,
    sent_bytes: &Cell<usize>,
) -> Result<Vec<Update>, DirectoryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(4096);
        let reading = async {
            let wire = Transport::new(ours, settings.limits.response_timeout);
            let connected = (wire, Channel::Clear);
            let limit = settings.limits.connect_timeout;
            let mut connection = LdapConnection::open(
                settings,
                &attempt(settings).await,
                connected,
                server(),
                limit,
            )
            .await?;
            let mut pass = PagedSearch::new(settings);
            let mut updates = Vec::new();
            pass.pages(&mut connection, search, &[], |update| updates.push(update)).await?;
            for (group, added) in pass.remaining_members(&mut connection).await? {
                updates.push(Update::MembersChanged { group, added, removed: Vec::new() });
            }
            Ok(updates)
        };
        let served = async {
            serve(theirs, answer, sent_bytes).await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            read = reading => read,
            never = served => match never {},
        }
    })
}

#[test]
fn an_endless_directory_is_cut() {
    let failure = read_all(&settings(), |search| page_end(search.id, b"more")).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "stopped after 100 objects and members: the directory exceeds a limit of \
        [active_directory.limits]"
    );
    let failure = read_all(&settings(), |search| entry(search.id, "CN=a", &[]).repeat(200));
    assert!(matches!(failure, Err(DirectoryError::Endless(_))), "{failure:?}");
}

#[test]
fn a_group_with_endless_member_ranges_is_cut() {
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
    let read = read_all(&settings(), |search| {
        let end = page_end(search.id, b"");
        match search.base.as_str() {
            "DC=x,DC=org" => [group(search.id, "member;range=0-1"), end].concat(),
            _ => [group(search.id, "member;range=2-1"), end].concat(),
        }
    });
    let updates = read.unwrap();
    assert!(
        matches!(&updates[1], Update::MembersChanged { added, .. } if added.len() == 1),
        "{updates:?}"
    );
}

/// No real server here returns result 4: Samba 4.17 accepts MaxPageSize, MaxResultSetSize and the size
/// limit of a search and enforces none of them. It returns result 4 only for a page of more than 256 MiB
/// (`LDAP_SERVER_MAX_REPLY_SIZE`), which is a million members of groups. It enforces MaxQueryDuration:
/// `a_search_aborted_by_the_controller_is_reported_and_retried`.
#[test]
fn errors_that_end_a_search_are_described() {
    for (code, words) in [
        (4, "a limit of the server ended the search"),
        (10, "the server rejected the request (result 10"),
        (50, "the account has no right to read this"),
        (51, "the server is busy"),
    ] {
        let failure = read_all(&settings(), |search| message(search.id, &outcome(0x65, code)));
        let text = failure.unwrap_err().to_string();
        assert!(text.contains(words) && text.contains("DC=x,DC=org"), "{text}");
        assert!(!text.contains("canary"));
    }
    let closed = read_all(&settings(), |_| message(0, &outcome(0x78, 52))).unwrap_err();
    assert!(matches!(closed, DirectoryError::Closed(_)), "{closed}");
    let unpaged =
        read_all(&settings(), |search| message(search.id, &outcome(0x65, 0))).unwrap_err();
    assert!(matches!(unpaged, DirectoryError::Control(_)), "{unpaged}");
    let long = read_all(&settings(), |_| vec![0x30, 0x84, 0x7f, 0, 0, 0]).unwrap_err();
    assert!(matches!(long, DirectoryError::Protocol(BerError::TooLong)), "{long}");
    let mut impatient = settings();
    impatient.limits.response_timeout = Duration::from_millis(50);
    let silent = read_all(&impatient, |_| Vec::new()).unwrap_err();
    assert!(matches!(silent, DirectoryError::Silent(_)), "{silent}");
}

/// The server sends one byte after another, but no complete message.
#[test]
fn a_bind_that_does_not_complete_times_out() {
    let mut impatient = settings();
    impatient.limits.connect_timeout = Duration::from_millis(200);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let failure = runtime.block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let trickle = async {
            // The header of a message of 1 MiB, then a byte at a time.
            theirs.write_all(&[0x30, 0x83, 0x10, 0, 0]).await.unwrap();
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if theirs.write_all(&[0]).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let connected = (Transport::new(ours, impatient.limits.response_timeout), Channel::Clear);
        let attempt = attempt(&impatient).await;
        tokio::select! {
            opened = LdapConnection::open(&impatient, &attempt, connected, server(), impatient.limits.connect_timeout) => {
                opened.err().expect("the bind does not complete")
            }
            () = trickle => unreachable!("the server sends without end"),
        }
    });
    assert_eq!(failure.stage(), FailureStage::Credentials);
    let text = failure.to_string();
    assert!(
        text.contains("dc1")
            && text.contains("did not complete the authentication of a@x.org within 200ms"),
        "{text}"
    );
    assert_eq!(DirectoryLimits::default().connect_timeout, Duration::from_secs(10));
}

#[test]
fn referrals_are_not_followed_and_do_not_end_the_search() {
    let read = read_all(&settings(), |search| {
        let reference = message(search.id, &element(0x73, &[&octets(b"ldap://elsewhere/")]));
        let user = entry(
            search.id,
            "CN=a,DC=x,DC=org",
            &[
                ("objectClass", &[b"user"]),
                ("objectGUID", &[&[7; 16]]),
                ("sAMAccountName", &[b"a"]),
            ],
        );
        [reference, user, page_end(search.id, b"")].concat()
    });
    assert_eq!(read.unwrap().len(), 1);
}

#[test]
fn endless_referrals_are_cut() {
    let read = read_all(&settings(), |search| {
        message(search.id, &element(0x73, &[&octets(b"ldap://elsewhere/")])).repeat(10_001)
    });
    assert!(matches!(read, Err(DirectoryError::Endless(_))), "{read:?}");
}

#[test]
fn malformed_messages_do_not_reach_the_library() {
    let deep = (0..1000).fold(Vec::new(), |inner: Vec<u8>, _| element(0x30, &[&inner]));
    let bad = element(0x65, &[&integer(10, 0), &octets(b""), &octets(&[0xff])]);
    for (answer, why) in [
        (element(0x64, &[&deep]), BerError::TooDeep),
        (element(0x65, &[]), BerError::Truncated),
        (element(0x61, &[&integer(10, 0), &octets(b""), &octets(b"")]), BerError::Unsolicited),
        (element(0x79, &[]), BerError::Unsolicited),
        (bad, BerError::Text),
    ] {
        let failure = read_all(&settings(), |search| message(search.id, &answer)).unwrap_err();
        assert!(matches!(&failure, DirectoryError::Protocol(found) if *found == why), "{failure}");
    }
    let other = read_all(&settings(), |search| message(search.id + 1, &outcome(0x65, 0)));
    assert!(matches!(other, Err(DirectoryError::Protocol(BerError::Unsolicited))), "{other:?}");
}

#[test]
fn a_message_larger_than_all_buffers_is_read() {
    let members: Vec<Vec<u8>> = (0..20_000)
        .map(|n| format!("<GUID={n:032x}>;CN=member,{},DC=x", "OU=y,".repeat(20)).into_bytes())
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
    patient.limits.max_objects = 1_000_000;
    let answer =
        |search: SearchSent| [group(search.id).repeat(3), page_end(search.id, b"")].concat();
    let updates = read_all(&patient, answer).unwrap();
    let count = |update: &Update| match update {
        Update::Upsert { object: Object::Group { members, .. }, .. } => members.len(),
        _ => 0,
    };
    assert_eq!(updates.iter().map(count).collect::<Vec<_>>(), [20_000; 3]);
}

#[test]
fn reading_is_bounded_by_processing() {
    const PROCESSED: usize = 20_000;
    let dn = format!("CN={}", "a".repeat(200));
    let length = entry(9, &dn, &[]).len();
    let mut patient = settings();
    patient.limits.max_objects = PROCESSED;
    let sent_bytes = Cell::new(0);
    let answer = |search: SearchSent| entry(search.id, &dn, &[]).repeat(5 * PROCESSED);
    let failure = read_counted(&patient, answer, &sent_bytes);
    assert!(matches!(failure, Err(DirectoryError::Endless(_))), "{failure:?}");
    // The buffers between server and reader hold about 300 KiB.
    let ahead = sent_bytes.get() - PROCESSED * length;
    assert!(ahead < 1 << 20, "{ahead} bytes ahead of {}", sent_bytes.get());
}

#[test]
fn search_requests_are_encoded_as_intended() {
    let special = [0, b'*', b'(', b')', b'\\', 0xff, b' ', b'~', b'<', b'='];
    let guids = [Guid([0x2a; 16]), Guid([0x5c; 16]), Guid(std::array::from_fn(|n| n as u8))];
    let equal =
        |name: &str, value: &[u8]| element(0xa3, &[&octets(name.as_bytes()), &octets(value)]);
    let changed = element(0xa5, &[&octets(b"uSNChanged"), &octets(b"42")]);
    let classes = element(0xa1, &[&equal("objectClass", b"user"), &equal("objectClass", b"group")]);
    let by_guid: Vec<u8> = guids.iter().flat_map(|guid| equal("objectGUID", &guid.0)).collect();
    let with_special_bytes = SearchRequest {
        filter: Filter::Not(Box::new(Filter::Equal("cn", special.to_vec()))),
        ..wire::change_notification("DC=x,DC=org")
    };
    for (search, filter) in [
        (wire::change_notification("DC=x,DC=org"), element(0x87, &[b"objectClass"])),
        (wire::changed_since("DC=x,DC=org", 41, wire::MailAttribute::Skip), {
            element(0xa0, &[&changed, &classes])
        }),
        (
            wire::by_guids("DC=x,DC=org", &guids, wire::MailAttribute::Skip),
            element(0xa1, &[&by_guid]),
        ),
        (with_special_bytes, element(0xa2, &[&equal("cn", &special)])),
    ] {
        let mut sent = Vec::new();
        let answer = |search: SearchSent| {
            sent = search.sent;
            page_end(search.id, b"")
        };
        read_these(&settings(), &search, answer, &Cell::new(0)).unwrap();
        let names: Vec<u8> = search.attributes.iter().flat_map(|n| octets(n.as_bytes())).collect();
        // Scope subtree, no alias dereferencing, no limits, attribute values included.
        let fixed = b"\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00\x01\x01\x00";
        let expected = [&octets(b"DC=x,DC=org"), &fixed[..], &filter, &element(0x30, &[&names])];
        assert_eq!(sent, expected.concat(), "{}", search.filter);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_server_response_gives_data_or_an_error(bytes: Vec<u8>, tag in prop::sample::select(vec![0x64u8, 0x65, 0x73, 0x78])) {
        let mut impatient = settings();
        impatient.limits.response_timeout = Duration::from_millis(20);
        let _ = read_all(&impatient, |_| bytes.clone());
        let whole = |search: SearchSent| {
            let message = message(search.id, &element(tag, &[&bytes]));
            [message, page_end(search.id, b"")].concat()
        };
        let _ = read_all(&impatient, whole);
    }

    #[test]
    fn no_value_changes_the_structure_of_a_filter(value: Vec<u8>) {
        let written = Filter::Equal("cn", value.clone()).to_string();
        let read = ldap3::parse_filter(&written).map(ASNTag::into_structure);
        let octets = |inner: &[u8]| OctetString { inner: inner.to_vec(), ..Default::default() };
        let parts = [octets(b"cn"), octets(&value)].map(Tag::OctetString);
        let equal = Sequence { id: 3, class: TagClass::Context, inner: parts.to_vec() };
        prop_assert_eq!(read, Ok(equal.into_structure()));
    }
}
