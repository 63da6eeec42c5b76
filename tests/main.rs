//! End-to-end tests. Each starts the server binary, sends the events that firewalls and servers send,
//! and sends the queries of firewalls and administrators.
//!
//! `tests/run` installs the peers and runs everything. A test whose peer is missing is skipped by
//! name and reason, or fails with `ROLLCALL_PEERS=required`.

#![cfg(test)]

mod accounting;
mod active_directory;
mod event_log;
mod fuzz_corpus;
mod harness;
mod history;
mod journal;
mod logon;
mod operations;
mod peers;
mod ptim;
mod push;
mod rest;
mod security;
mod simulation;
mod srx;
mod syslog;
mod tidy;
mod validator;
