//! The status of a producer, written by the producer and read from any thread.

use tokio::sync::watch;

/// The newest status of one producer.
#[derive(Debug)]
pub struct StatusCell<S>(watch::Sender<S>);

impl<S: Default> Default for StatusCell<S> {
    fn default() -> Self {
        Self(watch::Sender::new(S::default()))
    }
}

impl<S: Clone> StatusCell<S> {
    /// The current status.
    pub fn status(&self) -> S {
        self.0.borrow().clone()
    }
}

impl<S> StatusCell<S> {
    /// Reads a part of the status without copying the rest.
    pub fn look<T>(&self, part: impl FnOnce(&S) -> T) -> T {
        part(&self.0.borrow())
    }

    /// Changes the status.
    pub fn write(&self, change: impl FnOnce(&mut S)) {
        self.0.send_modify(change);
    }
}
