//! RPC_UNICODE_STRING: a counted string without NUL (MS-DTYP section 2.3.10).

use crate::msrpc::ndr::{NdrError, NdrErrorKind, NdrReader, NdrWriter, ReferentId};

/// The header of a string, whose characters follow later.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnicodeString {
    /// The length in bytes.
    length: u16,
    text: ReferentId,
}

impl UnicodeString {
    pub(super) fn read(reader: &mut NdrReader<'_>) -> Result<Self, NdrError> {
        reader.align(4)?;
        let (length, _) = (reader.u16()?, reader.u16()?);
        Ok(Self { length, text: reader.pointer()? })
    }

    /// Decodes the characters.
    pub(super) fn text(self, reader: &mut NdrReader<'_>) -> Result<String, NdrError> {
        let text = reader.referent(self.text, |reader| {
            let units = reader.varying(2)?;
            let bad = reader.bad(NdrErrorKind::Bounds);
            if 2 * units != usize::from(self.length) {
                return Err(bad);
            }
            let (units, _) = reader.bytes(2 * units)?.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.map_err(|_| NdrError { problem: NdrErrorKind::Encoding, ..bad })
        })?;
        Ok(text.unwrap_or_default())
    }
}

/// Encodes a string parameter. The string came from a server and is therefore not too long.
pub(super) fn write(writer: &mut NdrWriter, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(usize::from(u16::MAX) / 2).collect();
    let length = u16::try_from(2 * units.len()).unwrap_or(u16::MAX);
    writer.u16(length);
    writer.u16(length);
    writer.unique(Some(&units), |writer, units| {
        writer.varying(units.len());
        for unit in units {
            writer.bytes(&unit.to_le_bytes());
        }
    });
}
