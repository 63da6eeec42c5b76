//! Queries of the SRX web interface (J-Web, `jims-validator`) while an administrator edits a
//! policy: whether a user, group or device exists, and lists of them.
//!
//! Juniper documents the meaning of the queries but not their syntax. A query is accepted in every
//! candidate form.

use rollcall_identity::Name;
use serde::Serialize;

use super::QueryError;
use crate::http::{AmbiguousParameter, Parameters, RequestParts};

/// The kind of the queried object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "lowercase")]
pub enum ObjectKind {
    /// Users.
    User,
    /// Groups.
    Group,
    /// Computers.
    Device,
}

/// A query of J-Web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValidatorQuery {
    /// Whether an object with this name exists.
    Exists {
        /// The kind.
        kind: ObjectKind,
        /// The name as written; may include a domain for a user.
        name: Name,
        /// The domain; `None` if not given separately.
        domain: Option<Name>,
    },
    /// A list of objects.
    List {
        /// The kind.
        kind: ObjectKind,
        /// The domain; `None` if not given.
        domain: Option<Name>,
        /// The prefix of the names.
        prefix: String,
        /// The number of names to skip.
        start: usize,
        /// The maximum number of names, 1 to [`ValidatorQuery::COUNT_LIMIT`].
        count: usize,
    },
}

impl ValidatorQuery {
    /// The maximum length of a name in J-Web, in characters.
    pub const NAME_LIMIT: usize = 65;

    /// The maximum number of names in a response. A larger count is reduced to this limit.
    pub const COUNT_LIMIT: usize = 1000;

    /// The kind of the queried object.
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Exists { kind, .. } | Self::List { kind, .. } => *kind,
        }
    }
}

const NAME: [&[&str]; 3] = [
    &["name", "user", "user-name", "username", "id"],
    &["name", "group", "group-name", "groupname", "id"],
    &["name", "device", "device-name", "devicename", "hostname", "host-name", "id"],
];

/// Parses a query in every candidate form, below the configured prefix. A kind is `user`, `group`
/// or `device`, in singular or plural.
///
/// | path | query |
/// | --- | --- |
/// | `validate/<kind>`, `<kind>/validate` with a name among the parameters; `validate/<kind>/<name>`, `<kind>/<name>` | existence |
/// | `<kind>` with a name among the parameters | existence |
/// | `<kind>`, `list/<kind>`, `domains/<domain>/<kind>` | list |
///
/// Parameters can be in the query, a form or JSON: `name` and its aliases, `domain`, `prefix` or
/// `filter`, `start` or `offset`, `count` or `limit`.
///
/// # Errors
/// [`QueryError::Route`] for other paths and for methods except GET and POST, otherwise the invalid
/// parameter.
pub fn read(request: &RequestParts<'_>) -> Result<ValidatorQuery, QueryError> {
    if !matches!(request.method, "GET" | "POST") {
        return Err(QueryError::Route);
    }
    let segments = request.segments().ok_or(QueryError::Route)?;
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let kind_of = |word: &str| parse_kind(word).ok_or(QueryError::Route);
    let parameters = || Parameters::read(request);
    match path.as_slice() {
        ["validate", word] | [word, "validate"] => {
            let (kind, parameters) = (kind_of(word)?, parameters()?);
            let missing = QueryError::parameter("name", "missing");
            exists(kind, name_parameter(kind, &parameters)?.ok_or(missing)?, &parameters)
        }
        ["list", word] => list(kind_of(word)?, None, &parameters()?),
        ["domain" | "domains", domain, word] => {
            let kind = kind_of(word)?;
            list(kind, Some(name("domain", domain)?), &parameters()?)
        }
        ["validate", word, text] | [word, text] => exists(kind_of(word)?, text, &parameters()?),
        [word] => {
            let (kind, parameters) = (kind_of(word)?, parameters()?);
            match name_parameter(kind, &parameters)? {
                Some(text) => exists(kind, text, &parameters),
                None => list(kind, None, &parameters),
            }
        }
        _ => Err(QueryError::Route),
    }
}

