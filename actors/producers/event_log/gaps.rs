//! Whether events were overwritten before they were read: the numbers that were left out, held
//! against the oldest record that the server still has.

use std::time::{Duration, Instant};

use rollcall_wire::event_log::call::{EventLogCall, GetLogFileInfo, LogProperty, OpenLogHandle};
use rollcall_wire::event_log::{Continuity, LostRecords};
use rollcall_wire::msrpc::ndr::ContextHandle;

use super::connection::RpcConnection;
use super::{CHANNEL, EventLogError};
use crate::windows::msrpc::RpcError;
use rollcall_runtime::clock::Clock;

/// How often it is asked at most. A log that is overwritten from end to end within a second is too
/// small for anything.
const PAUSE: Duration = Duration::from_secs(1);

/// Looks into what was left out, over one connection.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    log: Option<ContextHandle>,
    asked: Option<Instant>,
    /// Why it cannot be told.
    pub(super) unable: Option<String>,
}

impl Gaps {
    /// What is lost of that which `continuity` has left out. A server that does not say
    /// what it has is asked once: reading goes on without.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn look(
        &mut self,
        connection: &mut RpcConnection,
        continuity: &mut Continuity,
    ) -> Result<Option<LostRecords>, EventLogError> {
        let now = Clock::instant();
        let recently = self.asked.is_some_and(|asked| now.duration_since(asked) < PAUSE);
        if !continuity.has_gap() || recently || self.unable.is_some() {
            return Ok(None);
        }
        self.asked = Some(now);
        match self.oldest(connection).await {
            Ok(Some(oldest)) => Ok(continuity.resolve_gap(oldest)),
            Ok(None) => Ok(None),
            Err(why) if is_of_the_call(&why) => {
                self.unable = Some(why.to_string());
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }

    /// The number of the oldest record; `None` for a log without any.
    async fn oldest(
        &mut self,
        connection: &mut RpcConnection,
    ) -> Result<Option<u64>, EventLogError> {
        const OPEN: &str = "EvtRpcOpenLogHandle";
        const ASK: &str = "EvtRpcGetLogFileInfo";
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
        let asked = GetLogFileInfo { handle, property: LogProperty::OldestRecord };
        let stub = connection.call(ASK, &asked).await?;
        let said = GetLogFileInfo::decode(&stub);
        let said = said.map_err(|why| EventLogError::Answer { call: ASK, why })?;
        match said.status.is_success() {
            true => Ok(said.value),
            false => Err(EventLogError::Status { call: ASK, status: said.status }),
        }
    }
}

/// Whether only this call failed, and the connection is as good as before.
const fn is_of_the_call(why: &EventLogError) -> bool {
    matches!(
        why,
        EventLogError::Status { .. }
            | EventLogError::Answer { .. }
            | EventLogError::Call { why: RpcError::Fault(_), .. }
    )
}
