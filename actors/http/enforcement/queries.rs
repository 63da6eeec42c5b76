//! Queries of firewalls: changes, the user of an address, the addresses of a user.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use rollcall_identity::directory::NetbiosNames;
use rollcall_identity::{
    Address, Filter, Glob, Name, Page, Principal, Revision, Session, Timestamp,
};
use rollcall_wire::http::RequestParts;
use rollcall_wire::srx::{
    self, AddressQuery, DomainForm, QueryFilter, Report, ResponseSummary, ResponseWriter, SrxQuery,
};

use super::cookie::{BatchRead, Cookie};
use super::points::{Client, QuerySettings};
use super::stats::{AnsweredBatch, Completeness};
use super::{Enforcement, RequestContext};
use crate::admission::Rejection;
use crate::telemetry::{FullResyncStarted, ProbeUnsupported, QueryAnswered};
use rollcall_engine::messages::{ReadChanges, SearchSessions};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Reports in a batch when the query does not specify the number: the default of `items-per-batch`.
const DEFAULT_BATCH: usize = 200;

/// How many pages without an admitted change one response may skip. A page scans
/// [`rollcall_identity::ChangeLog::SCAN`] positions in about a millisecond; the firewall then
/// returns with the cookie.
const MAX_EMPTY_PAGES: usize = 100;

/// Addresses in the response to a user query.
const MAX_ADDRESSES: usize = 1000;

/// The parameters of a batch query.
struct Batch {
    since: Option<Timestamp>,
    limit: usize,
    cookie: Option<String>,
    scope: QueryFilter,
}

impl Enforcement {
    /// Answers a query of a firewall.
    pub(super) async fn answer_query(
        &self,
        request: &RequestParts<'_>,
        context: &RequestContext,
        client: &Client,
    ) -> Result<HttpResponse, Rejection> {
        let Some(settings) = &client.query_settings else {
            return Err(Rejection::forbidden("this client may push, but not query"));
        };
        let started = Clock::instant();
        let mut out = Vec::new();
        let (kind, answer) = match srx::read(request)? {
            SrxQuery::Batch { since, count, cookie, scope } => {
                let limit = count.map_or(DEFAULT_BATCH, |count| count as usize);
                let batch = Batch { since, limit, cookie, scope };
                ("batch", self.batch(batch, client, settings, &mut out).await?)
            }
            SrxQuery::Ip { address, force_probe } => {
                if force_probe {
                    ProbeUnsupported { point: client.name.as_str() }.emit();
                }
                ("ip", self.ip(address, settings, context, &mut out).await?)
            }
            SrxQuery::User { principal } => {
                ("user", self.user(principal, settings, &mut out).await?)
            }
        };
        let bytes = out.len();
        client.stats.record_query(answer.reports, bytes);
        let (point, took): (_, Duration) = (client.name.as_str(), started.elapsed());
        let ResponseSummary { reports, roles_left_out, .. } = answer;
        QueryAnswered { point, kind, reports, roles_left_out, bytes, took }.emit();
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        response.content_type(settings.dialect.content_type());
        response.insert_header((CACHE_CONTROL, "no-store"));
        Ok(response.body(out))
    }

    async fn batch(
        &self,
        batch: Batch,
        client: &Client,
        settings: &QuerySettings,
        out: &mut Vec<u8>,
    ) -> Result<ResponseSummary, Rejection> {
        let Batch { since, limit, cookie, scope } = batch;
        let filter = combined_filter(&settings.filter, scope);
        // A cookie that is not of Rollcall, for example of the server that Rollcall replaces, is
        // treated like one that is too old: a full resync, including the logouts of sessions that
        // the firewall may still have. A firewall would send a rejected cookie again forever.
        let cookie = cookie.map(|cookie| cookie.parse().unwrap_or(Cookie::UNKNOWN));
        let since = since.filter(|_| cookie.is_none());
        let read = BatchRead::new(cookie, filter, settings.formatter.format);
        let (cursor, filter) = (read.cursor, read.read_filter());
        let mut page = self.page(ReadChanges { cursor, since, filter, limit }).await?;
        let next = read.finish_page(&mut page, self.points.now());
        if page.resync || read.filter_changed {
            FullResyncStarted { point: client.name.as_str() }.emit();
        }
        let completeness = if page.more { Completeness::Partial } else { Completeness::Complete };
        let answered = AnsweredBatch {
            revision: page.next.revision,
            completeness,
            received: cookie,
            issued: next,
        };
        client.stats.record_batch(answered, self.points.now());
        client.stats.measure_lag(self.points.newest());
        let (sessions, reports) =
            (srx::reported_sessions(&page.changes), page.changes.iter().map(Report::from));
        let cookie = next.to_string();
        Ok(self
            .render(settings, sessions, |writer| srx::write_batch(writer, reports, &cookie, out)))
    }

