//! Where a producer writes how it is, and others read it from any thread.

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
    /// One part of it, without copying the others.
    pub fn look<T>(&self, part: impl FnOnce(&S) -> T) -> T {
        part(&self.0.borrow())
    }

    /// Changes the status.
    pub fn write(&self, change: impl FnOnce(&mut S)) {
        self.0.send_modify(change);
    }
}
