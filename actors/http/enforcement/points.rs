//! The enforcement points and pushing programs in force, what they have bought, and how far each of
//! them is. Shared by everything that answers, and replaced as a whole by a reload.

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

use super::tally::{PointStatus, Role, Tally};
use super::voices::SharedVoice;
use crate::admission::{Admission, Applicant, Register};
use crate::telemetry::{Lagging, PointKnown};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Everybody who may log in, and what is known of them.
pub struct Points {
    roster: ArcSwap<Roster>,
    pub(super) admission: Admission,
    newest: watch::Receiver<Revision>,
    clock: Clock,
}

/// The settings in force, by what they are asked for.
pub(super) struct Roster {
    pub(super) settings: Enforcement,
    pub(super) pushes_are_on: bool,
    by_id: HashMap<String, Arc<Client>>,
}

/// Somebody who logs in.
pub(super) struct Client {
    pub(super) name: Name,
    pub(super) secret: SecretHash,
    addresses: Vec<IpNet>,
    /// How it is answered; `None` for a program that only pushes.
    pub(super) asks: Option<Asks>,
    /// As whom it pushes; `None` for a point that may not.
    pub(super) pushes: Option<Pushing>,
    pub(super) tally: Arc<Tally>,
}

/// What an enforcement point may hear, and how.
pub(super) struct Asks {
    pub(super) dialect: Dialect,
    pub(super) formatter: Arc<SharedVoice>,
    pub(super) filter: Arc<Filter>,
}

/// As whom a client pushes.
pub(super) struct Pushing {
    /// The origin of what comes in a firewall's own form.
    pub(super) ptim: Arc<Origin>,
    /// The origin of what is posted as Rollcall's JSON.
    pub(super) json: Arc<Origin>,
    pub(super) domain: Option<Name>,
    pub(super) untimed: MissingTime,
}

impl Points {
    /// Everybody in the settings. `newest` tells how far the query actor knows.
    pub fn new(
        enforcement: &Enforcement,
        ptim: &Ptim,
        newest: watch::Receiver<Revision>,
        clock: Clock,
    ) -> Self {
        let roster = Roster::new(enforcement, ptim, None);
        roster.introduce();
        Self {
            roster: ArcSwap::from_pointee(roster),
            admission: Admission::new(clock.clone()),
            newest,
            clock,
        }
    }

    /// Puts other settings in force, from the next request on. Whoever keeps its secret keeps its
    /// tokens, whoever keeps its name its counters.
    pub fn govern(&self, enforcement: &Enforcement, ptim: &Ptim) {
        let before = self.roster.load_full();
        let roster = Arc::new(Roster::new(enforcement, ptim, Some(&before)));
        roster.introduce();
        self.roster.store(Arc::clone(&roster));
        self.admission.govern(&*roster);
        let asks = |name: &str| roster.asking().any(|client| client.name.as_str() == name);
        for gone in before.asking().filter(|client| !asks(client.name.as_str())) {
            // Nobody waits for it any more. A gauge that is left would stay until the restart.
            Lagging { point: gone.name.as_str(), changes: 0 }.emit();
        }
    }

    /// How everybody is doing, in the order of their names.
    pub fn status(&self) -> Vec<PointStatus> {
        let (roster, newest, now) = (self.roster(), *self.newest.borrow(), self.clock.now());
        let mut all: Vec<_> = roster
            .by_id
            .values()
            .map(|client| client.tally.status(client.role(), newest, now))
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Sets the lag of each enforcement point in the metrics, for before they are scraped: it grows
    /// while a firewall does not ask, when nothing else would set it.
    pub fn measure_lag(&self) {
        let (roster, newest) = (self.roster(), *self.newest.borrow());
        for client in roster.asking() {
            client.tally.measure_lag(newest);
        }
    }

    pub(super) fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }

