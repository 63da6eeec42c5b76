//! Search filters as values, so that input cannot change the structure of a filter.

use std::fmt::{self, Write};

/// A search filter (RFC 4511 section 4.5.1.7). Attribute names are constants, never input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All filters match.
    And(Vec<Self>),
    /// One of the filters matches.
    Or(Vec<Self>),
    /// The filter does not match.
    Not(Box<Self>),
    /// The attribute is present.
    Present(&'static str),
    /// The attribute has this value.
    Equal(&'static str, Vec<u8>),
    /// The attribute is greater than or equal to this number.
    AtLeast(&'static str, u64),
}

impl Filter {
    /// The attribute equals this text.
    pub fn text(attribute: &'static str, text: &str) -> Self {
        Self::Equal(attribute, text.as_bytes().to_vec())
    }
}

impl fmt::Display for Filter {
    /// The string form of RFC 4515, with special characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sign: char, filters: &[Self]| {
            f.write_char(sign)?;
            filters.iter().try_for_each(|filter| filter.fmt(f))
        };
        f.write_char('(')?;
        match self {
            Self::And(filters) => list(f, '&', filters)?,
            Self::Or(filters) => list(f, '|', filters)?,
            Self::Not(filter) => write!(f, "!{filter}")?,
            Self::Present(attribute) => write!(f, "{attribute}=*")?,
            Self::Equal(attribute, value) => {
                write!(f, "{attribute}=")?;
                escape(f, value)?;
            }
            Self::AtLeast(attribute, least) => write!(f, "{attribute}>={least}")?,
        }
        f.write_char(')')
    }
}

/// RFC 4515 section 3: `*`, `(`, `)`, `\` and NUL must be escaped; any other byte may be.
fn escape(f: &mut fmt::Formatter<'_>, value: &[u8]) -> fmt::Result {
    for byte in value {
        match byte {
            b'*' | b'(' | b')' | b'\\' | 0..0x20 | 0x7f.. => write!(f, "\\{byte:02x}")?,
            plain => f.write_char(char::from(*plain))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        let filter = |text: &str| Filter::text("o", text).to_string();
        assert_eq!(
            filter("Parens R Us (for all your parenthetical needs)"),
            "(o=Parens R Us \\28for all your parenthetical needs\\29)"
        );
        assert_eq!(filter("C:\\MyFile"), "(o=C:\\5cMyFile)");
        assert_eq!(Filter::text("cn", "*").to_string(), "(cn=\\2a)");
        assert_eq!(Filter::Equal("bin", vec![0, 0, 0, 4]).to_string(), "(bin=\\00\\00\\00\\04)");
        let both = Filter::And(vec![
            Filter::Present("objectClass"),
            Filter::Not(Box::new(Filter::AtLeast("uSNChanged", 7))),
        ]);
        assert_eq!(both.to_string(), "(&(objectClass=*)(!(uSNChanged>=7)))");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn values_are_escaped_in_filters(value: Vec<u8>) {
            let written = Filter::Equal("cn", value.clone()).to_string();
            let inner = written.strip_prefix("(cn=").unwrap().strip_suffix(')').unwrap();
            prop_assert!(!inner.contains(['(', ')', '*', '\0']));
            // Decoded according to RFC 4515, the value is unchanged.
            let (mut read, mut rest) = (Vec::new(), inner.as_bytes());
            while let Some((byte, after)) = rest.split_first() {
                rest = after;
                if *byte == b'\\' {
                    let digits = std::str::from_utf8(&after[..2]).unwrap();
                    read.push(u8::from_str_radix(digits, 16).unwrap());
                    rest = &after[2..];
                } else {
                    read.push(*byte);
                }
            }
            prop_assert_eq!(read, value);
        }
    }
}
