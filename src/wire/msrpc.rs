//! MSRPC, as Windows servers speak it over TCP: what a call and its answer look like in bytes, and
//! how an association is set up, secured and used. Events of domain controllers come this way.
//!
//! DCE/RPC is C706 (The Open Group, "DCE 1.1: Remote Procedure Call"), with the extensions of
//! MS-RPCE. Nothing here opens a socket, waits, or knows a cryptographic provider: an
//! [`Association`] takes bytes and says what to do, and a [`Security`] seals and opens.

mod association;
pub mod endpoint_mapper;
mod failure;
mod framing;
mod interface;
pub mod ndr;
mod pdu;
mod reassembly;
mod security;
pub mod security_accounts;
mod status;
mod uuid;

pub use association::{Action, Association, Call, CannotCall, Fault, Leg, Terms};
pub use failure::Failure;
pub use interface::Interface;
pub use pdu::{AuthType, BadPdu, Kind, NakReason, PduProblem, Rejection, RejectionReason, TooLong};
pub use security::{Security, SecurityError};
pub use status::FaultStatus;
pub use uuid::Uuid;
