//! A firewall with the ClearPass authentication source: its Web API accepts XML entries, strictly,
//! and its table can be read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Authority;
use super::https::{Https, Request, Response};

/// The password of its Web API.
pub(crate) const CLEARPASS_PASSWORD: &str = "canary-web-api-77d1";

/// The firewall.
pub(crate) struct ClearPass {
    server: Https,
    table: Arc<Mutex<Table>>,
}

/// The authentication table.
#[derive(Default)]
pub(crate) struct Table {
    /// The user at each address.
    pub(crate) users: BTreeMap<String, String>,
    /// The roles at each address.
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    /// The number of entries of each post.
    pub(crate) posts: Vec<usize>,
    /// Users whose entries make a whole post fail.
    pub(crate) poison: Option<String>,
    /// A body that is returned with status 200 in place of the regular reply; the post has no effect.
    pub(crate) replies: Option<String>,
}

impl ClearPass {
    /// Starts the firewall; `authority` signs its certificate.
    pub(crate) fn start(authority: &Authority) -> Self {
        let table: Arc<Mutex<Table>> = Arc::default();
        let own = Arc::clone(&table);
        let server = Https::start(&authority.named("clearpass"), move |request| {
            let mut table = own.lock().unwrap_or_else(PoisonError::into_inner);
            match table.replies.clone() {
                Some(body) => Response { status: 200, body },
                None => Response { status: table.post(request), body: String::new() },
            }
        });
        Self { server, table }
    }

    /// The section that makes Rollcall push to it.
    pub(crate) fn section(&self, more: &str) -> String {
        let url = self.server.url();
        format!(
            "[[push.srx_web_api]]\nname = \"lab-fw\"\nurl = \"{url}\"\nca = \"ca.crt\"\n\
             user = \"rollcall\"\npassword_file = \"lab-fw.password\"\ninitial_backoff = \"20ms\"\n\
             max_backoff = \"200ms\"\n{more}\n"
        )
    }

    /// Its table.
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its HTTPS server.
    pub(crate) fn server(&self) -> &Https {
        &self.server
    }
}

impl Table {
    fn post(&mut self, request: &Request) -> u16 {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/api/userfw/v1/post-entry")
        );
        assert_eq!(request.headers["content-type"], "application/xml");
        let basic = format!("Basic {}", STANDARD.encode(format!("rollcall:{CLEARPASS_PASSWORD}")));
        if request.headers.get("authorization") != Some(&basic) {
            return 401;
        }
        let text = std::str::from_utf8(&request.body).expect("XML is UTF-8");
        let entries = read(text);
        let poisoned = |entry: &Entry| self.poison.is_some() && entry.user == self.poison;
        if entries.iter().any(poisoned) {
            return 400;
        }
        self.posts.push(entries.len());
        for Entry { address, operation, user, roles } in entries {
            match operation.as_str() {
                "logon" => {
                    assert!(roles.len() <= 200, "{} roles", roles.len());
                    self.users.insert(address.clone(), user.unwrap_or_default());
                    self.roles.insert(address, roles);
                }
                "logoff" => {
                    self.users.remove(&address);
                    self.roles.remove(&address);
                }
                other => panic!("operation {other:?}"),
            }
        }
        200
    }
}

#[derive(Default)]
struct Entry {
    address: String,
    operation: String,
    user: Option<String>,
    roles: Vec<String>,
}

/// Parses the document tag by tag; panics on anything outside the schema.
fn read(text: &str) -> Vec<Entry> {
    const KNOWN: [&str; 15] = [
        "userfw-entries",
        "userfw-entry",
        "source",
        "timestamp",
        "operation",
        "IP",
        "domain",
        "user",
        "role-list",
        "role",
        "posture",
        "end-user-attribute",
        "device-identity",
        "value",
        "groups",
    ];
    let text =
        text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    let (mut open, mut entries, mut content) = (Vec::<&str>::new(), Vec::new(), String::new());
    let mut rest = text.trim();
    while let Some(after) = rest.strip_prefix('<') {
        let (tag, after) = after.split_once('>').expect("a tag ends");
        match tag.strip_prefix('/') {
            None => {
                assert!(KNOWN.contains(&tag), "no element {tag:?} in the model");
                open.push(tag);
                if tag == "userfw-entry" {
                    assert_eq!(open, ["userfw-entries", "userfw-entry"]);
                    entries.push(Entry::default());
                }
            }
            Some(tag) => {
                assert_eq!(open.pop(), Some(tag), "closed in another order");
                let value = unescaped(&content);
                if let Some(entry) = entries.last_mut() {
                    match tag {
                        "IP" => entry.address = value,
                        "operation" => entry.operation = value,
                        "user" => entry.user = Some(value),
                        "role" => entry.roles.push(value),
                        "timestamp" => drop(value.parse::<jiff::Timestamp>().expect("RFC 3339")),
                        _ => {}
                    }
                }
            }
        }
        let end = after.find('<').unwrap_or(after.len());
        after[..end].clone_into(&mut content);
        rest = &after[end..];
    }
    assert!(rest.is_empty() && open.is_empty(), "not whole: {rest:?} {open:?}");
    entries
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