fn parse_kind(word: &str) -> Option<ObjectKind> {
    match word {
        "user" | "users" => Some(ObjectKind::User),
        "group" | "groups" => Some(ObjectKind::Group),
        "device" | "devices" => Some(ObjectKind::Device),
        _ => None,
    }
}

fn exists(
    kind: ObjectKind,
    text: &str,
    parameters: &Parameters,
) -> Result<ValidatorQuery, QueryError> {
    let domain = domain(parameters)?;
    Ok(ValidatorQuery::Exists { kind, name: name("name", text)?, domain })
}

fn list(
    kind: ObjectKind,
    of: Option<Name>,
    parameters: &Parameters,
) -> Result<ValidatorQuery, QueryError> {
    let said = domain(parameters)?;
    if of.is_some() && said.is_some() && of != said {
        return Err(QueryError::parameter("domain", "given twice, with different values"));
    }
    let prefix = one(parameters, "prefix", &["prefix", "filter", "search"])?.unwrap_or_default();
    if prefix.chars().count() > ValidatorQuery::NAME_LIMIT {
        return Err(QueryError::parameter("prefix", "longer than 65 characters"));
    }
    let start = number(parameters, "start", &["start", "offset", "begin"])?.unwrap_or(0);
    let counts = ["count", "limit", "max", "max-count", "entry-count"];
    let count = match number(parameters, "count", &counts)? {
        Some(0) => return Err(QueryError::parameter("count", "less than 1")),
        count => count.unwrap_or(ValidatorQuery::COUNT_LIMIT).min(ValidatorQuery::COUNT_LIMIT),
    };
    // A wildcard at the end means a prefix.
    let prefix = prefix.trim_end_matches('*').to_owned();
    Ok(ValidatorQuery::List { kind, domain: of.or(said), prefix, start, count })
}

fn name_parameter(kind: ObjectKind, parameters: &Parameters) -> Result<Option<&str>, QueryError> {
    one(parameters, "name", NAME[kind as usize])
}

fn domain(parameters: &Parameters) -> Result<Option<Name>, QueryError> {
    let text = one(parameters, "domain", &["domain", "domain-name"])?;
    text.map(|text| name("domain", text)).transpose()
}

fn name(parameter: &'static str, text: &str) -> Result<Name, QueryError> {
    // A domain has up to 255 characters (RFC 1035 section 2.3.4) and may be part of the user name.
    let bare = text.rsplit('\\').next().unwrap_or_default().split('@').next().unwrap_or_default();
    if parameter == "name" && bare.chars().count() > ValidatorQuery::NAME_LIMIT {
        return Err(QueryError::parameter(parameter, "longer than 65 characters"));
    }
    Name::new(text).map_err(|_| QueryError::parameter(parameter, "not a name"))
}

fn number(
    parameters: &Parameters,
    name: &'static str,
    names: &[&str],
) -> Result<Option<usize>, QueryError> {
    let Some(text) = one(parameters, name, names)? else { return Ok(None) };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QueryError::parameter(name, "not a number"));
    }
    // All digits: a number that does not fit is larger than any list.
    Ok(Some(text.parse().unwrap_or(usize::MAX)))
}

fn one<'a>(
    parameters: &'a Parameters,
    name: &'static str,
    names: &[&str],
) -> Result<Option<&'a str>, QueryError> {
    let reason = "given twice, with different values";
    parameters.one(names).map_err(|AmbiguousParameter| QueryError::parameter(name, reason))
}

