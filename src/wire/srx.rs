//! What SRX firewalls ask (token, batch, address, user) and how they are answered.
//!
//! Juniper documents what these conversations mean and not how they are spelt. So a question is
//! read in every form that is a candidate, and answered in the configured [`Dialect`].

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
