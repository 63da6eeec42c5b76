//! What Rollcall does, told as stories: each starts the real binary, sends it what firewalls and
//! servers send, and asks it what firewalls and administrators ask.
//!
//! `tests/run` installs the peers and runs everything. A story whose peer is missing is skipped by
//! name and reason, or fails where `ROLLCALL_PEERS=required`.

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
