//! Queries of a firewall: a batch of reports, the user at an address, or the addresses of a user.

use rollcall_identity::{Address, Principal, Timestamp};

use crate::http::{AmbiguousParameter, Parameters, RequestParts, timestamp};

use super::{QueryError, QueryFilter};

/// A query of an SRX firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SrxQuery {
    /// The reports since a time or a cookie.
    Batch {
        /// The earliest time; `None` for all reports.
        since: Option<Timestamp>,
        /// The maximum number of reports, 1 to [`SrxQuery::COUNT_LIMIT`]; `None` if not given.
        count: Option<u32>,
        /// The cookie of the previous response; takes precedence over `since`.
        cookie: Option<String>,
        /// The filter on sessions.
        scope: QueryFilter,
    },
    /// The session of an address.
    Ip {
        /// The address.
        address: Address,
        /// Whether the firewall asks to probe the computer first.
        force_probe: bool,
    },
    /// The addresses of a user.
    User {
        /// The user; without a domain, in any domain.
        principal: Principal,
    },
}

impl SrxQuery {
    /// The maximum number of reports in a response. Junos requests 100 to 1000 (`items-per-batch`).
    /// A larger count is reduced to this limit, because the count is a maximum.
    pub const COUNT_LIMIT: u32 = 1000;

    /// The maximum length of a cookie in bytes: a multiple of those that Rollcall issues.
    pub const COOKIE_LIMIT: usize = 256;
}

const IP: &[&str] = &["ip", "ip-address", "address"];
const USER: &[&str] = &["user", "user-name", "username", "id"];
/// Where the path does not imply a user, `id` may have another meaning, such as a request number.
const USER_ANYWHERE: &[&str] = &["user", "user-name", "username"];

/// Parses a query in every candidate form, below the query API's prefix (and below `user_query/v1`
/// and `v2`, if these are not the configured prefix):
///
/// | path | query |
/// | --- | --- |
/// | none, `users/endpoints` | batch, or what the parameter `ip` or `user` makes it |
/// | `ip/<address>`, `<address>`, `ip?ip=` | address |
/// | `user/<name>`, `users/<name>`, `user?user=`, `user?id=` | user |
///
/// Unknown parameters are ignored, because other Junos releases may send some.
///
/// # Errors
/// [`QueryError::Route`] for other paths and for methods except GET and POST, otherwise the invalid
/// parameter.
pub fn read(request: &RequestParts<'_>) -> Result<SrxQuery, QueryError> {
    if !matches!(request.method, "GET" | "POST") {
        return Err(QueryError::Route);
    }
    let segments = request.segments().ok_or(QueryError::Route)?;
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let path = match path.as_slice() {
        ["user_query", "v1" | "v2", rest @ ..] => rest,
        all => all,
    };
    let parameters = || Parameters::read(request);
    match path {
        [] | ["users", "endpoints"] => anything(&parameters()?, request),
        ["ip"] => {
            let parameters = parameters()?;
            let text = one(&parameters, "ip", IP)?;
            by_address(text.ok_or(QueryError::parameter("ip", "missing"))?, &parameters)
        }
        ["ip", text] => by_address(text, &parameters()?),
        ["user" | "users"] => {
            let parameters = parameters()?;
            let text = one(&parameters, "user", USER)?;
            by_user(text.ok_or(QueryError::parameter("user", "missing"))?, &parameters)
        }
        ["user" | "users", text] => by_user(text, &parameters()?),
        [text] if text.parse::<Address>().is_ok() => by_address(text, &parameters()?),
        _ => Err(QueryError::Route),
    }
}

fn anything(parameters: &Parameters, request: &RequestParts<'_>) -> Result<SrxQuery, QueryError> {
    if let Some(text) = one(parameters, "ip", IP)? {
        return by_address(text, parameters);
    }
    if let Some(text) = one(parameters, "user", USER_ANYWHERE)? {
        return by_user(text, parameters);
    }
    Ok(SrxQuery::Batch {
        since: since(parameters)?,
        count: count(parameters)?,
        cookie: cookie(parameters, request)?,
        scope: QueryFilter::read(parameters)?,
    })
}

fn by_address(text: &str, parameters: &Parameters) -> Result<SrxQuery, QueryError> {
    let address = text.parse().map_err(|_| QueryError::parameter("ip", "not an IP address"))?;
    let force_probe = match parameters.flag("force-probe").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "no" | "0") => false,
        Some("" | "true" | "yes" | "1") => true,
        Some(_) => return Err(QueryError::parameter("force-probe", "neither true nor false")),
    };
    Ok(SrxQuery::Ip { address, force_probe })
}

fn by_user(text: &str, parameters: &Parameters) -> Result<SrxQuery, QueryError> {
    let domain = one(parameters, "domain", &["domain", "domain-name"])?
        .map(|domain| domain.parse())
        .transpose()
        .map_err(|_| QueryError::parameter("domain", "not a name of a domain"))?;
    let principal = Principal::parse(text, domain.as_ref())
        .map_err(|_| QueryError::parameter("user", "not a name of a user"))?;
    Ok(SrxQuery::User { principal })
}

