//! The configured enforcement points and pushing programs, their tokens and their progress. Shared
//! by all request handlers, and replaced as a whole by a reload.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use ipnet::IpNet;
use rollcall_config::{Enforcement, EnforcementPoint, Lockout, Ptim, PtimClient, SecretHash};
use rollcall_identity::{Filter, Name, Origin, Producer, Revision, Timestamp};
use rollcall_wire::ptim::MissingTime;
use rollcall_wire::srx::{Dialect, QueryToken, ResponseFormatter};
use tokio::sync::watch;

use super::rendering::SharedFormatter;
use super::stats::{PointStats, PointStatus, Role};
use crate::admission::{Admission, ClientRegistry, CredentialSubject};
use crate::telemetry::{LagMeasured, PointRegistered};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// All clients that may log in, and their state.
pub struct Points {
    registry: ArcSwap<Registry>,
    pub(super) admission: Admission,
    newest: watch::Receiver<Revision>,
    clock: Clock,
}

/// The effective settings, indexed by client ID.
pub(super) struct Registry {
    pub(super) settings: Enforcement,
    pub(super) push_enabled: bool,
    by_id: HashMap<String, Arc<Client>>,
}

/// A client that logs in.
pub(super) struct Client {
    pub(super) name: Name,
    pub(super) secret: SecretHash,
    addresses: Vec<IpNet>,
    /// The settings of its queries; `None` for a program that only pushes.
    pub(super) query_settings: Option<QuerySettings>,
    /// The settings of its pushes; `None` for a point that may not push.
    pub(super) push_settings: Option<PushSettings>,
    pub(super) stats: Arc<PointStats>,
}

/// What an enforcement point receives, and in which format.
pub(super) struct QuerySettings {
    pub(super) dialect: Dialect,
    pub(super) formatter: Arc<SharedFormatter>,
    pub(super) filter: Arc<Filter>,
}

/// How the pushes of a client are read.
pub(super) struct PushSettings {
    /// The origin of events in the format of a firewall.
    pub(super) ptim: Arc<Origin>,
    /// The origin of events in Rollcall's JSON.
    pub(super) json: Arc<Origin>,
    pub(super) domain: Option<Name>,
    pub(super) missing_time: MissingTime,
}

impl Points {
    /// The clients in the settings. `newest` holds the newest revision of the query actor.
    pub fn new(
        enforcement: &Enforcement,
        ptim: &Ptim,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let registry = Registry::new(enforcement, ptim, None);
        registry.register_metrics();
        Self {
            registry: ArcSwap::from_pointee(registry),
            admission: Admission::new(clock.clone()),
            newest,
            clock,
        }
    }

    /// Applies other settings, from the next request on. A client with an unchanged secret keeps
    /// its tokens; a client with an unchanged name keeps its counters.
    pub fn apply_settings(&self, enforcement: &Enforcement, ptim: &Ptim) {
        let previous = self.registry.load_full();
        let registry = Arc::new(Registry::new(enforcement, ptim, Some(&previous)));
        registry.register_metrics();
        self.registry.store(Arc::clone(&registry));
        self.admission.revoke_stale(&*registry);
        let is_configured =
            |name: &str| registry.enforcement_points().any(|client| client.name.as_str() == name);
        for removed in
            previous.enforcement_points().filter(|client| !is_configured(client.name.as_str()))
        {
            // The removed point has no lag. Without this, the gauge would keep its last value until
            // the restart.
            LagMeasured { point: removed.name.as_str(), changes: 0 }.emit();
        }
    }

