//! Producers over a real engine and a real journal.

mod crash_recovery;
