//! A search result entry: a name and attributes, borrowed from the received bytes.

/// SearchResultEntry (RFC 4511 section 4.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResultEntry<'a> {
    /// The distinguished name; UTF-8 if the server follows the RFC.
    pub dn: &'a [u8],
    /// The attributes, in the order of the server.
    pub attributes: Vec<PartialAttribute<'a>>,
}

/// An attribute of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialAttribute<'a> {
    /// The name with options, such as `member;range=0-1499`.
    pub name: &'a str,
    /// The values, in the order of the server.
    pub values: Vec<&'a [u8]>,
}

/// The values of an attribute.
pub type AttributeValues<'e, 'a> = std::iter::Copied<std::slice::Iter<'e, &'a [u8]>>;

impl<'a> SearchResultEntry<'a> {
    /// The values of the attribute `name`; empty when it is missing.
    pub fn values(&self, name: &str) -> AttributeValues<'_, 'a> {
        let named = self.attributes.iter().find(|found| found.name.eq_ignore_ascii_case(name));
        named.map_or(&[][..], |attribute| &attribute.values).iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_names_ignore_case() {
        let values: Vec<&[u8]> = vec![b"user", &[0xff]];
        let attributes = vec![PartialAttribute { name: "objectClass", values: values.clone() }];
        let entry = SearchResultEntry { dn: b"CN=a", attributes };
        assert_eq!(entry.values("OBJECTCLASS").collect::<Vec<_>>(), values);
        assert_eq!(entry.values("member").count(), 0);
    }
}
