//! Telemetry events of the start of the server.

use rollcall_runtime::telemetry::TelemetryEvent;
use tracing::warn;

/// In evaluation mode: another user can replace the data folder.
pub(crate) struct FolderReplaceable<'a> {
    pub problem: &'a str,
}

impl TelemetryEvent for FolderReplaceable<'_> {
    fn emit(self) {
        warn!(problem = self.problem, "another user can replace the data folder");
    }
}

/// The server runs without a configuration file.
pub(crate) struct EvaluationMode;

impl TelemetryEvent for EvaluationMode {
    fn emit(self) {
        warn!(
            "evaluation mode: without a configuration file, every local program can create sessions"
        );
    }
}
