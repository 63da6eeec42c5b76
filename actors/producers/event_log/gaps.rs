//! Detects events that were overwritten before they were read, by a comparison of the missing
//! record numbers with the oldest record that the server still has.

use std::time::{Duration, Instant};

use rollcall_wire::event_log::call::{EventLogCall, GetLogFileInfo, LogProperty, OpenLogHandle};
use rollcall_wire::event_log::{Continuity, LostRecords};
use rollcall_wire::msrpc::ndr::ContextHandle;

use super::connection::RpcConnection;
use super::{CHANNEL, EventLogError};
use crate::windows::msrpc::RpcError;
use rollcall_runtime::clock::Clock;

/// The minimum interval between two queries. A log that is overwritten completely within a second
/// is too small to be useful.
const QUERY_INTERVAL: Duration = Duration::from_secs(1);

/// Verifies gaps in the record numbers, over one connection.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    log: Option<ContextHandle>,
    last_query: Option<Instant>,
    /// Why gaps cannot be verified on this connection.
    pub(super) unverifiable: Option<String>,
}

impl Gaps {
    /// The records that are lost in the gap of `continuity`. If the server does not support the
    /// query, it is not repeated, and reading continues without it.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn verify(
        &mut self,
        connection: &mut RpcConnection,
        continuity: &mut Continuity,
    ) -> Result<Option<LostRecords>, EventLogError> {
        let now = Clock::instant();
        let recently =
            self.last_query.is_some_and(|last| now.duration_since(last) < QUERY_INTERVAL);
        if !continuity.has_gap() || recently || self.unverifiable.is_some() {
            return Ok(None);
        }
        self.last_query = Some(now);
        match self.oldest(connection).await {
            Ok(Some(oldest)) => Ok(continuity.resolve_gap(oldest)),
            Ok(None) => Ok(None),
            Err(why) if is_call_failure(&why) => {
                self.unverifiable = Some(why.to_string());
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }

    /// The number of the oldest record; `None` for an empty log.
    async fn oldest(
        &mut self,
        connection: &mut RpcConnection,
    ) -> Result<Option<u64>, EventLogError> {
        const OPEN: &str = "EvtRpcOpenLogHandle";
        const QUERY: &str = "EvtRpcGetLogFileInfo";
        let handle = match self.log {
            Some(handle) => handle,
            None => {
                let stub = connection.call(OPEN, &OpenLogHandle { channel: CHANNEL }).await?;
                let opened = OpenLogHandle::decode(&stub);
                let opened = opened.map_err(|why| EventLogError::Answer { call: OPEN, why })?;
                if !opened.status.is_success() {
                    return Err(EventLogError::Status { call: OPEN, status: opened.status });
                }
                *self.log.insert(opened.handle)
            }
        };
        let query = GetLogFileInfo { handle, property: LogProperty::OldestRecord };
        let stub = connection.call(QUERY, &query).await?;
        let response = GetLogFileInfo::decode(&stub);
        let response = response.map_err(|why| EventLogError::Answer { call: QUERY, why })?;
        match response.status.is_success() {
            true => Ok(response.value),
            false => Err(EventLogError::Status { call: QUERY, status: response.status }),
        }
    }
}

/// Whether only this call failed and the connection is still usable.
const fn is_call_failure(why: &EventLogError) -> bool {
    matches!(
        why,
        EventLogError::Status { .. }
            | EventLogError::Answer { .. }
            | EventLogError::Call { why: RpcError::Fault(_), .. }
    )
}
