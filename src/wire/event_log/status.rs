//! The status codes of MS-EVEN6 calls.

use std::fmt;

use strum::IntoStaticStr;

/// The return value of a call, or the status of a channel (MS-ERREF section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CallStatus {
    /// ERROR_SUCCESS.
    Success,
    /// ERROR_ACCESS_DENIED: the account has no right to read this log.
    AccessDenied,
    /// ERROR_INVALID_HANDLE.
    InvalidHandle,
    /// ERROR_OUTOFMEMORY, ERROR_NOT_ENOUGH_MEMORY.
    OutOfMemory,
    /// ERROR_INVALID_PARAMETER, also for an unknown handle.
    InvalidParameter,
    /// ERROR_NO_MORE_ITEMS: the end of the log, or no new event.
    NoMoreItems,
    /// ERROR_NOT_FOUND: the record of a bookmark no longer exists (MS-EVEN6 note 8).
    NotFound,
    /// ERROR_CANCELLED.
    Cancelled,
    /// ERROR_TIMEOUT: not enough events within the timeout.
    Timeout,
    /// ERROR_INVALID_OPERATION: a pull call on a push subscription, or the reverse.
    InvalidOperation,
    /// ERROR_EVT_INVALID_CHANNEL_PATH.
    InvalidChannelPath,
    /// ERROR_EVT_INVALID_QUERY.
    InvalidQuery,
    /// ERROR_EVT_CHANNEL_NOT_FOUND.
    ChannelNotFound,
    /// ERROR_EVT_QUERY_RESULT_STALE: the log was cleared or rolled over since the bookmark.
    QueryResultStale,
    /// ERROR_EVT_QUERY_RESULT_INVALID_POSITION: the bookmark does not match an event of the log.
    InvalidPosition,
    /// Any other code.
    Other(u32),
}

impl CallStatus {
    /// From the numeric code.
    pub const fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Success,
            0x5 => Self::AccessDenied,
            0x6 => Self::InvalidHandle,
            0x8 | 0xe => Self::OutOfMemory,
            0x57 => Self::InvalidParameter,
            0x103 => Self::NoMoreItems,
            0x490 => Self::NotFound,
            0x4c7 => Self::Cancelled,
            // The second code is the one in MS-EVEN6 section 3.1.4.13.
            0x5b4 | 0x5bf => Self::Timeout,
            0x10dd => Self::InvalidOperation,
            0x3a98 => Self::InvalidChannelPath,
            0x3a99 => Self::InvalidQuery,
            0x3a9f => Self::ChannelNotFound,
            0x3aa3 => Self::QueryResultStale,
            0x3aa4 => Self::InvalidPosition,
            other => Self::Other(other),
        }
    }

    /// Whether the call succeeded.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }

    /// The label, for instance `query_result_stale`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::AccessDenied => "access denied (5)",
            Self::InvalidHandle => "invalid handle (6)",
            Self::OutOfMemory => "the server is out of memory (14)",
            Self::InvalidParameter => "invalid parameter (87)",
            Self::NoMoreItems => "no more events (259)",
            Self::NotFound => "the record of the bookmark no longer exists (1168)",
            Self::Cancelled => "cancelled (1223)",
            Self::Timeout => "timeout (1460)",
            Self::InvalidOperation => "invalid operation (4317)",
            Self::InvalidChannelPath => "invalid channel (15000)",
            Self::InvalidQuery => "invalid query (15001)",
            Self::ChannelNotFound => "no such channel (15007)",
            Self::QueryResultStale => "the log was cleared or rolled over (15011)",
            Self::InvalidPosition => "the bookmark does not match an event of the log (15012)",
            Self::Other(code) => return write!(f, "error {code} (0x{code:08x})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_specification() {
        for (code, status, label) in [
            (0, CallStatus::Success, "success"),
            (5, CallStatus::AccessDenied, "access_denied"),
            (0x57, CallStatus::InvalidParameter, "invalid_parameter"),
            (0x103, CallStatus::NoMoreItems, "no_more_items"),
            (0x490, CallStatus::NotFound, "not_found"),
            (0x5b4, CallStatus::Timeout, "timeout"),
            (0x5bf, CallStatus::Timeout, "timeout"),
            (0x3a98, CallStatus::InvalidChannelPath, "invalid_channel_path"),
            (0x3a99, CallStatus::InvalidQuery, "invalid_query"),
            (0x3aa3, CallStatus::QueryResultStale, "query_result_stale"),
            (0x1234, CallStatus::Other(0x1234), "other"),
        ] {
            assert_eq!((CallStatus::from_code(code), status.as_str()), (status, label));
            assert_eq!(status.is_success(), code == 0);
        }
        assert_eq!(CallStatus::from_code(1722).to_string(), "error 1722 (0x000006ba)");
        assert_eq!(
            CallStatus::from_code(15011).to_string(),
            "the log was cleared or rolled over (15011)"
        );
    }
}
