//! Names to addresses: by the name servers of the configuration, or those of the machine.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rollcall_wire::dns::{
    DnsError, DnsRecord, RecordType, SrvRecord, decode_response, encode_query,
};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long one name server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that a datagram brings (RFC 6891 is not asked for).
const DATAGRAM: usize = 4096;

/// The name servers of the machine (resolv.conf(5)).
const MACHINE: &str = "/etc/resolv.conf";

/// The port of DNS.
const PORT: u16 = 53;

/// Who is asked.
pub(crate) struct Names<'a> {
    /// The name servers of the configuration; those of the machine when there are none.
    pub(crate) servers: &'a [SocketAddr],
}

/// What is not found, and why.
#[derive(Debug, thiserror::Error)]
#[error("DNS does not tell {what}: {why}")]
pub(crate) struct NotFound {
    /// What was asked for.
    pub(crate) what: String,
    /// What came instead.
    pub(crate) why: NoName,
}

/// Why a name is not found.
#[derive(Debug, thiserror::Error)]
pub enum NoName {
    /// What the system or the network says.
    #[error("{0}")]
    System(#[from] io::Error),
    /// What the name server says.
    #[error("{0}")]
    Answer(#[from] DnsError),
    /// No name server answers.
    #[error("no name server answers within {0:?}")]
    Silent(Duration),
    /// An answer without what was asked for.
    #[error("there is none")]
    None,
}

impl Names<'_> {
    /// The domain controllers of `domain` (MS-ADTS 6.3.2.3), in the order in which they are tried.
    pub(crate) async fn controllers(&self, domain: &str) -> Result<Vec<String>, NotFound> {
        let services = self.services(format!("_ldap._tcp.dc._msdcs.{domain}")).await?;
        Ok(services.into_iter().map(|service| service.host).collect())
    }

    /// Who gives out tickets in `realm` (RFC 4120 section 7.2.3.2): the first that has an address.
    pub(crate) async fn kdc(&self, realm: &str) -> Result<SocketAddr, NotFound> {
        let mut last = None;
        for service in self.services(format!("_kerberos._tcp.{realm}")).await? {
            match self.addresses(&service.host).await {
                Ok(addresses) => match addresses.first() {
                    Some(address) => return Ok(SocketAddr::new(*address, service.port)),
                    None => continue,
                },
                Err(why) => last = Some(why),
            }
        }
        let none = || NotFound { what: format!("a KDC of {realm}"), why: NoName::None };
        Err(last.unwrap_or_else(none))
    }

    /// The services of this name, in the order in which they are tried.
    async fn services(&self, name: String) -> Result<Vec<SrvRecord>, NotFound> {
        let records = match self.ask(&name, RecordType::Srv).await {
            Ok(records) => records,
            Err(why) => return Err(NotFound { what: name, why }),
        };
        let service = |record| match record {
            DnsRecord::Service(service) => Some(service),
            DnsRecord::Address(_) => None,
        };
        let mut services: Vec<SrvRecord> = records.into_iter().filter_map(service).collect();
        if services.is_empty() {
            return Err(NotFound { what: name, why: NoName::None });
        }
        // Among equals chance chooses, by their weights (RFC 2782).
        let drawn = |service: &SrvRecord| {
            let chance = fastrand::f64().powf(1.0 / f64::from(service.weight.max(1)));
            (service.priority, std::cmp::Reverse((chance * 1e9) as u64))
        };
        services.sort_by_cached_key(drawn);
        Ok(services)
    }

    /// The addresses of `host`.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NotFound> {
        let failed = |why| NotFound { what: format!("the address of {host}"), why };
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if self.servers.is_empty() {
            // The machine's own way, with /etc/hosts and all that nsswitch.conf(5) names.
            let found =
                tokio::net::lookup_host((host, 0)).await.map_err(|why| failed(why.into()))?;
            return Ok(found.map(|address| address.ip()).collect());
        }
        let (v4, v6) =
            tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::Aaaa));
        let both = v6.into_iter().flatten().chain(match v4 {
            Ok(records) => records,
            Err(why) => return Err(failed(why)),
        });
        let addresses = both.filter_map(|record| match record {
            DnsRecord::Address(address) => Some(address),
            DnsRecord::Service(_) => None,
        });
        let addresses: Vec<IpAddr> = addresses.collect();
        if addresses.is_empty() { Err(failed(NoName::None)) } else { Ok(addresses) }
    }

    /// What the first name server says that answers.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<DnsRecord>, NoName> {
        let machine;
        let servers = if self.servers.is_empty() {
            machine = of_machine(&std::fs::read_to_string(MACHINE)?);
            machine.as_slice()
        } else {
            self.servers
        };
        let mut last = NoName::None;
        for server in servers {
            match timeout(PATIENCE, ask_one(*server, name, kind)).await {
                Ok(Ok(records)) => return Ok(records),
                Ok(Err(why)) => last = why,
                Err(_) => last = NoName::Silent(PATIENCE),
            }
        }
        Err(last)
    }
}

async fn ask_one(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
) -> Result<Vec<DnsRecord>, NoName> {
    let id = fastrand::u16(..);
    let Some(asked) = encode_query(id, name, kind) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of DNS").into());
    };
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    // Only datagrams of the server arrive at a socket that is connected to it.
    socket.connect(server).await?;
    socket.send(&asked).await?;
    let mut bytes = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut bytes).await?;
        match decode_response(&asked, &bytes[..length]) {
            // Somebody else's answer does not end the waiting for ours.
            Err(rollcall_wire::dns::DnsError::Mismatch) => {}
            found => return Ok(found?),
        }
    }
}

/// The name servers in the text of a resolv.conf.
fn of_machine(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address: IpAddr = words.next().filter(|_| is_server)?.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_servers_of_the_machine_are_read() {
        let text = "# comment\nsearch x.org\nnameserver 10.0.0.1\nnameserver  fe80::1%eth0\n\
                    nameserver 2001:db8::1 # second\noptions ndots:1\n";
        let found: Vec<String> = of_machine(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1:53", "[2001:db8::1]:53"]);
    }
}
