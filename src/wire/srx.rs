//! SRX enforcement points: their queries (token, batch, address, user) and the responses.
//!
//! Juniper documents the meaning of these queries but not their syntax. A query is accepted in
//! every candidate form and answered in the configured [`Dialect`]. The codecs are our own because
//! no library implements this undocumented protocol.

mod answer;
mod dialect;
mod json;
mod json_answer;
mod query_error;
mod question;
mod report;
mod scope;
pub mod token;
pub mod validator;
mod voice;
pub mod web_api;
mod xml;
mod xml_answer;

pub use answer::{Answer, batch, ip, user};
pub use dialect::{Dialect, DomainForm, Format, Miss, PostureForm, QueryToken, TimeForm, UserForm};
pub use query_error::BadQuestion;
pub use question::{Question, read};
pub use report::{Activity, Asked, Report};
pub use scope::Scope;
pub use voice::{Speaker, Voice, told};
