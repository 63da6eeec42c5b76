//! Requests that nothing here answers: logged in full, but for their secrets, so that one look at a
//! real firewall settles what it sends.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_wire::http::{RequestParts, redact};

use crate::telemetry::UnknownRequest;
use rollcall_runtime::log_rate_limit::LogRateLimit;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Those that were seen, of which some are logged: each may have 4 KiB.
#[derive(Debug, Default)]
pub(crate) struct UnknownRequestLog(LogRateLimit);

impl UnknownRequestLog {
    /// Counts one, and logs it unless there were many just now.
    pub(crate) fn record(&self, request: &RequestParts<'_>, source: IpAddr, now: Timestamp) {
        let unlogged = self.0.admit(now);
        let request = unlogged.map(|_| redact(request));
        let unlogged = unlogged.unwrap_or(0);
        UnknownRequest { request: request.as_deref(), source, unlogged }.emit();
    }
}
