//! What event logs and other Windows services share: authentication by SSPI and MSRPC.

pub(crate) mod msrpc;
pub(crate) mod sspi;
