//! The harness of the end-to-end tests: the server, its clients and senders, peers, and waiting.

mod address;
mod authority;
mod clearpass;
mod controller;
mod event_logs;
mod https;
mod ldap_server;
mod lines;
mod metrics;
mod peer;
mod secrets;
mod secure_edge;
mod seeded_rng;
mod server;
mod setup;
mod srx;
mod stream;
mod waiting;

pub(crate) use address::Reserved;
pub(crate) use authority::Authority;
pub(crate) use clearpass::{CLEARPASS_PASSWORD, ClearPass};
pub(crate) use controller::{ADMINISTRATOR, Controller, PASSWORD};
pub(crate) use event_logs::EventLogs;
pub(crate) use https::Fault;
pub(crate) use ldap_server::RejectingServers;
pub(crate) use lines::{Vpn, frame_3164};
pub(crate) use metrics::{Account, Metrics};
pub(crate) use peer::{Running, bound_to_this_thread, peer, run, skip};
pub(crate) use secrets::hash;
pub(crate) use secure_edge::{CLIENT_SECRET, ONBOARDING, Reply, SecureEdge};
pub(crate) use seeded_rng::SeededRng;
pub(crate) use server::{Answer, Server, rollcall};
pub(crate) use setup::{SECRET, Setup, enforcement_point, querying_point};
pub(crate) use srx::{RequestError, Srx, TableEntry};
pub(crate) use stream::Stream;
pub(crate) use waiting::{WAIT_LIMIT, now, until, until_within, within};
