//! Interface and transfer syntax identifiers.

use super::Uuid;
use super::ndr::{NdrError, NdrReader, NdrWriter};

/// An interface or a transfer syntax, with its version (`p_syntax_id_t`, C706 section 12.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface {
    /// The identifier.
    pub uuid: Uuid,
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

impl Interface {
    /// NDR 2.0, the only supported transfer syntax (C706 chapter 14, appendix I).
    pub const NDR: Self =
        Self::new(Uuid::new(0x8a88_5d04, 0x1ceb, 0x11c9, 0x9fe8_0800_2b10_4860), 2, 0);

    /// An interface from its definition.
    pub const fn new(uuid: Uuid, major: u16, minor: u16) -> Self {
        Self { uuid, major, minor }
    }

    pub(super) fn write(&self, writer: &mut NdrWriter) {
        writer.uuid(&self.uuid);
        // `if_version` has the major version in its lower half.
        writer.u16(self.major);
        writer.u16(self.minor);
    }

    pub(super) fn read(reader: &mut NdrReader<'_>) -> Result<Self, NdrError> {
        Ok(Self { uuid: reader.uuid()?, major: reader.u16()?, minor: reader.u16()? })
    }
}
