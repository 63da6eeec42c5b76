//! How an enforcement point asks and wants to be answered.

use strum::{EnumString, IntoStaticStr, VariantNames};

/// The form of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum Dialect {
    /// JSON with the field names of JIMS.
    #[default]
    Json,
    /// XML in the model of the SRX's Web API.
    Xml,
}
