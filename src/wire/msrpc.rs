//! MSRPC, as Windows servers speak it over TCP: what a call and its answer look like in bytes, and
//! how an association is set up, secured and used. Events of domain controllers come this way.
//!
//! DCE/RPC is C706 (The Open Group, "DCE 1.1: Remote Procedure Call"), with the extensions of
//! MS-RPCE. Nothing here opens a socket, waits, or knows a cryptographic provider.

pub mod ndr;
mod uuid;

pub use uuid::Uuid;
