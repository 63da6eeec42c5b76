//! What a client asks a server for: an interface, and the way in which its calls are written.

use super::Uuid;
use super::ndr::{BadStub, Reader, Writer};

/// An interface and its version, or a transfer syntax and its version (`p_syntax_id_t`, C706
/// section 12.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Which.
    pub uuid: Uuid,
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

impl Interface {
    /// NDR 2.0, the one transfer syntax that is spoken here (C706 chapter 14, appendix I).
    pub const NDR: Self =
        Self::new(Uuid::new(0x8a88_5d04, 0x1ceb, 0x11c9, 0x9fe8_0800_2b10_4860), 2, 0);

    /// From what the interface's definition says.
    pub const fn new(uuid: Uuid, major: u16, minor: u16) -> Self {
        Self { uuid, major, minor }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.uuid(&self.uuid);
        // `if_version` is a long with the major version in its lower half.
        writer.u16(self.major);
        writer.u16(self.minor);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BadStub> {
        Ok(Self { uuid: reader.uuid()?, major: reader.u16()?, minor: reader.u16()? })
    }
}
