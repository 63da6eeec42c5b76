//! Requests that a web page of another site makes through a browser: the host that a request names,
//! and the site that it comes from.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use arc_swap::ArcSwap;

use super::Rest;
use crate::problem::Problem;

/// The host names of the REST interface. Loopback names and addresses are always allowed. The names
/// change with the configuration.
///
/// A page that resolves its own host name to the address of this server (DNS rebinding) could
/// otherwise read the responses, because the browser sees one origin.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts(Arc<ArcSwap<Vec<String>>>);

impl AllowedHosts {
    /// Sets the allowed names.
    pub fn set(&self, names: Vec<String>) {
        self.0.store(Arc::new(names));
    }

    /// Whether a request with this `Host` header is for this server.
    fn allows(&self, host: &str) -> bool {
        let name = host_name(host);
        let is_address = name.parse::<IpAddr>().is_ok();
        let is_loopback = name.eq_ignore_ascii_case("localhost")
            || name.to_ascii_lowercase().ends_with(".localhost");
        is_address
            || is_loopback
            || self.0.load().iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address and without a trailing dot.
fn host_name(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.strip_suffix('.').unwrap_or(name)
}

/// Paths that show nothing about users and that monitoring reads under any name.
const EXEMPT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Where a browser says that a request comes from (W3C, "Fetch Metadata Request Headers").
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Rejects requests for another host, and requests of other sites that could change something.
pub(super) async fn check(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if EXEMPT.contains(&request.path()) {
        return next.call(request).await;
    }
    let rest = request.app_data::<Data<Rest>>().expect("the outer scope contains it");
    let header = |name: &HeaderName| request.headers().get(name).map(|v| v.to_str().unwrap_or(""));
    let host = header(&HOST);
    if host.is_some_and(|host| !rest.hosts.allows(host)) {
        let detail = "the header Host is not a name of this server; use an address, or add the name \
                      to names in [rest]";
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into());
    }
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let is_same_site = header(&SEC_FETCH_SITE)
        .is_none_or(|site| matches!(site, "same-origin" | "none"))
        && header(&ORIGIN).is_none_or(|origin| {
            origin.split_once("://").is_some_and(|(_, origin)| Some(origin) == host)
        });
    if !is_safe && !is_same_site {
        let detail = "the request comes from a web page of another site";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail).into());
    }
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_loopback_names_and_configured_names_are_allowed() {
        let hosts = AllowedHosts::default();
        hosts.set(vec!["Rollcall.corp.example.com".to_owned()]);
        for host in [
            "127.0.0.1:8514",
            "[::1]:8514",
            "10.0.0.10",
            "localhost",
            "localhost:8514",
            "app.localhost",
            "rollcall.corp.example.com:443",
            "rollcall.corp.example.com.",
        ] {
            assert!(hosts.allows(host), "{host}");
        }
        for host in ["attacker.example", "attacker.example:8514", "localhost.attacker.example", ""]
        {
            assert!(!hosts.allows(host), "{host}");
        }
    }
}
