//! What happens to actors.

use std::time::Duration;

use tracing::{error, info, warn};

use crate::actor_metrics::End;
use crate::telemetry::TelemetryEvent;

/// An actor was started, for the `term`th time.
pub(crate) struct ActorStarted<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub term: u64,
}

impl TelemetryEvent for ActorStarted<'_> {
    fn emit(self) {
        info!(actor = self.actor, kind = self.kind, term = self.term, "actor started");
    }
}

/// An actor ended and will be replaced after a pause. Its restarts are counted by its meter.
pub(crate) struct ActorEnded<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub end: End,
    pub error: Option<&'a str>,
    pub pause: Duration,
}

impl TelemetryEvent for ActorEnded<'_> {
    fn emit(self) {
        let Self { actor, kind, end, error, pause } = self;
        let error = error.unwrap_or("none");
        match end {
            End::Panic => error!(actor, kind, ?end, ?pause, error, "actor ended, will be replaced"),
            End::Error | End::Stop | End::Freeze => {
                warn!(actor, kind, ?end, ?pause, error, "actor ended, will be replaced");
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
        error!(actor = self.actor, kind = self.kind, silent = ?self.silent, "actor is frozen");
    }
}
