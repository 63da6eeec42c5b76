//! What happens to actors.

use std::time::Duration;

use metrics::counter;
use rollcall_identity::{Jump, Timestamp};
use tracing::{error, info, warn};

use super::Happening;
use crate::meter::End;

/// An actor was started, for the `term`th time.
pub(crate) struct ActorStarted<'a> {
    pub actor: &'a str,
    pub kind: &'static str,
    pub term: u64,
}

impl Happening for ActorStarted<'_> {
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

impl Happening for ActorEnded<'_> {
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

impl Happening for ActorAbandoned<'_> {
    fn emit(self) {
        error!(actor = self.actor, kind = self.kind, silent = ?self.silent, "actor is frozen");
    }
}

/// The system does not tell which addresses the machine has.
pub(crate) struct OwnAddressesUnknown {
    pub error: nix::Error,
}

impl Happening for OwnAddressesUnknown {
    fn emit(self) {
        warn!(
            error = %self.error,
            "the addresses of this machine are not known: sessions at them are not refused, and \
             the self-made certificate does not name them; does the service allow AF_NETLINK?"
        );
    }
}

/// The machine's clock was set far from where it should be, or back, or stayed there.
pub(crate) struct ClockJumped {
    pub jump: Jump,
    /// What the machine's clock says.
    pub machine: Timestamp,
    /// What Rollcall goes by.
    pub told: Timestamp,
}

impl Happening for ClockJumped {
    fn emit(self) {
        let Self { jump, machine, told } = self;
        let outcome: &'static str = jump.into();
        counter!("rollcall_supervising_clock_jumps_total", "outcome" => outcome).increment(1);
        match jump {
            Jump::Doubted => warn!(
                %machine, %told,
                "the machine's clock was set; it is not followed for a quarter of an hour, so that no \
                 session ends by it"
            ),
            Jump::Withdrawn => info!(%machine, "the machine's clock is right again"),
            Jump::Believed => {
                warn!(%machine, "the machine's clock stays where it was set, and is followed");
            }
        }
    }
}
