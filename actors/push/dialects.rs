//! The dialects of push targets. Each is one file here, over its codec in `src/wire`.

pub(super) mod secure_edge;
pub(super) mod srx_web_api;
