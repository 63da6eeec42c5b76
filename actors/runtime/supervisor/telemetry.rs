//! What happens to actors.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::actor_metrics::ExitCause;
use crate::telemetry::TelemetryEvent;

/// An actor was started: its generation among all starts.
pub(crate) struct ActorStarted<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub generation: u64,
}

impl TelemetryEvent for ActorStarted<'_> {
    fn emit(self) {
        info!(actor = self.actor, kind = self.kind, generation = self.generation, "actor started");
    }
}

/// An actor ended and will be replaced after a backoff. Its metrics count the restart.
pub(crate) struct ActorEnded<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub cause: ExitCause,
    pub error: Option<&'a str>,
    pub backoff: Duration,
}

impl TelemetryEvent for ActorEnded<'_> {
    fn emit(self) {
        let Self { actor, kind, cause, error, backoff } = self;
        let error = error.unwrap_or("none");
        match cause {
            ExitCause::Panic => {
                error!(actor, kind, ?cause, ?backoff, error, "actor ended, will be replaced");
            }
            ExitCause::Error | ExitCause::Stop | ExitCause::Hang => {
                warn!(actor, kind, ?cause, ?backoff, error, "actor ended, will be replaced");
            }
        }
    }
}

/// An actor held its thread for too long; it is left there and replaced on another.
pub(crate) struct ActorAbandoned<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub silent: Duration,
}

impl TelemetryEvent for ActorAbandoned<'_> {
    fn emit(self) {
        error!(actor = self.actor, kind = self.kind, silent = ?self.silent, "actor hangs and is replaced");
    }
}
