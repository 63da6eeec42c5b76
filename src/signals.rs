//! What the process is called for from outside: by signal, and by REST.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rollcall_http::rest::{Reload, ReloadReport};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// What is wanted.
pub(crate) enum Call {
    /// Drain and end (SIGTERM, SIGINT).
    Stop,
    /// See whether all is well, every few seconds.
    LookAround,
    /// Read the configuration anew (SIGHUP, `POST /api/v1/reload`).
    Reload(Answer),
}

/// How often the process looks around.
const ROUND: Duration = Duration::from_secs(5);

type Outcome = Result<ReloadReport, Vec<String>>;

/// Whoever waits for the outcome of a reload; nobody does after a signal.
pub(crate) struct Answer(Option<oneshot::Sender<Outcome>>);

impl Answer {
    /// Tells the outcome.
    pub(crate) fn tell(self, outcome: Outcome) {
        if let Some(waiting) = self.0 {
            // Whoever asked may have gone.
            let _ = waiting.send(outcome);
        }
    }
}

/// All ways to call the process.
pub(crate) struct Calls {
    stop: [Signal; 2],
    hang_up: Signal,
    reloads: mpsc::Receiver<oneshot::Sender<Outcome>>,
    rounds: tokio::time::Interval,
}

impl Calls {
    /// Listens to the signals. What is returned beside is how the REST listener asks for a reload.
    pub(crate) fn listen() -> io::Result<(Self, Reload)> {
        let (ask, reloads) = mpsc::channel::<oneshot::Sender<Outcome>>(1);
        let calls = Self {
            stop: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            hang_up: signal(SignalKind::hangup())?,
            reloads,
            rounds: tokio::time::interval(ROUND),
        };
        let reload = move || -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> {
            let ask = ask.clone();
            Box::pin(async move {
                let (tell, told) = oneshot::channel();
                let stopping = || Err(vec!["the server is stopping".to_owned()]);
                match ask.send(tell).await {
                    Ok(()) => told.await.unwrap_or_else(|_| stopping()),
                    Err(_) => stopping(),
                }
            })
        };
        Ok((calls, Arc::new(reload)))
    }

    /// The next call.
    pub(crate) async fn next(&mut self) -> Call {
        poll_fn(|cx| {
            if self.stop.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
                return Poll::Ready(Call::Stop);
            }
            if self.hang_up.poll_recv(cx).is_ready() {
                return Poll::Ready(Call::Reload(Answer(None)));
            }
            match self.reloads.poll_recv(cx) {
                Poll::Ready(Some(waiting)) => Poll::Ready(Call::Reload(Answer(Some(waiting)))),
                Poll::Ready(None) | Poll::Pending => {
                    self.rounds.poll_tick(cx).map(|_| Call::LookAround)
                }
            }
        })
        .await
    }
}