    /// The next page with changes, or the last page.
    async fn page(&self, mut read: ReadChanges) -> Result<Page, Rejection> {
        let mut page = self.query.send(read.clone()).await?;
        let resync = page.resync;
        for _ in 1..MAX_EMPTY_PAGES {
            if !page.changes.is_empty() || !page.more {
                break;
            }
            read.cursor = Some(page.next);
            page = self.query.send(read.clone()).await?;
        }
        page.resync |= resync;
        Ok(page)
    }

    async fn ip(
        &self,
        address: Address,
        settings: &QuerySettings,
        context: &RequestContext,
        out: &mut Vec<u8>,
    ) -> Result<ResponseSummary, Rejection> {
        let found = self.lookup.get(address).await?;
        let found = found.filter(|session| settings.filter.admits(session));
        let address_query = AddressQuery { address, now: context.now };
        let reported = found.as_deref().into_iter();
        Ok(self.render(settings, reported, |writer| {
            srx::write_address(writer, address_query, found.as_ref(), out)
        }))
    }

    async fn user(
        &self,
        principal: Principal,
        settings: &QuerySettings,
        out: &mut Vec<u8>,
    ) -> Result<ResponseSummary, Rejection> {
        let filter = Arc::clone(&settings.filter);
        // Sessions have the canonical name of a user that a directory knows.
        let known = self.directory.read().resolve(&principal).map(|known| known.principal);
        let matches = move |session: &Session| {
            let is_known =
                |other: &Principal| known.as_ref().is_some_and(|k| k.has_same_name(other));
            let is_same_user =
                |other: &Principal| other.is_compatible_with(&principal) || is_known(other);
            session.principal.as_ref().is_some_and(is_same_user) && filter.admits(session)
        };
        let matches: Arc<dyn Fn(&Session) -> bool + Send + Sync> = Arc::new(matches);
        let mut sessions = Vec::new();
        let mut after = Some(Revision(0));
        while let Some(from) = after.filter(|_| sessions.len() < MAX_ADDRESSES) {
            let limit = MAX_ADDRESSES - sessions.len();
            let search = SearchSessions { after: from, limit, wanted: Arc::clone(&matches) };
            let found = self.query.send(search).await?;
            sessions.extend(found.sessions);
            after = found.next;
        }
        let reported = sessions.iter().map(|session| &**session);
        Ok(self.render(settings, reported.clone(), |writer| srx::write_user(writer, reported, out)))
    }

    /// Writes a response about these sessions in the format of the point.
    fn render<'s>(
        &self,
        settings: &QuerySettings,
        sessions: impl Iterator<Item = &'s Session> + Clone,
        write: impl FnOnce(ResponseWriter<'_>) -> ResponseSummary,
    ) -> ResponseSummary {
        let netbios = match settings.dialect.domain {
            DomainForm::Dns => NetbiosNames::default(),
            DomainForm::Netbios => self.directory.read().domains().into_iter().collect(),
        };
        let formatter = settings.formatter.for_sessions(sessions);
        write(ResponseWriter { formatter: &formatter, netbios: &netbios })
    }
}

/// The sessions that both the filter of the point and the filter of the request admit.
fn combined_filter(own: &Arc<Filter>, scope: QueryFilter) -> Arc<Filter> {
    if scope == QueryFilter::default() {
        return Arc::clone(own);
    }
    let QueryFilter { domains, include, exclude } = scope;
    let mut filter = Filter::default();
    filter.domains.extend(domains.iter().map(literal));
    filter.include.extend(include);
    filter.exclude.extend(exclude);
    Arc::new(Filter::clone(own).both(filter))
}

/// A pattern that matches only this domain, for any characters.
fn literal(domain: &Name) -> Glob {
    let mut pattern = String::new();
    for c in domain.as_str().chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' => pattern.extend(['[', c, ']']),
            _ => pattern.push(c),
        }
    }
    Glob::new(&pattern).expect("a pattern without special characters is valid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_literal_matches_its_own_domain_only(one in "[a-z*?\\[\\]{}!,.\\\\-]{1,9}", other: String) {
            let Ok(name) = Name::new(&one) else { return Ok(()) };
            let glob = literal(&name);
            prop_assert!(glob.matches(name.as_str()));
            if let Ok(other) = Name::new(&other) {
                prop_assert_eq!(glob.matches(other.as_str()), other.folded() == name.folded());
            }
        }
    }
}
