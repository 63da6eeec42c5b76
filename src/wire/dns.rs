//! DNS (RFC 1035, RFC 2782): the subset needed to find the domain controllers of a domain and their
//! addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The type of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// The location of a service.
    Srv,
}

/// One record of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsRecord {
    /// An address of the queried name.
    Address(IpAddr),
    /// A location of the queried service.
    Service(SrvRecord),
}

/// The location of a service (RFC 2782). The ordering is the order in which servers are tried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SrvRecord {
    /// Servers with a lower priority are tried first.
    pub priority: u16,
    /// The relative weight among servers of one priority.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host name, without the trailing dot.
    pub host: String,
}

/// Why a response is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The response does not belong to the query; it may be forged.
    #[error("the response does not match the query")]
    Mismatch,
    /// The response does not fit into a datagram.
    #[error("the response does not fit into a datagram")]
    Truncated,
    /// NXDOMAIN.
    #[error("the name does not exist")]
    NoName,
    /// Another response code.
    #[error("the name server returned code {0}")]
    Code(u8),
    /// The response is truncated, or has an invalid name.
    #[error("the response is malformed")]
    Malformed,
}

impl RecordType {
    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Aaaa => 28,
            Self::Srv => 33,
        }
    }
}

/// The maximum length of an encoded name, in bytes (RFC 1035 section 2.3.4).
const NAME: usize = 255;

/// Encodes a query with the identifier `id`; `None` when `name` is not a valid DNS name.
pub fn encode_query(id: u16, name: &str, kind: RecordType) -> Option<Vec<u8>> {
    // Flags: recursion desired. One question.
    let mut written = Vec::from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    written[..2].copy_from_slice(&id.to_be_bytes());
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        written.push(length);
        written.extend_from_slice(label.as_bytes());
    }
    written.push(0);
    if written.len() > 12 + NAME {
        return None;
    }
    written.extend(kind.number().to_be_bytes());
    written.extend(1u16.to_be_bytes());
    Some(written)
}

/// The records in the response to `question`, which [`encode_query`] wrote.
///
/// # Errors
/// [`DnsError`] gives the reason.
pub fn decode_response(question: &[u8], bytes: &[u8]) -> Result<Vec<DnsRecord>, DnsError> {
    let asked = question.get(12..).ok_or(DnsError::Malformed)?;
    let header: &[u8; 12] = bytes.first_chunk().ok_or(DnsError::Malformed)?;
    let repeated = bytes.get(12..12 + asked.len()).ok_or(DnsError::Mismatch)?;
    if header[..2] != question[..2]
        || header[2] & 0x80 == 0
        || !repeated.eq_ignore_ascii_case(asked)
    {
        return Err(DnsError::Mismatch);
    }
    match header[3] & 0xf {
        _ if header[2] & 2 != 0 => return Err(DnsError::Truncated),
        0 => {}
        3 => return Err(DnsError::NoName),
        code => return Err(DnsError::Code(code)),
    }
    let count = u16::from_be_bytes([header[6], header[7]]);
    let mut cursor = Cursor { bytes, at: 12 + asked.len() };
    // The count is not trusted: reading ends with the bytes.
    let mut records = Vec::new();
    for _ in 0..count {
        records.extend(cursor.record()?);
    }
    Ok(records)
}

