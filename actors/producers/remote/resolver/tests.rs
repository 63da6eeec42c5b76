//! Tests of name resolution against name servers on loopback.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA};
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable};
use std::io::{Read, Write};

use super::*;

/// The answers of a name server; `None` for a name that does not exist.
type Answers = fn(&str, RecordType) -> Option<Vec<RData>>;

/// A name server on UDP and TCP. Its UDP responses are limited to 512 bytes, or to what the request
/// allows (EDNS, RFC 6891) if it is less than `limit`.
struct NameServer {
    address: SocketAddr,
    tcp_queries: Arc<AtomicUsize>,
    udp_queries: Arc<AtomicUsize>,
}

impl NameServer {
    fn start(limit: usize, answers: Answers) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        let tcp = TcpListener::bind(address).unwrap();
        let (tcp_queries, udp_queries) = (Arc::default(), Arc::default());
        let server = Self { address, tcp_queries, udp_queries };
        let counter = Arc::clone(&server.udp_queries);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, client)) = udp.recv_from(&mut buffer) {
                counter.fetch_add(1, SeqCst);
                let request = Message::from_bytes(&buffer[..length]).unwrap();
                let allowed = request.edns.as_ref().map_or(512, |edns| edns.max_payload().into());
                let mut response = respond(&request, answers);
                if response.to_bytes().unwrap().len() > limit.min(allowed) {
                    response.answers.clear();
                    response.metadata.truncation = true;
                }
                udp.send_to(&response.to_bytes().unwrap(), client).unwrap();
            }
        });
        let counter = Arc::clone(&server.tcp_queries);
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let mut length = [0; 2];
                while stream.read_exact(&mut length).is_ok() {
                    counter.fetch_add(1, SeqCst);
                    let mut request = vec![0; u16::from_be_bytes(length).into()];
                    stream.read_exact(&mut request).unwrap();
                    let request = Message::from_bytes(&request).unwrap();
                    let response = respond(&request, answers).to_bytes().unwrap();
                    let length = u16::try_from(response.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &response].concat()).unwrap();
                }
            }
        });
        server
    }

    fn queries(&self) -> (usize, usize) {
        (self.udp_queries.load(SeqCst), self.tcp_queries.load(SeqCst))
    }
}

fn respond(request: &Message, answers: Answers) -> Message {
    let query = request.queries[0].clone();
    let mut response = Message::response(request.metadata.id, request.metadata.op_code);
    response.metadata.message_type = MessageType::Response;
    response.metadata.recursion_available = true;
    match answers(&query.name().to_ascii().to_lowercase(), query.query_type()) {
        Some(found) => {
            let record = |data| Record::from_rdata(query.name().clone(), 60, data);
            response.answers = found.into_iter().map(record).collect();
        }
        None => response.metadata.response_code = ResponseCode::NXDomain,
    }
    response.queries = vec![query];
    response
}

fn resolve<T>(lookup: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(lookup)
}

fn srv(priority: u16, weight: u16, host: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, 389, Name::from_ascii(host).unwrap()))
}

/// Eleven controllers with names of realistic length: 700 bytes.
fn eleven(name: &str, kind: RecordType) -> Option<Vec<RData>> {
    let is_known = name == "_ldap._tcp.dc._msdcs.corp.example.com." && kind == RecordType::SRV;
    let host = |number| format!("domain-controller-{number:02}.headquarters.corp.example.com.");
    is_known.then(|| (0..11).map(|number| srv(0, 100, &host(number))).collect())
}

#[test]
fn eleven_controllers_are_found_over_tcp_if_the_datagram_is_truncated() {
    let server = NameServer::start(512, eleven);
    let resolver = Resolver::new(&[server.address]);
    let found = resolve(resolver.domain_controllers("corp.example.com")).unwrap();
    assert_eq!(found.len(), 11);
    assert!(found.contains(&"domain-controller-10.headquarters.corp.example.com".to_owned()));
    assert!(server.queries().1 >= 1, "{:?}", server.queries());
}

#[test]
fn eleven_controllers_fit_into_one_datagram_with_edns() {
    let server = NameServer::start(4096, eleven);
    let resolver = Resolver::new(&[server.address]);
    let found = resolve(resolver.domain_controllers("corp.example.com")).unwrap();
    assert_eq!((found.len(), server.queries()), (11, (1, 0)));
}

#[test]
fn controllers_are_ordered_by_priority_and_a_weight_of_zero_is_allowed() {
    let server = NameServer::start(4096, |_, _| {
        Some(vec![srv(10, 0, "last.x."), srv(0, 0, "first.x."), srv(5, 1, "second.x.")])
    });
    let resolver = Resolver::new(&[server.address]);
    let found = resolve(resolver.domain_controllers("x")).unwrap();
    assert_eq!(found, ["first.x", "second.x", "last.x"]);
}

#[test]
fn the_next_name_server_is_asked_if_one_is_silent_or_does_not_know_the_name() {
    let ignorant = NameServer::start(4096, |_, _| None);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = NameServer::start(4096, |_, kind| {
        Some(match kind {
            RecordType::A => vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))],
            RecordType::AAAA => vec![RData::AAAA(AAAA("2001:db8::1".parse().unwrap()))],
            _ => Vec::new(),
        })
    });
    for first in [ignorant.address, silent.local_addr().unwrap()] {
        let resolver = Resolver::new(&[first, server.address]);
        let found = resolve(resolver.addresses("dc1.x")).unwrap();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2001:db8::1", "192.0.2.1"]);
    }
}

#[test]
fn a_name_without_a_record_has_an_error_that_names_it() {
    let server = NameServer::start(4096, |_, _| None);
    let resolver = Resolver::new(&[server.address]);
    let error = resolve(resolver.addresses("dc9.x")).unwrap_err().to_string();
    assert!(error.starts_with("cannot resolve the address of dc9.x: "), "{error}");
    let error = resolve(resolver.kdc("x")).unwrap_err().to_string();
    assert!(error.starts_with("cannot resolve _kerberos._tcp.x: "), "{error}");
    let empty = NameServer::start(4096, |_, _| Some(Vec::new()));
    let error = resolve(Resolver::new(&[empty.address]).addresses("dc9.x")).unwrap_err();
    assert!(error.to_string().starts_with("cannot resolve the address of dc9.x: "), "{error}");
}

#[test]
fn the_kdc_is_the_first_whose_host_has_an_address() {
    let server = NameServer::start(4096, |name, kind| match (name, kind) {
        ("_kerberos._tcp.x.", RecordType::SRV) => {
            Some(vec![srv(0, 0, "gone.x."), srv(1, 0, "dc1.x.")])
        }
        ("dc1.x.", RecordType::A) => Some(vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))]),
        ("dc1.x.", RecordType::AAAA) => Some(Vec::new()),
        _ => None,
    });
    let resolver = Resolver::new(&[server.address]);
    let kdc = resolve(resolver.kdc("x")).unwrap();
    assert_eq!(kdc.to_string(), "192.0.2.1:389");
}
