//! SRX enforcement points: their queries (token, batch, address, user) and the responses.
//!
//! Juniper documents the meaning of these queries but not their syntax. A query is accepted in
//! every candidate form and answered in the configured [`Dialect`]. The codecs are our own because
//! no library implements this undocumented protocol.

mod dialect;
mod filter;
mod formatter;
mod json;
mod json_response;
mod query;
mod query_error;
mod report;
mod response;
pub mod token;
pub mod validator;
pub mod web_api;
mod xml;
mod xml_response;

pub use dialect::{
    Dialect, DomainForm, Format, NoSessionResponse, PostureForm, QueryToken, TimeForm, UserForm,
};
pub use filter::QueryFilter;
pub use formatter::{ResponseFormatter, ResponseWriter, reported_sessions};
pub use query::{SrxQuery, read};
pub use query_error::QueryError;
pub use report::{Activity, AddressQuery, Report};
pub use response::{ResponseSummary, write_address, write_batch, write_user};