    pub(super) fn newest(&self) -> Revision {
        *self.newest.borrow()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Roster {
    fn new(enforcement: &Enforcement, ptim: &Ptim, before: Option<&Self>) -> Self {
        let tally = |name: &Name| {
            let kept = before.and_then(|before| {
                before.by_id.values().find(|client| client.name == *name).map(|c| c.tally.clone())
            });
            kept.unwrap_or_else(|| Arc::new(Tally::new(name)))
        };
        let mut voices = Vec::new();
        let points = enforcement.points.iter().map(|point| {
            let formatter = ResponseFormatter::new(point.dialect.clone(), point.groups.clone());
            let formatter = SharedVoice::among(&mut voices, formatter);
            (point.client_id.clone(), Client::point(point, ptim, tally(&point.name), formatter))
        });
        let pushers = ptim.clients.iter().map(|pusher| {
            (pusher.client_id.clone(), Client::pusher(pusher, ptim, tally(&pusher.name)))
        });
        Self {
            by_id: points.chain(pushers).map(|(id, client)| (id, Arc::new(client))).collect(),
            settings: enforcement.clone(),
            pushes_are_on: ptim.enabled,
        }
    }

    /// Lets the metrics know everybody who may ask.
    fn introduce(&self) {
        for client in self.asking() {
            PointKnown { point: client.name.as_str() }.emit();
        }
    }

    /// Those who ask who is where.
    fn asking(&self) -> impl Iterator<Item = &Arc<Client>> {
        self.by_id.values().filter(|client| client.asks.is_some())
    }

    /// Whether anybody may connect from there.
    pub(super) fn knows(&self, source: IpAddr) -> bool {
        self.by_id.values().any(|client| client.may_come_from(source))
    }
}

impl Register for Roster {
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

impl Applicant for Client {
    fn secret(&self) -> &SecretHash {
        &self.secret
    }

    fn may_come_from(&self, source: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(&source))
    }

    /// Only where its dialect needs that.
    fn may_show_in_query(&self) -> bool {
        let asks = self.asks.as_ref();
        asks.is_some_and(|asks| asks.dialect.query_token == QueryToken::Accepted)
    }
}

impl Client {
    fn point(
        point: &EnforcementPoint,
        ptim: &Ptim,
        tally: Arc<Tally>,
        formatter: Arc<SharedVoice>,
    ) -> Self {
        let mut filter = Filter::default();
        filter.domains.clone_from(&point.domains);
        filter.include.clone_from(&point.include);
        filter.exclude.clone_from(&point.exclude);
        let pushing = || Pushing {
            domain: point.push_domain.clone(),
            untimed: point.push_untimed,
            ..Pushing::of(ptim, &point.name)
        };
        Self {
            name: point.name.clone(),
            secret: point.secret.clone(),
            addresses: point.addresses.clone(),
            asks: Some(Asks {
                dialect: point.dialect.clone(),
                formatter,
                filter: Arc::new(filter),
            }),
            pushes: point.push.is_some().then(pushing),
            tally,
        }
    }

    fn pusher(pusher: &PtimClient, ptim: &Ptim, tally: Arc<Tally>) -> Self {
        Self {
            name: pusher.name.clone(),
            secret: pusher.secret.clone(),
            addresses: pusher.addresses.clone(),
            asks: None,
            pushes: Some(Pushing {
                domain: pusher.domain.clone(),
                untimed: pusher.untimed,
                ..Pushing::of(ptim, &pusher.name)
            }),
            tally,
        }
    }

    fn role(&self) -> Role {
        if self.asks.is_some() { Role::EnforcementPoint } else { Role::Pusher }
    }
}

impl Pushing {
    /// The pushes of `client`, as far as nothing is configured for them.
    fn of(ptim: &Ptim, client: &Name) -> Self {
        let origin = |form: &str| {
            Arc::new(Origin {
                kind: Producer::Ptim,
                producer: ptim.name.clone(),
                client: client.clone(),
                form: Name::new(form).expect("a plain word is a name"),
            })
        };
        let (ptim, json) = (origin("ptim"), origin("json"));
        Self { ptim, json, domain: None, untimed: MissingTime::default() }
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::super::tests::house::{point, pushers, settings};
    use super::*;

    #[test]
    fn the_counters_of_a_point_begin_at_zero_when_it_becomes_known() {
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
            assert!(!shown.contains("portal"), "it only pushes: {shown}");
            points.govern(&other, &pushers());
            assert!(handle.render().contains(r#"reports_total{point="other"} 0"#));
        });
    }

    #[test]
    fn a_point_that_is_taken_out_lags_no_more() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let (_, newest) = watch::channel(Revision(9000));
            let (one, other) = (settings(vec![point("one")]), settings(vec![point("other")]));
            let points = Points::new(&one, &pushers(), newest, Clock::system());
            Lagging { point: "one", changes: 9000 }.emit();
            points.govern(&one, &pushers());
            assert!(handle.render().contains(r#"lag_revisions{point="one"} 9000"#), "it stays");
            points.govern(&other, &pushers());
            points.measure_lag();
            let shown = handle.render();
            assert!(shown.contains(r#"lag_revisions{point="one"} 0"#), "{shown}");
        });
    }
}