    /// The status of all clients, ordered by name.
    pub fn status(&self) -> Vec<PointStatus> {
        let (registry, newest, now) = (self.registry(), *self.newest.borrow(), self.clock.now());
        let mut all: Vec<_> = registry
            .by_id
            .values()
            .map(|client| client.stats.status(client.role(), newest, now))
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Sets the lag of each enforcement point in the metrics before a scrape: it also grows while a
    /// firewall does not query, when nothing else would set it.
    pub fn measure_lag(&self) {
        let (registry, newest) = (self.registry(), *self.newest.borrow());
        for client in registry.enforcement_points() {
            client.stats.measure_lag(newest);
        }
    }

    pub(super) fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    pub(super) fn newest(&self) -> Revision {
        *self.newest.borrow()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Registry {
    fn new(enforcement: &Enforcement, ptim: &Ptim, previous: Option<&Self>) -> Self {
        let stats = |name: &Name| {
            let kept = previous.and_then(|previous| {
                previous.by_id.values().find(|client| client.name == *name).map(|c| c.stats.clone())
            });
            kept.unwrap_or_else(|| Arc::new(PointStats::new(name)))
        };
        let mut formatters = Vec::new();
        let points = enforcement.points.iter().map(|point| {
            let formatter = ResponseFormatter::new(point.dialect.clone(), point.groups.clone());
            let formatter = SharedFormatter::get_or_insert(&mut formatters, formatter);
            (point.client_id.clone(), Client::point(point, ptim, stats(&point.name), formatter))
        });
        let pushers = ptim.clients.iter().map(|pusher| {
            (pusher.client_id.clone(), Client::pusher(pusher, ptim, stats(&pusher.name)))
        });
        Self {
            by_id: points.chain(pushers).map(|(id, client)| (id, Arc::new(client))).collect(),
            settings: enforcement.clone(),
            push_enabled: ptim.enabled,
        }
    }

    /// Creates the metrics of all enforcement points.
    fn register_metrics(&self) {
        for client in self.enforcement_points() {
            PointRegistered { point: client.name.as_str() }.emit();
        }
    }

    /// The clients that query.
    fn enforcement_points(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.by_id.values().filter(|client| client.query_settings.is_some())
    }

    /// Whether any client may connect from there.
    pub(super) fn allows_source(&self, source: IpAddr) -> bool {
        self.by_id.values().any(|client| client.allows_source(source))
    }
}

impl ClientRegistry for Registry {
    type Client = Client;

    fn client(&self, id: &str) -> Option<&Arc<Client>> {
        self.by_id.get(id)
    }

    fn token_lifetime(&self) -> Duration {
        self.settings.token_lifetime
    }

    fn lockout(&self) -> &Lockout {
        &self.settings.lockout
    }
}

impl CredentialSubject for Client {
    fn secret(&self) -> &SecretHash {
        &self.secret
    }

    fn allows_source(&self, source: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(&source))
    }

    /// Only if its dialect requires it.
    fn allows_query_token(&self) -> bool {
        let settings = self.query_settings.as_ref();
        settings.is_some_and(|settings| settings.dialect.query_token == QueryToken::Accepted)
    }
}

impl Client {
    fn point(
        point: &EnforcementPoint,
        ptim: &Ptim,
        stats: Arc<PointStats>,
        formatter: Arc<SharedFormatter>,
    ) -> Self {
        let mut filter = Filter::default();
        filter.domains.clone_from(&point.domains);
        filter.include.clone_from(&point.include);
        filter.exclude.clone_from(&point.exclude);
        let push_settings = || PushSettings {
            domain: point.push_domain.clone(),
            missing_time: point.push_missing_time,
            ..PushSettings::of(ptim, &point.name)
        };
        Self {
            name: point.name.clone(),
            secret: point.secret.clone(),
            addresses: point.addresses.clone(),
            query_settings: Some(QuerySettings {
                dialect: point.dialect.clone(),
                formatter,
                filter: Arc::new(filter),
            }),
            push_settings: point.push.is_some().then(push_settings),
            stats,
        }
    }

    fn pusher(pusher: &PtimClient, ptim: &Ptim, stats: Arc<PointStats>) -> Self {
        Self {
            name: pusher.name.clone(),
            secret: pusher.secret.clone(),
            addresses: pusher.addresses.clone(),
            query_settings: None,
            push_settings: Some(PushSettings {
                domain: pusher.domain.clone(),
                missing_time: pusher.missing_time,
                ..PushSettings::of(ptim, &pusher.name)
            }),
            stats,
        }
    }

    fn role(&self) -> Role {
        if self.query_settings.is_some() { Role::EnforcementPoint } else { Role::Pusher }
    }
}

impl PushSettings {
    /// The push settings of `client` without any configured options.
    fn of(ptim: &Ptim, client: &Name) -> Self {
        let origin = |form: &str| {
            Arc::new(Origin {
                kind: Producer::Ptim,
                producer: ptim.name.clone(),
                client: client.clone(),
                form: Name::new(form).expect("a plain word is a valid name"),
            })
        };
        let (ptim, json) = (origin("ptim"), origin("json"));
        Self { ptim, json, domain: None, missing_time: MissingTime::default() }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::super::tests::fixture::{point, pushers, settings};
    use super::*;

    #[test]
    fn the_counters_of_a_new_point_start_at_zero() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (_, newest) = watch::channel(Revision(0));
            let (one, other) = (settings(vec![point("one")]), settings(vec![point("other")]));
            let points = Points::new(&one, &pushers(), newest, Clock::system());
            let shown = handle.render();
            for kind in ["batch", "ip", "user"] {
                let line = format!(r#"queries_total{{point="one",kind="{kind}"}} 0"#);
                assert!(shown.contains(&line), "{line}: {shown}");
            }
            assert!(!shown.contains("portal"), "a pusher has no query metrics: {shown}");
            points.apply_settings(&other, &pushers());
            assert!(handle.render().contains(r#"reports_total{point="other"} 0"#));
        });
    }

    #[test]
    fn a_removed_point_has_no_lag() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (_, newest) = watch::channel(Revision(9000));
            let (one, other) = (settings(vec![point("one")]), settings(vec![point("other")]));
            let points = Points::new(&one, &pushers(), newest, Clock::system());
            LagMeasured { point: "one", changes: 9000 }.emit();
            points.apply_settings(&one, &pushers());
            assert!(
                handle.render().contains(r#"lag_revisions{point="one"} 9000"#),
                "the gauge is kept"
            );
            points.apply_settings(&other, &pushers());
            points.measure_lag();
            let shown = handle.render();
            assert!(shown.contains(r#"lag_revisions{point="one"} 0"#), "{shown}");
        });
    }
}
