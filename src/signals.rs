//! Signals and reload requests of the process.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rollcall_http::rest::{Reload, ReloadReport};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// An event that the process must handle.
pub(crate) enum ProcessEvent {
    /// Shut down (SIGTERM, SIGINT).
    Stop,
    /// Check that the supervisor is alive, at a fixed interval.
    LivenessCheck,
    /// Reload the configuration (SIGHUP, `POST /api/v1/reload`).
    Reload(ReloadReply),
}

/// The interval of liveness checks.
const LIVENESS_INTERVAL: Duration = Duration::from_secs(5);

type Outcome = Result<ReloadReport, Vec<String>>;

/// The reply to a reload request. It is empty for a signal.
pub(crate) struct ReloadReply(Option<oneshot::Sender<Outcome>>);

impl ReloadReply {
    /// Sends the outcome.
    pub(crate) fn send(self, outcome: Outcome) {
        if let Some(waiting) = self.0 {
            // The client may have disconnected.
            let _ = waiting.send(outcome);
        }
    }
}

/// The sources of process events.
pub(crate) struct ProcessEvents {
    stop: [Signal; 2],
    hang_up: Signal,
    reloads: mpsc::Receiver<oneshot::Sender<Outcome>>,
    liveness: tokio::time::Interval,
}

impl ProcessEvents {
    /// Registers the signal handlers. Also returns the function that the REST API calls for a reload.
    pub(crate) fn subscribe() -> io::Result<(Self, Reload)> {
        let (requests, reloads) = mpsc::channel::<oneshot::Sender<Outcome>>(1);
        let events = Self {
            stop: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            hang_up: signal(SignalKind::hangup())?,
            reloads,
            liveness: tokio::time::interval(LIVENESS_INTERVAL),
        };
        let reload = move || -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> {
            let requests = requests.clone();
            Box::pin(async move {
                let (sender, receiver) = oneshot::channel();
                let stopping = || Err(vec!["the server is stopping".to_owned()]);
                match requests.send(sender).await {
                    Ok(()) => receiver.await.unwrap_or_else(|_| stopping()),
                    Err(_) => stopping(),
                }
            })
        };
        Ok((events, Arc::new(reload)))
    }

    /// The next event.
    pub(crate) async fn next(&mut self) -> ProcessEvent {
        poll_fn(|cx| {
            if self.stop.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
                return Poll::Ready(ProcessEvent::Stop);
            }
            if self.hang_up.poll_recv(cx).is_ready() {
                return Poll::Ready(ProcessEvent::Reload(ReloadReply(None)));
            }
            match self.reloads.poll_recv(cx) {
                Poll::Ready(Some(waiting)) => {
                    Poll::Ready(ProcessEvent::Reload(ReloadReply(Some(waiting))))
                }
                Poll::Ready(None) | Poll::Pending => {
                    self.liveness.poll_tick(cx).map(|_| ProcessEvent::LivenessCheck)
                }
            }
        })
        .await
    }
}
