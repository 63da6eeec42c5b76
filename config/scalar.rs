//! Parses scalar values from TOML. Durations and sizes, and network values, have files of their own.

mod network;
mod units;

use std::path::PathBuf;
use std::str::FromStr;

use rollcall_identity::{Glob, Name};
use toml::Value;
use toml::de::DeValue;

use crate::did_you_mean::did_you_mean;

pub use network::CertificatePin;
pub(crate) use network::{BaseUrl, ClientId, FileStem, Host, UrlPath};
pub(crate) use units::Bytes;

/// A value that is not a table or a list of tables.
pub(crate) trait FromToml: Sized {
    /// The valid values, as the end of a sentence: "must be …".
    const EXPECTED: &'static str;

    /// Parses the value. The error is the end of a sentence that begins with the key.
    fn from_toml(value: &DeValue<'_>) -> Result<Self, String>;

    /// The value as an administrator would write it.
    fn to_toml(&self) -> Value;
}

/// The value without quotes, for messages.
pub(crate) fn plain_text<T: FromToml>(value: &T) -> String {
    match value.to_toml() {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The TOML type of a value, with its article: `an integer`.
pub(crate) fn type_with_article(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "text".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Integer(_) => "an integer".to_owned(),
        other => format!("a {}", other.type_str()),
    }
}

fn wrong_type<T: FromToml>(value: &DeValue<'_>) -> String {
    format!("is {}, must be {}", type_with_article(value), T::EXPECTED)
}

/// The text of a string value.
pub(crate) fn text<'v, T: FromToml>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong_type::<T>(value))
}

/// The message for a text that is not a valid `T`.
pub(crate) fn invalid<T: FromToml>(text: &str) -> String {
    format!("{text:?} must be {}", T::EXPECTED)
}

fn integer<T: FromToml>(value: &DeValue<'_>) -> Result<u64, String> {
    let integer = value.as_integer().ok_or_else(|| wrong_type::<T>(value))?;
    u64::from_str_radix(integer.as_str(), integer.radix())
        .map_err(|_| format!("{integer} must be {}", T::EXPECTED))
}

/// Parses one of a closed set of keywords.
pub(crate) fn keyword<T: FromToml + FromStr>(
    value: &DeValue<'_>,
    keywords: &[&str],
) -> Result<T, String> {
    let text = text::<T>(value)?;
    text.parse().map_err(|_| match did_you_mean(text, keywords.iter().copied()) {
        Some(meant) => format!("{text:?} is not a known value; did you mean \"{meant}\"?"),
        None => format!("{text:?} must be one of: {}", keywords.join(", ")),
    })
}

/// Implements [`FromToml`] for an enum whose keywords strum derives.
macro_rules! keyword_enum {
    ($enum:ty: $expected:literal) => {
        impl crate::scalar::FromToml for $enum {
            const EXPECTED: &'static str = $expected;

            fn from_toml(value: &toml::de::DeValue<'_>) -> Result<Self, String> {
                crate::scalar::keyword(value, <Self as strum::VariantNames>::VARIANTS)
            }

            fn to_toml(&self) -> toml::Value {
                <&'static str>::from(self).into()
            }
        }
    };
}
pub(crate) use keyword_enum;

impl FromToml for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| wrong_type::<Self>(value))
    }

    fn to_toml(&self) -> Value {
        (*self).into()
    }
}

impl FromToml for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let number = integer::<Self>(value)?;
        Self::try_from(number).map_err(|_| format!("{number} must be {}", Self::EXPECTED))
    }

    fn to_toml(&self) -> Value {
        (*self).into()
    }
}

impl FromToml for usize {
    const EXPECTED: &'static str = "a whole number";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let number = integer::<Self>(value)?;
        Self::try_from(number).map_err(|_| format!("{number} must be {}", Self::EXPECTED))
    }

    fn to_toml(&self) -> Value {
        // TOML integers end at i64::MAX, and so do all ranges.
        i64::try_from(*self).unwrap_or(i64::MAX).into()
    }
}

impl FromToml for String {
    const EXPECTED: &'static str = "text in quotes, not empty";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err(format!("is empty, must be {}", Self::EXPECTED)),
            text => Ok(text.to_owned()),
        }
    }

    fn to_toml(&self) -> Value {
        self.as_str().into()
    }
}

impl FromToml for PathBuf {
    const EXPECTED: &'static str = "a path in quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        match text::<Self>(value)? {
            "" => Err(format!("is empty, must be {}", Self::EXPECTED)),
            text => Ok(text.into()),
        }
    }

    fn to_toml(&self) -> Value {
        self.display().to_string().into()
    }
}

impl FromToml for Name {
    const EXPECTED: &'static str = "a name in quotes, at most 256 bytes";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        Self::new(text).map_err(|error| format!("{text:?}: {error}"))
    }

    fn to_toml(&self) -> Value {
        self.as_str().into()
    }
}

/// The name of a domain in lower case.
pub(crate) struct Domain(pub(crate) Name);

impl FromToml for Domain {
    const EXPECTED: &'static str = "the name of a domain in quotes";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        let text = text::<Self>(value)?;
        let name = Name::new(text).map_err(|error| format!("{text:?}: {error}"))?;
        Ok(Self(name.folded()))
    }

    fn to_toml(&self) -> Value {
        self.0.to_toml()
    }
}

impl FromToml for Glob {
    const EXPECTED: &'static str = "a pattern in quotes, with * ? [abc] {a,b}";

    fn from_toml(value: &DeValue<'_>) -> Result<Self, String> {
        Self::new(text::<Self>(value)?).map_err(|error| error.to_string())
    }

    fn to_toml(&self) -> Value {
        self.to_string().into()
    }
}