/// The read position in a response.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DnsError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        self.at += count;
        taken.ok_or(DnsError::Malformed)
    }

    fn number(&mut self) -> Result<u16, DnsError> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// One record; `None` for another type, such as CNAME.
    fn record(&mut self) -> Result<Option<DnsRecord>, DnsError> {
        self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        self.take(4)?;
        let length = usize::from(self.number()?);
        let end = self.at + length;
        let record = match (class, kind, length) {
            (1, 1, 4) => {
                let octets: [u8; 4] = self.take(4)?.try_into().map_err(|_| DnsError::Malformed)?;
                Some(DnsRecord::Address(Ipv4Addr::from(octets).into()))
            }
            (1, 28, 16) => {
                let octets: [u8; 16] =
                    self.take(16)?.try_into().map_err(|_| DnsError::Malformed)?;
                Some(DnsRecord::Address(Ipv6Addr::from(octets).into()))
            }
            (1, 33, 7..) => {
                let (priority, weight, port) = (self.number()?, self.number()?, self.number()?);
                let host = self.name()?;
                Some(DnsRecord::Service(SrvRecord { priority, weight, port, host }))
            }
            _ => None,
        };
        self.at = end;
        Ok(record)
    }

    /// A name. Compression pointers (RFC 1035 section 4.1.4) are followed only backwards.
    fn name(&mut self) -> Result<String, DnsError> {
        let mut name = String::new();
        let (mut after, mut limit) = (None, self.at);
        loop {
            match self.take(1)?[0] {
                0 => break,
                length @ 1..0x40 => {
                    let label = std::str::from_utf8(self.take(length.into())?);
                    let label = label.map_err(|_| DnsError::Malformed)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(label);
                    if name.len() > NAME {
                        return Err(DnsError::Malformed);
                    }
                }
                high @ 0xc0.. => {
                    let low = self.take(1)?[0];
                    after.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    // Each pointer must point further back, so that a loop is not possible.
                    if self.at >= limit {
                        return Err(DnsError::Malformed);
                    }
                    limit = self.at;
                }
                _ => return Err(DnsError::Malformed),
            }
        }
        self.at = after.unwrap_or(self.at);
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A response to `question` with `count` records encoded as `records`.
    fn answered(question: &[u8], count: u8, records: &[u8]) -> Vec<u8> {
        let mut bytes = [question, records].concat();
        (bytes[2], bytes[3], bytes[7]) = (0x81, 0x80, count);
        bytes
    }

    #[test]
    fn domain_controllers_are_found() {
        let asked = encode_query(7, "_ldap._tcp.dc._msdcs.x.org", RecordType::Srv).unwrap();
        // The host is `dc1.` followed by a pointer to `x.org` in the question, at offset 33.
        let record = b"\xc0\x0c\0\x21\0\x01\0\0\x03\x84\0\x0c\0\0\0\x64\x01\x85\x03dc1\xc0\x21";
        let host = "dc1.x.org".to_owned();
        let service = SrvRecord { priority: 0, weight: 100, port: 389, host };
        let bytes = answered(&asked, 1, record);
        assert_eq!(decode_response(&asked, &bytes), Ok(vec![DnsRecord::Service(service)]));
        // A count larger than the number of records.
        assert_eq!(decode_response(&asked, &answered(&asked, 2, record)), Err(DnsError::Malformed));
    }

    #[test]
    fn responses_to_other_queries_are_rejected() {
        let asked = encode_query(7, "x.org", RecordType::A).unwrap();
        let record = b"\xc0\x0c\0\x01\0\x01\0\0\x03\x84\0\x04\x0a\0\0\x01";
        let mut bytes = answered(&asked, 1, record);
        let address = DnsRecord::Address("10.0.0.1".parse().unwrap());
        assert_eq!(decode_response(&asked, &bytes), Ok(vec![address]));
        bytes[1] = 8;
        assert_eq!(decode_response(&asked, &bytes), Err(DnsError::Mismatch));
        assert_eq!(decode_response(&asked, &asked), Err(DnsError::Mismatch));
        let mut missing = answered(&asked, 0, b"");
        missing[3] = 0x83;
        assert_eq!(decode_response(&asked, &missing), Err(DnsError::NoName));
    }

    #[test]
    fn compression_loop_is_rejected() {
        let asked = encode_query(7, "x.org", RecordType::A).unwrap();
        let here = u8::try_from(asked.len()).unwrap();
        let bytes = answered(&asked, 1, &[0xc0, here, 0, 1]);
        assert_eq!(decode_response(&asked, &bytes), Err(DnsError::Malformed));
    }

    #[test]
    fn invalid_names_are_not_queried() {
        let long = format!("{}.x", "a".repeat(64));
        for bad in ["", "a..b", &long, &"abcdefg.".repeat(40)] {
            assert_eq!(encode_query(1, bad, RecordType::A), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_bytes_are_handled(id: u16, count: u8, rest: Vec<u8>) {
            let asked = encode_query(id, "x.org", RecordType::Srv).unwrap();
            let _ = decode_response(&asked, &answered(&asked, count, &rest));
            let _ = decode_response(&asked, &rest);
        }
    }
}
