//! An LDAP server that rejects every bind and counts them, for results that Samba does not return.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use rollcall_wire::ldap::{BerReader, element, frame_length, integer, octets};

/// The tags of a bind request and a bind response (RFC 4511 section 4.2).
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;

/// LDAP servers on port 389 of several addresses.
pub(crate) struct RejectingServers {
    binds: Arc<AtomicUsize>,
}

impl RejectingServers {
    /// Listens on port 389 of each of `addresses`. Every bind is rejected as a Windows server does it,
    /// with the error `data`, for example `52e`.
    pub(crate) fn start(addresses: &[&str], data: &'static str) -> Self {
        let binds = Arc::<AtomicUsize>::default();
        for address in addresses {
            let listener = TcpListener::bind((*address, 389)).unwrap();
            let binds = Arc::clone(&binds);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let binds = Arc::clone(&binds);
                    thread::spawn(move || serve(stream, data, &binds));
                }
            });
        }
        Self { binds }
    }

    /// The number of bind requests so far.
    pub(crate) fn binds(&self) -> usize {
        self.binds.load(SeqCst)
    }
}

/// Rejects the binds on one connection until the client closes it.
fn serve(mut stream: TcpStream, data: &str, binds: &AtomicUsize) {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        while let Ok(Some(length)) = frame_length(&received)
            && length <= received.len()
        {
            let mut message = BerReader::new(&received[..length]).within(0x30).unwrap();
            let id = message.number(2).unwrap();
            if !matches!(message.any(), Ok((BIND_REQUEST, _))) {
                return;
            }
            binds.fetch_add(1, SeqCst);
            let diagnostic = format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1"
            );
            let text = octets(diagnostic.as_bytes());
            let result = element(BIND_RESPONSE, &[&element(10, &[&[49]]), &octets(b""), &text]);
            let response = element(0x30, &[&integer(2, id), &result]);
            if stream.write_all(&response).is_err() {
                return;
            }
            received.drain(..length);
        }
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => received.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
}
