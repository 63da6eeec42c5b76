//! The stage of the stories: the real server, firewalls that poll it, senders, and patience.

mod address;
mod authority;
mod chance;
mod clearpass;
mod controller;
mod event_logs;
mod https;
mod lines;
mod metrics;
mod peer;
mod secrets;
mod secure_edge;
mod server;
mod setup;
mod srx;
mod stream;
mod waiting;

pub(crate) use address::Reserved;
pub(crate) use authority::Authority;
pub(crate) use chance::Chance;
pub(crate) use clearpass::{CLEARPASS_PASSWORD, ClearPass};
pub(crate) use controller::{ADMINISTRATOR, Controller, PASSWORD};
pub(crate) use event_logs::EventLogs;
pub(crate) use https::Fault;
pub(crate) use lines::{Vpn, frame_3164};
pub(crate) use metrics::{Account, Metrics};
pub(crate) use peer::{Running, bound_to_this_thread, peer, run, skip};
pub(crate) use secrets::hash;
pub(crate) use secure_edge::{CLIENT_SECRET, ONBOARDING, Said, SecureEdge};
pub(crate) use server::{Answer, Server, rollcall};
pub(crate) use setup::{SECRET, Setup, point};
pub(crate) use srx::{Failed, Heard, Srx};
pub(crate) use stream::Stream;
pub(crate) use waiting::{PATIENCE, now, until, within};