fn since(parameters: &Parameters) -> Result<Option<Timestamp>, QueryError> {
    let name = "begintime";
    let names = [name, "begin-time", "timestamp", "since"];
    let Some(text) = one(parameters, name, &names)? else { return Ok(None) };
    let reason = "neither a time as in RFC 3339 nor seconds or milliseconds since 1970";
    let (at, _) = timestamp::read(text).ok_or(QueryError::parameter(name, reason))?;
    Ok(Some(at))
}

fn count(parameters: &Parameters) -> Result<Option<u32>, QueryError> {
    let name = "entry_count";
    let names = ["entry-count", "count", "max", "max-count"];
    let Some(text) = one(parameters, name, &names)? else { return Ok(None) };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QueryError::parameter(name, "not a number"));
    }
    // All digits: a number that does not fit is larger than the limit.
    match text.parse().unwrap_or(u32::MAX) {
        0 => Err(QueryError::parameter(name, "less than 1")),
        count => Ok(Some(count.min(SrxQuery::COUNT_LIMIT))),
    }
}

/// The cookie from the first source that has one: parameters, `X-Cookie`, `Cookie`.
fn cookie(
    parameters: &Parameters,
    request: &RequestParts<'_>,
) -> Result<Option<String>, QueryError> {
    let cookie = one(parameters, "cookie", &["cookie"])?
        .or(request.x_cookie_header.map(str::trim).filter(|text| !text.is_empty()))
        .or_else(|| named_cookie(request.cookie_header?));
    match cookie {
        Some(text) if text.len() > SrxQuery::COOKIE_LIMIT => {
            Err(QueryError::parameter("cookie", "longer than 256 bytes"))
        }
        cookie => Ok(cookie.map(str::to_owned)),
    }
}

/// The value of the cookie named `cookie` (RFC 6265 section 4.2), or the whole header when it is a
/// single value without a name. Other cookies are ignored; they may belong to a proxy.
fn named_cookie(header: &str) -> Option<&str> {
    if !header.contains(['=', ';']) {
        return Some(header.trim()).filter(|text| !text.is_empty());
    }
    let mut pairs = header.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("cookie"))?;
    Some(value.trim().trim_matches('"')).filter(|text| !text.is_empty())
}

