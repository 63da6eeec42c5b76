//! .

pub mod http;
pub mod ptim;
pub mod srx;
