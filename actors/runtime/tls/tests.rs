//! Certificates are created, kept, renewed, and accepted by a client that has the CA.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rollcall_identity::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

use super::*;

fn self_signed(data: &Path, names: &[&str]) -> SelfSigned {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    SelfSigned::new(data, "enforcement", &["10.9.8.7:443".parse().unwrap()], &names)
}

fn now() -> Timestamp {
    crate::clock::Clock::system().now()
}

/// The handshake of a client that believes `authority` only, in memory.
fn handshake(
    server: &Arc<ServerConfig>,
    authority: &Path,
    name: &str,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority).unwrap() {
        roots.add(certificate).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(server))?;
    let mut wire = Vec::new();
    while client.is_handshaking() || server.is_handshaking() {
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
        wire.clear();
    }
    Ok(())
}

#[test]
fn a_client_that_knows_the_authority_believes_the_self_signed_certificate() {
    let data = tempfile::tempdir().unwrap();
    let server = self_signed(data.path(), &["id.example.net"]).serve(now()).unwrap();
    let authority = authority_file(data.path());
    for name in ["localhost", "127.0.0.1", "::1", "10.9.8.7", "id.example.net"] {
        assert_eq!(handshake(&server, &authority, name), Ok(()), "{name}");
    }
    assert!(handshake(&server, &authority, "other.example.net").is_err());
    let mode = |file: &str| {
        let file = data.path().join("tls").join(file);
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("enforcement.key"), mode("authority.key")), (0o600, 0o600));
}

#[test]
fn a_certificate_is_renewed_on_expiry_or_a_new_name_and_the_ca_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let read = |file: PathBuf| std::fs::read_to_string(file).unwrap();
    let certificate = || read(data.path().join("tls/enforcement.pem"));
    self_signed(data.path(), &["a.example", "b.example"]).serve(now()).unwrap();
    let (first, authority) = (certificate(), read(authority_file(data.path())));

    self_signed(data.path(), &["b.example"]).serve(now()).unwrap();
    assert_eq!(certificate(), first, "it covers more names than required");

    let server = self_signed(data.path(), &["c.example"]).serve(now()).unwrap();
    let second = certificate();
    assert_ne!(second, first, "a name was missing");
    assert_eq!(handshake(&server, &authority_file(data.path()), "c.example"), Ok(()));

    let nine_years = Duration::from_secs(3286 * 24 * 3600);
    self_signed(data.path(), &["c.example"]).serve(now() + nine_years).unwrap();
    assert_ne!(certificate(), second, "it would end within a year");
    assert_eq!(read(authority_file(data.path())), authority);
}

#[test]
fn a_key_of_another_certificate_and_a_file_without_one_are_refused_by_name() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&one, &other] {
        self_signed(folder.path(), &[]).serve(now()).unwrap();
    }
    let certificate = one.path().join("tls/enforcement.pem");
    let key = other.path().join("tls/enforcement.key");
    assert!(from_files(&certificate, &key, ClientAuth::Anonymous).is_err());
    let bad = from_files(&key, &key, ClientAuth::Anonymous).unwrap_err();
    assert!(bad.to_string().ends_with("enforcement.key: holds no certificate"), "{bad}");
}

#[test]
fn a_listener_for_certified_clients_turns_away_those_without() {
    let data = tempfile::tempdir().unwrap();
    self_signed(data.path(), &[]).serve(now()).unwrap();
    let file = |name: &str| data.path().join("tls").join(name);
    let authority = authority_file(data.path());
    let clients = ClientAuth::Certified(&authority);
    let server = from_files(&file("enforcement.pem"), &file("enforcement.key"), clients).unwrap();
    assert!(handshake(&server, &authority, "localhost").is_err());
}

#[test]
fn a_certificate_for_a_wildcard_names_the_host_and_all_its_addresses() {
    let data = tempfile::tempdir().unwrap();
    let made = SelfSigned::new(data.path(), "enforcement", &["[::]:443".parse().unwrap()], &[]);
    let server = made.serve(now()).unwrap();
    let authority = authority_file(data.path());
    let addresses = addresses_of_host();
    assert!(!addresses.is_empty(), "this machine has addresses");
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    for name in addresses.iter().map(ToString::to_string).chain([host]) {
        assert_eq!(handshake(&server, &authority, &name), Ok(()), "{name}");
    }
}

#[test]
fn it_is_the_certificate_that_is_kept_that_covers_a_name() {
    let data = tempfile::tempdir().unwrap();
    let wanted = self_signed(data.path(), &["id.example.net"]);
    assert!(wanted.covers("ID.example.net") && !wanted.covers("other.example.net"), "none is kept");
    self_signed(data.path(), &["other.example.net"]).serve(now()).unwrap();
    assert!(wanted.covers("other.example.net") && wanted.covers("::ffff:10.9.8.7"));
    assert!(!wanted.covers("id.example.net"), "a firewall would reject it until it is renewed");
    wanted.serve(now()).unwrap();
    assert!(wanted.covers("id.example.net"));
}
