//! The endpoint mapper on TCP port 135, which returns the port of an interface; most servers assign
//! a new port at each start. C706 appendix O, MS-RPCE section 2.2.1.2.5.

mod tower;

use std::num::NonZeroU16;

use strum::IntoStaticStr;

use super::ndr::{ContextHandle, NdrError, NdrErrorKind, NdrReader, NdrWriter};
use super::{Fault, FaultStatus, Interface, Uuid};
use tower::Tower;

/// The interface of the endpoint mapper.
pub const INTERFACE: Interface =
    Interface::new(Uuid::new(0xe1af_8308, 0x5d1f, 0x11c9, 0x91a4_0800_2b14_a0fa), 3, 0);

/// The TCP port of the endpoint mapper.
pub const PORT: u16 = 135;

/// The operation `ept_map`.
pub const MAP: u16 = 3;

/// The maximum number of requested endpoints. A server has one TCP port per interface, or one for
/// each of its processes.
const MAX_TOWERS: u32 = 4;

/// Why no port was returned. The variant names are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum EndpointError {
    /// The server does not have the interface, or its service is not running.
    #[error("the server has no endpoint of the interface: its service is not running")]
    NotRegistered,
    /// The endpoint mapper requires authentication (`RestrictRemoteClients`).
    #[error("the endpoint mapper denies access: it requires authentication")]
    AccessDenied,
    /// The interface is available, but not over TCP.
    #[error("the server has endpoints of the interface, but none over TCP")]
    NotOverTcp,
    /// The endpoint mapper returned an error status (C706 appendix E).
    #[error("the endpoint mapper failed with status {0:#x}")]
    Status(u32),
    /// The call itself failed.
    #[error("the call to the endpoint mapper failed: {0}")]
    Fault(FaultStatus),
    /// The response cannot be decoded.
    #[error("the response of the endpoint mapper is invalid: {0}")]
    Stub(#[from] NdrError),
}

impl From<Fault> for EndpointError {
    fn from(fault: Fault) -> Self {
        match fault.status.is_access_denied() {
            true => Self::AccessDenied,
            false => Self::Fault(fault.status),
        }
    }
}

/// Encodes the stub of `ept_map` for an interface over TCP.
pub fn map_request(interface: &Interface) -> Vec<u8> {
    let mut writer = NdrWriter::new();
    writer.unique(Some(&Uuid::NIL), NdrWriter::uuid); // any object
    writer.unique(Some(Tower::over_tcp(*interface)), |writer, tower| tower.write(writer));
    writer.context_handle(&ContextHandle::NULL); // from the beginning
    writer.u32(MAX_TOWERS);
    writer.finish()
}

/// The TCP port in the response to [`map_request`]. The address next to it is ignored: a server
/// behind NAT does not know its own.
///
/// # Errors
/// There is no port; each reason is a message for the administrator.
pub fn map_response(stub: &[u8], interface: &Interface) -> Result<NonZeroU16, EndpointError> {
    let mut reader = NdrReader::new(stub);
    reader.context_handle()?;
    let count = reader.u32()?;
    let towers = reader.varying(4)?;
    if u32::try_from(towers) != Ok(count) {
        return Err(reader.bad(NdrErrorKind::Bounds).into());
    }
    let pointers: Vec<_> = (0..towers).map(|_| reader.pointer()).collect::<Result<_, _>>()?;
    let mut port = None;
    for pointer in pointers {
        let tower = reader.referent(pointer, Tower::read)?.flatten();
        port = port.or(tower.and_then(|tower| tower.port_of(interface)));
    }
    let status = reader.u32()?;
    reader.finish()?;
    match (status, port) {
        (0, Some(port)) => Ok(port),
        (0, None) if towers > 0 => Err(EndpointError::NotOverTcp),
        (0 | NOT_REGISTERED, _) => Err(EndpointError::NotRegistered),
        (status, _) if FaultStatus(status).is_access_denied() => Err(EndpointError::AccessDenied),
        (status, _) => Err(EndpointError::Status(status)),
    }
}

