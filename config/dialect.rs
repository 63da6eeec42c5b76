//! How an enforcement point asks and wants to be answered.

use strum::{EnumString, IntoStaticStr, VariantNames};
use toml::de::DeValue;

use crate::leaf::{Leaf, word};
use crate::section::Section;

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

impl Dialect {
    pub(crate) fn read(section: &Section<'_>, key: &'static str) -> Self {
        section.or(key, Self::default())
    }

    /// The word of the configuration, for instance `xml`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Leaf for Dialect {
    const EXPECTED: &'static str = "\"json\" or \"xml\"";

    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        word(value, Self::VARIANTS)
    }
}
