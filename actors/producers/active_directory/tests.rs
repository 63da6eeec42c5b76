//! Servers that answer as no server should. That real ones are understood, the stories with a real
//! domain controller show.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rollcall_config::{DirectoryLimits, Environment};
use rollcall_wire::active_directory as wire;
use rollcall_wire::ldap::{BadBer, Message, Reader, element, frame_length, integer, octets};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::connection::Connection;
use super::reading::Pass;
use super::servers::Server;
use super::wire::Wire;
use super::*;
use crate::proof::Beneath;

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

fn server() -> Server {
    Server { host: "dc1".into(), address: [127, 0, 0, 1].into(), rank: 0 }
}

/// What a search asks: its number and its base.
struct Asked {
    id: u64,
    base: String,
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

/// Reads requests, lets everybody in, and answers searches as `answer` says.
async fn serve(mut stream: DuplexStream, mut answer: impl FnMut(Asked) -> Vec<u8>) {
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
        let mut request = Reader::new(&request).within(0x30).unwrap();
        let id = request.number(2).unwrap();
        let (tag, body) = request.any().unwrap();
        let answered = match tag {
            0x60 => message(id, &outcome(0x61, 0)),
            0x63 => {
                let base = Reader::new(body).tagged(4).unwrap();
                let base = String::from_utf8(base.to_vec()).unwrap();
                if base.is_empty() { root(id) } else { answer(Asked { id, base }) }
            }
            _ => return,
        };
        if stream.write_all(&answered).await.is_err() {
            return;
        }
    }
}

/// Reads everything of a server that answers so.
fn read_all(
    settings: &config::ActiveDirectory,
    answer: impl FnMut(Asked) -> Vec<u8>,
) -> Result<Vec<Update>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(4096);
        let reading = async {
            let wire = Wire::new(ours, settings.limits.answer);
            let mut connection = Connection::over(settings, wire, Beneath::Clear, server()).await?;
            let mut pass = Pass::new(settings);
            let mut updates = Vec::new();
            let asked = wire::everything("DC=x,DC=org", wire::Mail::Left);
            pass.pages(&mut connection, &asked, &[], |update| updates.push(update)).await?;
            for (group, added) in pass.rest_of_groups(&mut connection).await? {
                updates.push(Update::Linked { group, added, removed: Vec::new() });
            }
            Ok(updates)
        };
        let served = async {
            serve(theirs, answer).await;
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
        "cut after 100 objects and members: the directory answers on \
        and on; see [active_directory.limits]"
    );
    let failure = read_all(&settings(), |asked| entry(asked.id, "CN=a", &[]).repeat(200));
    assert!(matches!(failure, Err(Failure::Endless(_))), "{failure:?}");
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
    assert!(matches!(&updates[1], Update::Linked { added, .. } if added.len() == 1), "{updates:?}");
}

#[test]
fn what_ends_a_search_is_told_in_words() {
    for (code, words) in [
        (4, "the server's own limit ended the search"),
        (10, "the server refuses (result 10"),
        (50, "the account has no right to read this"),
        (51, "the server has too much to do"),
    ] {
        let failure = read_all(&settings(), |asked| message(asked.id, &outcome(0x65, code)));
        let text = failure.unwrap_err().to_string();
        assert!(text.contains(words) && text.contains("DC=x,DC=org"), "{text}");
        assert!(!text.contains("canary"));
    }
    let closed = read_all(&settings(), |_| message(0, &outcome(0x78, 52))).unwrap_err();
    assert!(matches!(closed, Failure::Closed(_)), "{closed}");
    let unpaged = read_all(&settings(), |asked| message(asked.id, &outcome(0x65, 0))).unwrap_err();
    assert!(matches!(unpaged, Failure::Control(_)), "{unpaged}");
    let long = read_all(&settings(), |_| vec![0x30, 0x84, 0x7f, 0, 0, 0]).unwrap_err();
    assert!(matches!(long, Failure::Protocol(BadBer::Long)), "{long}");
    let mut hasty = settings();
    hasty.limits.answer = Duration::from_millis(50);
    let silent = read_all(&hasty, |_| Vec::new()).unwrap_err();
    assert!(matches!(silent, Failure::Silent(_)), "{silent}");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_server_answers_ends_in_words(bytes: Vec<u8>, tag in prop::sample::select(vec![0x64u8, 0x65, 0x73, 0x78])) {
        let mut hasty = settings();
        hasty.limits.answer = Duration::from_millis(20);
        let _ = read_all(&hasty, |_| bytes.clone());
        let whole = |asked: Asked| {
            let message = message(asked.id, &element(tag, &[&bytes]));
            let _ = Message::parse(&message);
            [message, page_end(asked.id, b"")].concat()
        };
        let _ = read_all(&hasty, whole);
    }
}