fn one<'a>(
    parameters: &'a Parameters,
    name: &'static str,
    names: &[&str],
) -> Result<Option<&'a str>, QueryError> {
    let reason = "given twice, with different values";
    parameters.one(names).map_err(|AmbiguousParameter| QueryError::parameter(name, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn get<'a>(path: &'a str, query: &'a str) -> RequestParts<'a> {
        RequestParts { method: "GET", path, query, ..RequestParts::default() }
    }

    fn post<'a>(path: &'a str, body: &'a str) -> RequestParts<'a> {
        RequestParts { method: "POST", path, body: body.as_bytes(), ..RequestParts::default() }
    }

    fn batch(since: Option<i64>, count: Option<u32>, cookie: Option<&str>) -> SrxQuery {
        SrxQuery::Batch {
            since: since.map(Timestamp::from_millis),
            count,
            cookie: cookie.map(str::to_owned),
            scope: QueryFilter::default(),
        }
    }

    #[test]
    fn first_batch_in_every_candidate_form() {
        let wanted = batch(Some(1_795_287_032_000), Some(200), None);
        for (path, query) in [
            ("", "begintime=1795287032&entry_count=200"),
            ("/", "timestamp=1795287032000&count=200"),
            ("/users/endpoints", "since=2026-11-21T18:50:32Z&max=200"),
            ("users/endpoints/", "BeginTime=2026-11-21T19:50:32%2B01:00&entry-count=200"),
            ("user_query/v2", "begintime=2026-11-21T19:50:32+01:00&entry_count=200&cookie="),
            ("user_query/v1/users/endpoints", "begin_time=1795287032&max_count=200&unknown=7"),
        ] {
            assert_eq!(read(&get(path, query)), Ok(wanted.clone()), "{path}?{query}");
        }
        let json = r#"{"begintime":1795287032,"entry_count":200,"cookie":null}"#;
        for body in [json, "begintime=1795287032&entry_count=200"] {
            assert_eq!(read(&post("/users/endpoints", body)), Ok(wanted.clone()), "{body}");
            assert_eq!(read(&RequestParts { method: "GET", ..post("", body) }), Ok(wanted.clone()));
        }
        assert_eq!(read(&get("", "")), Ok(batch(None, None, None)));
    }

    #[test]
    fn cookie_from_every_source() {
        let wanted = batch(None, Some(1000), Some("5f-1234"));
        let base = get("", "entry_count=5000");
        for request in [
            get("", "cookie=5f-1234&count=1000"),
            get("", "cookie=5f-1234&count=99999999999999999999"),
            RequestParts { body: br#"{"cookie":"5f-1234"}"#, ..base },
            RequestParts { body: b"cookie=5f-1234", ..base },
            RequestParts { x_cookie_header: Some("5f-1234"), ..base },
            RequestParts { cookie_header: Some("5f-1234"), ..base },
            RequestParts { cookie_header: Some("lb=a; cookie=5f-1234; x=y"), ..base },
            RequestParts { cookie_header: Some("Cookie=\"5f-1234\""), ..base },
            RequestParts { cookie_header: Some("other"), ..get("", "cookie=5f-1234&max=1000") },
        ] {
            assert_eq!(read(&request), Ok(wanted.clone()), "{request:?}");
        }
        let proxy = RequestParts { cookie_header: Some("session=abc"), ..base };
        assert_eq!(read(&proxy), Ok(batch(None, Some(1000), None)));
    }

    #[test]
    fn address_in_every_candidate_form() {
        for (path, query, text, force_probe) in [
            ("/ip/10.0.0.7", "", "10.0.0.7", false),
            ("/10.0.0.7", "force-probe=true", "10.0.0.7", true),
            ("", "ip=10.0.0.7&force_probe", "10.0.0.7", true),
            ("/ip", "ip=::ffff:10.0.0.7&force-probe=0", "10.0.0.7", false),
            ("/users/endpoints", "address=10.0.0.7", "10.0.0.7", false),
            ("user_query/v1/ip/10.0.0.7", "", "10.0.0.7", false),
            ("/ip/2001%3Adb8%3A%3A7", "", "2001:db8::7", false),
            ("/2001:db8::7", "", "2001:db8::7", false),
        ] {
            let wanted = SrxQuery::Ip { address: text.parse().unwrap(), force_probe };
            assert_eq!(read(&get(path, query)), Ok(wanted), "{path}?{query}");
        }
    }

    #[test]
    fn user_in_every_candidate_form() {
        for (path, query, text) in [
            ("/user/alice", "", "alice"),
            ("/users/alice", "domain=Corp.Example", "alice@corp.example"),
            ("/user", "user=alice&domain=corp.example", "alice@corp.example"),
            ("/user", "id=CORP%5CAlice", "alice@corp"),
            ("", "id=7&user_name=alice%40corp.example", "alice@corp.example"),
            ("user_query/v1/user/alice", "", "alice"),
        ] {
            let Ok(SrxQuery::User { principal }) = read(&get(path, query)) else {
                panic!("{path}?{query}");
            };
            assert_eq!(principal.to_string(), text, "{path}?{query}");
        }
    }

    #[test]
    fn filter_is_part_of_a_batch_query() {
        let request =
            post("", r#"{"filter":{"domain":["A.example"],"include-ip":["10.0.0.0/8"]}}"#);
        let Ok(SrxQuery::Batch { scope, .. }) = read(&request) else { panic!("{request:?}") };
        assert_eq!(scope.domains, ["a.example".parse().unwrap()]);
        assert_eq!(scope.include, ["10.0.0.0/8".parse().unwrap()]);
    }

    #[test]
    fn invalid_parameter_is_named() {
        let cookie = format!("cookie={}", "c".repeat(257));
        for (path, query, error) in [
            ("", "begintime=yesterday", "begintime: neither a time"),
            ("", "entry_count=0", "entry_count: less than 1"),
            ("", "entry_count=-1", "entry_count: not a number"),
            ("", "count=1&max=2", "entry_count: given twice"),
            ("", cookie.as_str(), "cookie: longer than"),
            ("", "include_ip=x", "include-ip: not an address"),
            ("", "domain=%00", "domain: not a name"),
            ("/ip/10.0.0", "", "ip: not an IP address"),
            ("/ip", "", "ip: missing"),
            ("/ip/10.0.0.1", "force-probe=maybe", "force-probe: neither"),
            ("/user", "", "user: missing"),
            ("/user/%01", "", "user: not a name of a user"),
            ("", "a=%ff", "body is not UTF-8"),
        ] {
            let bad = read(&get(path, query)).unwrap_err();
            assert!(bad.to_string().starts_with(error), "{path}?{query}: {bad}");
            assert_eq!(bad.status(), 400);
        }
        for request in [
            get("/nothing", ""),
            get("/ip/10.0.0.1/x", ""),
            get("/%ff", ""),
            get("/user_query/v3", ""),
            RequestParts { method: "DELETE", ..get("", "") },
        ] {
            assert_eq!(read(&request), Err(QueryError::Route), "{request:?}");
            assert_eq!(QueryError::Route.status(), 404);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_requests_are_parsed_or_rejected(
            path in "(/?(ip|user|users|endpoints|v1|[ -~]{0,12})){0,4}",
            query in "((ip|user|count|cookie|since|domain|include-ip)=[ -~]{0,20}&?){0,4}",
            header in any::<String>(),
            body: Vec<u8>,
        ) {
            let request = RequestParts { cookie_header: Some(&header), body: &body, ..get(&path, &query) };
            if let Ok(SrxQuery::Batch { count, cookie, .. }) = read(&request) {
                prop_assert!(count.is_none_or(|count| (1..=SrxQuery::COUNT_LIMIT).contains(&count)));
                prop_assert!(cookie.is_none_or(|cookie| cookie.len() <= SrxQuery::COOKIE_LIMIT));
            }
        }
    }
}
