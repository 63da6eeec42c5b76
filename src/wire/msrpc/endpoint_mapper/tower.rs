//! Protocol towers: one way to reach an interface, as a list of floors. C706 appendix L, MS-RPCE
//! section 3.1.3.5.3.

use std::num::NonZeroU16;

use crate::msrpc::Interface;
use crate::msrpc::ndr::{NdrError, NdrErrorKind, NdrReader, NdrWriter};

/// Protocol identifiers (C706 appendix I).
const UUID: u8 = 0x0d;
const CONNECTION_ORIENTED: u8 = 0x0b;
const TCP: u8 = 0x07;
const IP: u8 = 0x09;

/// The encoded floor: the protocol identifier, and its address data.
type Floor<'a> = (&'a [u8], &'a [u8]);

/// A tower that ends in TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tower {
    interface: Interface,
    syntax: Interface,
    /// 0 in a request.
    port: u16,
}

impl Tower {
    /// The tower of a request for the port of an interface.
    pub(super) const fn over_tcp(interface: Interface) -> Self {
        Self { interface, syntax: Interface::NDR, port: 0 }
    }

    /// The port, if the tower is for this interface. A server may have a later minor version.
    pub(super) fn port_of(&self, interface: &Interface) -> Option<NonZeroU16> {
        let fits = self.interface.uuid == interface.uuid
            && self.interface.major == interface.major
            && self.interface.minor >= interface.minor
            && self.syntax == Interface::NDR;
        NonZeroU16::new(self.port).filter(|_| fits)
    }

    /// Writes a `twr_t`: a conformant array of bytes, with its length repeated.
    pub(super) fn write(self, writer: &mut NdrWriter) {
        let mut octets = 5_u16.to_le_bytes().to_vec();
        for interface in [&self.interface, &self.syntax] {
            let mut left = vec![UUID];
            left.extend(interface.uuid.wire());
            left.extend(interface.major.to_le_bytes());
            write_floor(&mut octets, (&left, &interface.minor.to_le_bytes()));
        }
        write_floor(&mut octets, (&[CONNECTION_ORIENTED], &[0, 0]));
        write_floor(&mut octets, (&[TCP], &self.port.to_be_bytes()));
        write_floor(&mut octets, (&[IP], &[0; 4]));
        writer.conformance(octets.len());
        writer.conformance(octets.len());
        writer.bytes(&octets);
        writer.align(4);
    }

    /// Reads a `twr_t`; `None` for a tower of other protocols.
    pub(super) fn read(reader: &mut NdrReader<'_>) -> Result<Option<Self>, NdrError> {
        let count = reader.conformance(1)?;
        if usize::try_from(reader.u32()?) != Ok(count) {
            return Err(reader.bad(NdrErrorKind::Bounds));
        }
        let octets = reader.bytes(count)?;
        reader.align(4)?;
        let bad = reader.bad(NdrErrorKind::Value);
        Ok(Self::from_floors(&floors(octets).ok_or(bad)?))
    }

    fn from_floors(floors: &[Floor<'_>]) -> Option<Self> {
        let [interface, syntax, ([CONNECTION_ORIENTED], _), ([TCP], port), ..] = floors else {
            return None;
        };
        let port = u16::from_be_bytes(port.first_chunk().copied()?);
        Some(Self {
            interface: read_interface(*interface)?,
            syntax: read_interface(*syntax)?,
            port,
        })
    }
}

fn write_floor(octets: &mut Vec<u8>, (left, right): Floor<'_>) {
    for side in [left, right] {
        let length = u16::try_from(side.len()).expect("a side of a floor has at most 19 bytes");
        octets.extend(length.to_le_bytes());
        octets.extend_from_slice(side);
    }
}

/// The floors of a tower; `None` when they do not match its length.
fn floors(octets: &[u8]) -> Option<Vec<Floor<'_>>> {
    let (count, mut rest) = octets.split_first_chunk::<2>()?;
    let mut floors = Vec::new();
    for _ in 0..u16::from_le_bytes(*count) {
        floors.push((side(&mut rest)?, side(&mut rest)?));
    }
    rest.is_empty().then_some(floors)
}

