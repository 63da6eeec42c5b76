//! Converts a search result entry of the LDAP library to the entry type of `wire`.

use ldap3::asn1::{PL, StructureTag};
use rollcall_wire::ldap::{BerError, PartialAttribute, SearchResultEntry};

/// Converts `found` to an entry that borrows its values.
///
/// # Errors
/// When `found` is not an entry. The response guard rejects such responses before.
pub(super) fn entry(found: &StructureTag) -> Result<SearchResultEntry<'_>, BerError> {
    let [dn, attributes] = parts(found)? else { return Err(BerError::Tag) };
    let attributes = parts(attributes)?.iter().map(attribute);
    Ok(SearchResultEntry { dn: bytes(dn)?, attributes: attributes.collect::<Result<_, _>>()? })
}

fn attribute(found: &StructureTag) -> Result<PartialAttribute<'_>, BerError> {
    let [name, values] = parts(found)? else { return Err(BerError::Tag) };
    let name = std::str::from_utf8(bytes(name)?).map_err(|_| BerError::Text)?;
    let values = parts(values)?.iter().map(bytes);
    Ok(PartialAttribute { name, values: values.collect::<Result<_, _>>()? })
}

fn parts(tag: &StructureTag) -> Result<&[StructureTag], BerError> {
    match &tag.payload {
        PL::C(parts) => Ok(parts),
        PL::P(_) => Err(BerError::Tag),
    }
}

fn bytes(tag: &StructureTag) -> Result<&[u8], BerError> {
    match &tag.payload {
        PL::P(bytes) => Ok(bytes),
        PL::C(_) => Err(BerError::Tag),
    }
}