/// The response to an existence query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Validity<'a> {
    /// Whether the object exists.
    pub valid: bool,
    /// The name in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a Name>,
    /// The DNS name of its domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_name: Option<&'a Name>,
    /// Whether the account is enabled; always true for groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// The response to a list query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NameList<'a> {
    /// The DNS name of the domain.
    pub domain_name: &'a Name,
    /// The total number of objects.
    pub total: usize,
    /// The number of skipped names.
    pub start: usize,
    /// The names, sorted.
    pub names: Vec<&'a Name>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get<'a>(path: &'a str, query: &'a str) -> RequestParts<'a> {
        RequestParts { method: "GET", path, query, ..RequestParts::default() }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn existence_query_in_every_candidate_form() {
        let domain = Some(name("corp"));
        let wanted = ValidatorQuery::Exists { kind: ObjectKind::User, name: name("alice"), domain };
        for (path, query) in [
            ("/validate/user", "name=alice&domain=corp"),
            ("/user/validate", "user_name=alice&domain-name=corp"),
            ("/validate/user/alice", "domain=corp"),
            ("/user/alice", "domain=corp"),
            ("/users/alice/", "domain=corp&unknown=1"),
            ("/users", "username=alice&domain=corp"),
        ] {
            assert_eq!(read(&get(path, query)), Ok(wanted.clone()), "{path}?{query}");
        }
        let body = br#"{"name":"alice","domain":"corp"}"#;
        let posted = RequestParts {
            method: "POST",
            path: "/validate/user",
            body,
            ..RequestParts::default()
        };
        assert_eq!(read(&posted), Ok(wanted));
        for (path, kind) in
            [("/group/R%26D", ObjectKind::Group), ("/device/R%26D", ObjectKind::Device)]
        {
            let wanted = ValidatorQuery::Exists { kind, name: name("R&D"), domain: None };
            assert_eq!(read(&get(path, "")), Ok(wanted));
        }
    }

    #[test]
    fn list_query_in_every_candidate_form() {
        let (kind, domain) = (ObjectKind::Group, Some(name("corp.example.com")));
        let prefix = "vpn".to_owned();
        let wanted = ValidatorQuery::List { kind, domain, prefix, start: 20, count: 10 };
        for (path, query) in [
            ("/groups", "domain=corp.example.com&prefix=vpn&start=20&count=10"),
            ("/list/group", "domain_name=corp.example.com&filter=vpn*&offset=20&limit=10"),
            ("/domains/corp.example.com/groups", "search=vpn&begin=20&max=10"),
        ] {
            assert_eq!(read(&get(path, query)), Ok(wanted.clone()), "{path}?{query}");
        }
        let Ok(ValidatorQuery::List { count, start, .. }) =
            read(&get("/devices", "count=99999999999"))
        else {
            panic!("no list");
        };
        assert_eq!((start, count), (0, ValidatorQuery::COUNT_LIMIT));
    }

    #[test]
    fn errors_name_the_parameter() {
        let long = "x".repeat(66);
        let (in_path, in_prefix) = (format!("/user/{long}"), format!("prefix={long}"));
        for (path, query, error) in [
            ("/validate/user", "", "name: missing"),
            (in_path.as_str(), "", "name: longer than 65"),
            ("/users", in_prefix.as_str(), "prefix: longer than 65"),
            ("/users", "count=0", "count: less than 1"),
            ("/users", "start=-1", "start: not a number"),
            ("/users", "name=a&username=b", "name: given twice"),
            ("/domains/corp/groups", "domain=lab", "domain: given twice"),
            ("/user/%01", "", "name: not a name"),
        ] {
            let bad = read(&get(path, query)).unwrap_err();
            assert!(bad.to_string().starts_with(error), "{path}?{query}: {bad}");
        }
        let long = format!("/user/{}%5C{}", "d".repeat(100), "x".repeat(65));
        assert!(read(&get(&long, "")).is_ok(), "the domain does not count");
        for path in ["", "/", "/printers", "/user/a/b", "/validate"] {
            assert_eq!(read(&get(path, "")), Err(QueryError::Route), "{path}");
        }
        let put = RequestParts { method: "PUT", ..get("/users", "") };
        assert_eq!(read(&put), Err(QueryError::Route));
    }

    proptest! {
        #[test]
        fn arbitrary_requests_are_parsed_or_rejected(
            path in any::<String>(), near in "/(users?|groups?|validate|list|domains)/[ -~]{0,9}",
            query in any::<String>(), body: Vec<u8>,
        ) {
            for path in [path.as_str(), near.as_str()] {
                let request = RequestParts { method: "POST", path, query: &query, body: &body, ..RequestParts::default() };
                if let Ok(ValidatorQuery::List { count, .. }) = read(&request) {
                    prop_assert!((1..=ValidatorQuery::COUNT_LIMIT).contains(&count));
                }
            }
        }
    }
}
