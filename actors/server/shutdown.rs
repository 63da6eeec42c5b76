//! The shutdown: producers first, then listeners, then push targets, and the engine last.

use std::time::Duration;

use futures_util::future::join_all;
use rollcall_runtime::supervisor::Stop;

use super::Server;
use super::listener_slot::close;
use super::producer_set::RunningProducer;

impl Server {
    /// Shuts the server down: producers first, then listeners, then push targets, and the engine
    /// last. It takes at most the configured `shutdown_timeout`.
    ///
    /// # Errors
    /// When the timeout expired before all actors had finished.
    pub async fn drain(self) -> Result<(), ShutdownTimeout> {
        self.draining.send_replace(true);
        let limit = self.settings.shutdown_timeout;
        tokio::time::timeout(limit, self.shut_down()).await.map_err(|_| ShutdownTimeout(limit))
    }

    async fn shut_down(mut self) {
        let mut budget = Budget(self.settings.shutdown_timeout);
        self.stop_producers(|one| !one.bound.uses_http_listener(), budget.spend()).await;
        self.enforcement.close(&self.engine, budget.spend()).await;
        self.validator.close(&self.engine, budget.spend()).await;
        self.stop_producers(|one| one.bound.uses_http_listener(), budget.spend()).await;
        self.push_set.stop_all(&self.engine, budget.spend()).await;
        close(&self.engine, "rest", &self.rest.1, budget.spend()).await;
        // No listener is open that could query it.
        let _ = self.engine.supervisor.send(Stop("history".to_owned())).await;
        self.engine.stop().await;
    }

    async fn stop_producers(&self, filter: impl Fn(&RunningProducer) -> bool, limit: Duration) {
        let producers = self.running.iter().filter(|(_, one)| filter(one));
        join_all(producers.map(|(name, one)| self.stop(name.as_str(), &one.mailbox, limit))).await;
    }
}

/// The time that is left. Each step may take half of it, so that no step takes all of it.
struct Budget(Duration);

impl Budget {
    fn spend(&mut self) -> Duration {
        self.0 /= 2;
        self.0
    }
}

/// The shutdown timeout expired.
#[derive(Debug, thiserror::Error)]
#[error("not all actors finished within the shutdown timeout of {0:?}")]
pub struct ShutdownTimeout(Duration);
