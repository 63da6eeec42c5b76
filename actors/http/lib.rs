//! The HTTP interfaces: listeners, client authentication, enforcement points, validator and REST.

pub mod admission;
pub mod enforcement;
pub mod listener;
pub mod metrics;
mod problem;
pub mod rest;
pub mod telemetry;
pub mod validator;
