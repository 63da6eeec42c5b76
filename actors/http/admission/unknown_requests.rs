//! The log of requests for unknown paths. A request is logged in full without its secrets, which
//! shows what a real firewall sends.

use std::net::IpAddr;

use rollcall_identity::Timestamp;
use rollcall_wire::http::{RequestParts, redact};

use crate::telemetry::UnknownRequest;
use rollcall_runtime::log_rate_limit::LogRateLimit;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Rate-limited log of unknown requests; an entry has at most 4 KiB.
#[derive(Debug, Default)]
pub(crate) struct UnknownRequestLog(LogRateLimit);

impl UnknownRequestLog {
    /// Counts a request, and logs it unless too many were logged recently.
    pub(crate) fn record(&self, request: &RequestParts<'_>, source: IpAddr, now: Timestamp) {
        let unlogged = self.0.admit(now);
        let request = unlogged.map(|_| redact(request));
        let unlogged = unlogged.unwrap_or(0);
        UnknownRequest { request: request.as_deref(), source, unlogged }.emit();
    }
}