/// `ept_s_not_registered` (C706 appendix E).
const NOT_REGISTERED: u32 = 0x16c9_a0d6;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: Interface =
        Interface::new(Uuid::new(0xf6be_aff7, 0x1e19, 0x4fbb, 0x9f8f_b89e_2018_337c), 1, 0);

    /// The response of Samba 4.17.12 for MS-EVEN6, without the PDU header.
    const ANSWER: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\0\0\0\0\0\0\0\
        \x01\0\0\0\x03\0\0\0\x4b\0\0\0\x4b\0\0\0\x05\0\x13\0\x0d\xf7\xaf\xbe\xf6\x19\x1e\xbb\x4f\
        \x9f\x8f\xb8\x9e\x20\x18\x33\x7c\x01\0\x02\0\0\0\x13\0\x0d\x04\x5d\x88\x8a\xeb\x1c\xc9\
        \x11\x9f\xe8\x08\0\x2b\x10\x48\x60\x02\0\x02\0\0\0\x01\0\x0b\x02\0\0\0\x01\0\x07\x02\0\
        \xc0\x01\x01\0\x09\x04\0\0\0\0\0\0\0\0\0\0";

    /// Its response for an unknown interface.
    const NOTHING: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\
        \0\0\0\0\xd6\xa0\xc9\x16";

    fn changed(at: usize, value: u8) -> Vec<u8> {
        let mut stub = ANSWER.to_vec();
        stub[at] = value;
        stub
    }

    #[test]
    fn request_matches_the_one_samba_answered() {
        let wanted = b"\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\x02\0\x4b\0\0\0\x4b\0\0\0\
            \x05\0\x13\0\x0d\xf7\xaf\xbe\xf6\x19\x1e\xbb\x4f\x9f\x8f\xb8\x9e\x20\x18\x33\x7c\
            \x01\0\x02\0\0\0\x13\0\x0d\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\0\x2b\x10\
            \x48\x60\x02\0\x02\0\0\0\x01\0\x0b\x02\0\0\0\x01\0\x07\x02\0\0\0\x01\0\x09\x04\0\0\0\
            \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0";
        assert_eq!(map_request(&EVENTS), wanted);
    }

    #[test]
    fn port_is_decoded_from_the_tower() {
        assert_eq!(map_response(ANSWER, &EVENTS), Ok(NonZeroU16::new(49153).unwrap()));
    }

    #[test]
    fn missing_port_has_a_reason() {
        assert_eq!(map_response(NOTHING, &EVENTS), Err(EndpointError::NotRegistered));
        let over_pipes = changed(109, 0x0f);
        assert_eq!(map_response(&over_pipes, &EVENTS), Err(EndpointError::NotOverTcp));
        assert_eq!(map_response(ANSWER, &INTERFACE), Err(EndpointError::NotOverTcp));
        let other_port = changed(112, 0);
        assert_eq!(map_response(&other_port, &EVENTS).map(NonZeroU16::get), Ok(1));
        let mut no_port = other_port;
        no_port[113] = 0;
        assert_eq!(map_response(&no_port, &EVENTS), Err(EndpointError::NotOverTcp));
        let mut refused = NOTHING.to_vec();
        refused[36..].copy_from_slice(&[5, 0, 0, 0]);
        assert_eq!(map_response(&refused, &EVENTS), Err(EndpointError::AccessDenied));
        refused[36..].copy_from_slice(&[0xd0, 0xa0, 0xc9, 0x16]);
        assert_eq!(map_response(&refused, &EVENTS), Err(EndpointError::Status(0x16c9_a0d0)));
        let denied = Fault { status: FaultStatus::ACCESS_DENIED, did_not_execute: false };
        assert_eq!(EndpointError::from(denied), EndpointError::AccessDenied);
        let unknown = Fault { status: FaultStatus(1), did_not_execute: true };
        assert_eq!(EndpointError::from(unknown), EndpointError::Fault(FaultStatus(1)));
    }

    #[test]
    fn contradictory_response_is_rejected() {
        for stub in [changed(20, 2), changed(32, 5), changed(32, 0), ANSWER[..120].to_vec()] {
            assert!(
                matches!(map_response(&stub, &EVENTS), Err(EndpointError::Stub(_))),
                "{stub:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_response_is_decoded_or_rejected(
            changes in proptest::collection::vec((0..ANSWER.len(), any::<u8>()), 0..4),
            end in 0..=ANSWER.len(),
            rest in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut stub = ANSWER.to_vec();
            for (at, value) in changes {
                stub[at] = value;
            }
            stub.truncate(end);
            stub.extend(rest);
            let _ = map_response(&stub, &EVENTS);
        }
    }
}
