//! Windows event logs: reading binary XML, and what following servers costs.

pub mod reading;
pub mod simulator;
