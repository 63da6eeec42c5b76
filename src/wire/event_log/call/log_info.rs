//! EvtRpcGetLogFileInfo: properties of a log, such as its oldest record (MS-EVEN6 section
//! 3.1.4.15).

use super::{EventLogCall, EventLogCallError, read_status};
use crate::event_log::CallStatus;
use crate::msrpc::ndr::{ContextHandle, NdrError, NdrErrorKind, NdrReader, NdrWriter};

/// Requests one property of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetLogFileInfo {
    /// The handle from [`OpenLogHandle`](super::OpenLogHandle).
    pub handle: ContextHandle,
    /// The property.
    pub property: LogProperty,
}

/// The properties of a log that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogProperty {
    /// EvtLogNumberOfLogRecords.
    Records,
    /// EvtLogOldestRecordNumber: older records were overwritten or cleared.
    OldestRecord,
}

/// The value of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogInfo {
    /// The number; `None` on an error, or for another type.
    pub value: Option<u64>,
    /// Whether the call succeeded.
    pub status: CallStatus,
}

/// The size of a BinXmlVariant (MS-EVEN6 section 2.2.18): the value, an unused count, and the type.
const VARIANT: usize = 16;

/// BinXmlVarUint32 and BinXmlVarUint64.
const UINT32: u32 = 0x8;
const UINT64: u32 = 0xa;

impl EventLogCall for GetLogFileInfo {
    const OPNUM: u16 = 18;
    type Response<'a> = LogInfo;

    fn stub(&self) -> Result<Vec<u8>, EventLogCallError> {
        let mut writer = NdrWriter::new();
        writer.context_handle(&self.handle);
        writer.u32(match self.property {
            LogProperty::Records => 5,
            LogProperty::OldestRecord => 6,
        });
        writer.conformance(VARIANT);
        Ok(writer.finish())
    }

    fn decode(stub: &[u8]) -> Result<LogInfo, NdrError> {
        let mut reader = NdrReader::new(stub);
        let buffer = reader.byte_array()?;
        reader.align(4)?;
        let length = reader.u32()?;
        let used = usize::try_from(length).ok().and_then(|length| buffer.get(..length));
        let used = used.ok_or(reader.bad(NdrErrorKind::Value))?;
        let value = number(used);
        let status = read_status(reader)?;
        Ok(LogInfo { value: value.filter(|_| status.is_success()), status })
    }
}

fn number(variant: &[u8]) -> Option<u64> {
    let variant = variant.first_chunk::<VARIANT>()?;
    let (value, rest) = variant.split_first_chunk::<8>()?;
    let kind = rest.last_chunk::<4>()?;
    let value = u64::from_le_bytes(*value);
    match u32::from_le_bytes(*kind) {
        UINT32 => Some(value & u64::from(u32::MAX)),
        UINT64 => Some(value),
        _ => None,
    }
}
