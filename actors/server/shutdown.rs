//! The drain: producers first, then those who answer, and what decides last of all.

use std::time::Duration;

use futures_util::future::join_all;

use super::Server;
use super::listener_slot::close;
use rollcall_runtime::supervisor::Stop;

impl Server {
    /// Drains the server: producers first, then those who answer, and what decides last of all. It
    /// takes no longer than the configured time in all.
    ///
    /// # Errors
    /// When the time was over before everybody had gone.
    pub async fn drain(self) -> Result<(), ShutdownTimeout> {
        self.draining.send_replace(true);
        let limit = self.settings.drain;
        tokio::time::timeout(limit, self.leave()).await.map_err(|_| ShutdownTimeout(limit))
    }

    async fn leave(mut self) {
        let mut budget = Budget(self.settings.drain);
        let limit = budget.spend();
        let producers = self.running.iter();
        let producers = producers.map(|(name, e)| self.stop(name.as_str(), &e.mailbox, limit));
        join_all(producers).await;
        self.enforcement.close(&self.engine, budget.spend()).await;
        self.validator.close(&self.engine, budget.spend()).await;
        self.stop(self.ptim.0.as_str(), &self.ptim.1, budget.spend()).await;
        self.outward.leave(&self.engine, budget.spend()).await;
        close(&self.engine, "rest", &self.rest.1, budget.spend()).await;
        // Nobody is there any more who could ask it.
        let _ = self.engine.supervisor.send(Stop("history".to_owned())).await;
        self.engine.stop().await;
    }
}

/// The time of the drain. Each step may take half of what the steps before could leave, so that
/// none takes it all.
struct Budget(Duration);

impl Budget {
    fn spend(&mut self) -> Duration {
        self.0 /= 2;
        self.0
    }
}

/// The drain's time was over.
#[derive(Debug, thiserror::Error)]
#[error("not everybody had finished within {0:?}")]
pub struct ShutdownTimeout(Duration);
