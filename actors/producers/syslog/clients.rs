//! The configured syslog clients: how they are identified, and how their lines are decoded.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use ipnet::IpNet;
use rollcall_config as config;
use rollcall_identity::{Name, Origin, Producer as ProducerKind, Timestamp};
use rollcall_wire::syslog::{
    ClientDefaults, LineReader, LookupTables, SenderClock, TemplateField, TimeSource,
};

/// The configured clients of one syslog producer.
pub(super) struct Clients {
    clients: Vec<Arc<Client>>,
    /// Every network with its client, the narrowest first.
    networks: Vec<(IpNet, usize)>,
}

/// A configured client.
pub(super) struct Client {
    /// Its index among the clients of the producer.
    pub place: usize,
    /// The configured name.
    pub name: Name,
    /// Its templates.
    pub reader: LineReader,
    zone: jiff::tz::TimeZone,
    /// The number of its open connections.
    pub streams: AtomicUsize,
    certificate_names: Vec<String>,
    rate_limit: Option<RateLimit>,
}

impl Clients {
    /// The clients as configured.
    pub(super) fn new(settings: &config::Syslog) -> Self {
        let client = |(place, client)| Arc::new(Client::new(settings, client, place));
        let clients: Vec<_> = settings.clients.iter().enumerate().map(client).collect();
        let mut networks: Vec<_> = settings
            .clients
            .iter()
            .enumerate()
            .flat_map(|(index, client)| client.addresses.iter().map(move |net| (*net, index)))
            .collect();
        networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        Self { clients, networks }
    }

    /// The number of clients.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// The client at `place`.
    pub(super) fn by_place(&self, place: usize) -> Option<&Arc<Client>> {
        self.clients.get(place)
    }

    /// The clocks of all clients, in the order of their places, for one reader.
    pub(super) fn clocks(&self) -> Vec<SenderClock> {
        self.clients.iter().map(|client| SenderClock::new(client.zone.clone())).collect()
    }

    /// The client that sends from `address`.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Arc<Client>> {
        let address = address.to_canonical();
        let (_, index) = self.networks.iter().find(|(network, _)| network.contains(&address))?;
        self.clients.get(*index)
    }

    /// The client whose certificate has one of `names`.
    pub(super) fn named(&self, names: &[String]) -> Option<&Arc<Client>> {
        let shown = |known: &String| names.iter().any(|name| name.eq_ignore_ascii_case(known));
        self.clients.iter().find(|client| client.certificate_names.iter().any(shown))
    }
}

impl Client {
    fn new(settings: &config::Syslog, client: &config::SyslogClient, place: usize) -> Self {
        let origin = |form: &Name| {
            Arc::new(Origin {
                kind: ProducerKind::Syslog,
                producer: settings.name.clone(),
                client: client.name.clone(),
                form: form.clone(),
            })
        };
        let templates =
            client.templates.iter().map(|t| (Arc::clone(&t.template), origin(t.name())));
        let templates = templates.collect();
        Self {
            place,
            name: client.name.clone(),
            reader: LineReader::new(templates, defaults(client)),
            zone: client.zone.clone(),
            streams: AtomicUsize::new(0),
            certificate_names: client.certificate_names.clone(),
            rate_limit: settings.limits.lines_per_second.map(RateLimit::new),
        }
    }

    /// Whether one more line at `now` is within the rate limit of the client.
    pub(super) fn may_send(&self, now: Timestamp) -> bool {
        self.rate_limit.as_ref().is_none_or(|rate_limit| rate_limit.take(now))
    }
}

/// The defaults of a client for all its lines: domain, maps, time zone and event time source.
pub fn defaults(client: &config::SyslogClient) -> ClientDefaults {
    let mut maps = LookupTables::default();
    for (field, map) in &client.maps {
        if let Ok(field) = field.parse::<TemplateField>() {
            map.values.iter().for_each(|(from, to)| maps.insert(field, from, to));
        }
    }
    let time = match client.event_time {
        config::EventTimeSource::Sender => TimeSource::Sender,
        config::EventTimeSource::Arrival => TimeSource::Arrival,
    };
    ClientDefaults { domain: client.domain.clone(), maps, zone: client.zone.clone(), time }
}

/// A rate limit in lines per second. One atomic word holds the second and the lines counted in it, so
/// that all sockets of a client share the limit without a lock.
struct RateLimit {
    per_second: u32,
    taken: AtomicU64,
}

impl RateLimit {
    fn new(per_second: u32) -> Self {
        Self { per_second, taken: AtomicU64::new(0) }
    }

    fn take(&self, now: Timestamp) -> bool {
        let second = u64::from((now.millis() / 1000) as u32) << 32;
        let word = self.taken.load(Relaxed);
        let taken = if word & !u64::from(u32::MAX) == second { word as u32 } else { 0 };
        if taken >= self.per_second {
            return false;
        }
        // Two sockets that count at the same time may count one line instead of two. The limit need
        // not be exact.
        self.taken.store(second | u64::from(taken + 1), Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rate_limit_is_renewed_each_second() {
        let (rate_limit, at) = (RateLimit::new(2), Timestamp::from_millis);
        assert!(rate_limit.take(at(1_000)) && rate_limit.take(at(1_500)));
        assert!(!rate_limit.take(at(1_999)), "two were taken in this second");
        assert!(rate_limit.take(at(2_000)));
    }
}