fn side<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (side, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
    *rest = after;
    Some(side)
}

fn read_interface((left, right): Floor<'_>) -> Option<Interface> {
    let (&[UUID], uuid) = left.split_first_chunk::<1>()? else { return None };
    let mut reader = NdrReader::new(uuid);
    let (uuid, major) = (reader.uuid().ok()?, reader.u16().ok()?);
    let minor = u16::from_le_bytes(right.first_chunk().copied()?);
    Some(Interface::new(uuid, major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msrpc::Uuid;
    use proptest::prelude::*;

    fn read(tower: &[u8]) -> Result<Option<Tower>, NdrError> {
        let mut stub = NdrWriter::new();
        stub.conformance(tower.len());
        stub.byte_array(tower);
        stub.align(4);
        Tower::read(&mut NdrReader::new(&stub.finish()))
    }

    #[test]
    fn other_protocols_are_ignored() {
        // A tower of Samba 4.17.12 for a named pipe.
        let tower = b"\x05\0\x13\0\x0d\xa4\xc2\xab\x50\x4d\x57\xb3\x40\x9d\x66\xee\x4f\xd5\xfb\xa0\
            \x76\x05\0\x02\0\0\0\x13\0\x0d\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\0\x2b\x10\
            \x48\x60\x02\0\x02\0\0\0\x01\0\x0b\x02\0\0\0\x01\0\x0f\x10\0\\pipe\\dnsserver\0\
            \x01\0\x11\x01\0\0";
        assert_eq!(read(tower), Ok(None));
        let cut = &tower[..tower.len() - 1];
        assert_eq!(read(cut).map_err(|bad| bad.problem), Err(NdrErrorKind::Value));
        let longer = [&tower[..], b"!"].concat();
        assert_eq!(read(&longer).map_err(|bad| bad.problem), Err(NdrErrorKind::Value));
        assert_eq!(read(b"\0\0"), Ok(None));
    }

    #[test]
    fn later_minor_version_matches_and_another_syntax_does_not() {
        let interface = |major, minor| Interface::new(Uuid::new(1, 2, 3, 4), major, minor);
        let tower = Tower { port: 7, ..Tower::over_tcp(interface(2, 3)) };
        for (wanted, fits) in [((2, 3), true), ((2, 2), true), ((2, 4), false), ((1, 3), false)] {
            let port = tower.port_of(&interface(wanted.0, wanted.1));
            assert_eq!(port.is_some(), fits, "{wanted:?}");
        }
        assert_eq!(Tower { port: 0, ..tower }.port_of(&interface(2, 3)), None);
        // NDR64: the port may be the same, but the transfer syntax differs.
        let ndr64 = Uuid::new(0x7171_0533, 0xbeba, 0x4937, 0x8319_b5db_ef9c_cc36);
        let syntax = Interface::new(ndr64, 1, 0);
        assert_eq!(Tower { syntax, ..tower }.port_of(&interface(2, 3)), None);
    }

    proptest! {
        #[test]
        fn encoding_round_trips(
            uuid: [u8; 16], major: u16, minor: u16, port: u16, before in 0_usize..9,
        ) {
            let interface = Interface::new(Uuid::from_wire(uuid), major, minor);
            let tower = Tower { port, ..Tower::over_tcp(interface) };
            let mut writer = NdrWriter::new();
            writer.bytes(&vec![0; before]);
            tower.write(&mut writer);
            let stub = writer.finish();
            let mut reader = NdrReader::new(&stub);
            reader.bytes(before).unwrap();
            prop_assert_eq!(Tower::read(&mut reader), Ok(Some(tower)));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn any_bytes_are_decoded_or_rejected(tower in proptest::collection::vec(0_u8..20, 0..60)) {
            let _ = read(&tower);
        }
    }
}
