//! Text with its length before it and no NUL behind it: RPC_UNICODE_STRING (MS-DTYP section 2.3.10).

use crate::msrpc::ndr::{BadStub, Pointer, Reader, StubProblem, Writer};

/// Its head, whose text stands further behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// In bytes.
    length: u16,
    text: Pointer,
}

impl Counted {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BadStub> {
        reader.align(4)?;
        let (length, _) = (reader.u16()?, reader.u16()?);
        Ok(Self { length, text: reader.pointer()? })
    }

    /// The text, where it stands.
    pub(super) fn text(self, reader: &mut Reader<'_>) -> Result<String, BadStub> {
        let text = reader.referent(self.text, |reader| {
            let units = reader.varying(2)?;
            let bad = reader.bad(StubProblem::Bounds);
            if 2 * units != usize::from(self.length) {
                return Err(bad);
            }
            let (units, _) = reader.bytes(2 * units)?.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.map_err(|_| BadStub { problem: StubProblem::Encoding, ..bad })
        })?;
        Ok(text.unwrap_or_default())
    }
}

/// Writes a parameter that is such a text, which came from a server and so is not too long.
pub(super) fn write(writer: &mut Writer, text: &str) {
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
