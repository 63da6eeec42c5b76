//! The fuzz targets: each takes the bytes of one input and panics on a finding. libFuzzer drives
//! them with new inputs (`fuzz/run`), the tests with those of `fuzz/corpus`.

use super::{check, name, origin, request, seen, shipped};

pub mod binxml;
pub mod directory_object;
pub mod msrpc_pdu;
pub mod ndr;
pub mod ptim;
pub mod push_answer;
pub mod redact;
pub mod result_set;
pub mod srx_question;
pub mod srx_token;
pub mod srx_validator;
pub mod syslog_frames;
pub mod syslog_message;
pub mod template;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target, under the name that is also its folder in `fuzz/corpus`.
pub const ALL: [(&str, Target); 14] = [
    ("binxml", binxml::run),
    ("directory_object", directory_object::run),
    ("msrpc_pdu", msrpc_pdu::run),
    ("ndr", ndr::run),
    ("ptim", ptim::run),
    ("push_answer", push_answer::run),
    ("redact", redact::run),
    ("result_set", result_set::run),
    ("srx_question", srx_question::run),
    ("srx_token", srx_token::run),
    ("srx_validator", srx_validator::run),
    ("syslog_frames", syslog_frames::run),
    ("syslog_message", syslog_message::run),
    ("template", template::run),
];
