//! What Windows services share: authentication by Kerberos and NTLM, and MSRPC.

pub(crate) mod kdc;
pub(crate) mod msrpc;
pub(crate) mod sspi;
