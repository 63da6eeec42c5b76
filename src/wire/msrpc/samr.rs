//! MS-SAMR, the Security Account Manager protocol. It returns the domain of a domain controller:
//! its NetBIOS name, which the events of its log use, and its SID.
//!
//! Connect, enumerate the domains, look up the one that is not `Builtin`, close. Every domain
//! account may do so on a domain controller.

mod close;
mod connect;
mod domains;
mod look_up;
mod text;

use super::{Interface, Uuid};

pub use close::CloseHandle;
pub use connect::Connect5;
pub use domains::EnumerateDomains;
pub use look_up::LookupDomain;

/// The interface (MS-SAMR section 1.9).
pub const INTERFACE: Interface =
    Interface::new(Uuid::new(0x1234_5778, 0x1234, 0xabcd, 0xef00_0123_4567_89ac), 1, 0);

/// The built-in domain that every server has (MS-SAMR section 3.1.4.2).
pub const BUILTIN: &str = "Builtin";

/// An error NTSTATUS of the server (MS-ERREF section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SamrError {
    /// The account has no right.
    #[error("access denied (0xc0000022)")]
    AccessDenied,
    /// Another status.
    #[error("status {0:#010x}")]
    Status(u32),
}

impl SamrError {
    /// Checks `status`; errors have both high bits set.
    fn check(status: u32) -> Result<(), Self> {
        match status {
            0xc000_0022 => Err(Self::AccessDenied),
            0xc000_0000.. => Err(Self::Status(status)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::msrpc::ndr::ContextHandle;

    /// Byte sequences that impacket 0.13 writes and accepts for these calls.
    const CONNECT: &str = "000000003100000001000000010000000300000000000000";
    const CONNECTED: &str = "01000000010000000300000000000000000000001112131415161718191a1b1c1d1e1f20\
        00000000";
    const ENUMERATE: &str = "000000001112131415161718191a1b1c1d1e1f2000000000ffff0000";
    const ENUMERATED: &str = "02000000c381000002000000af31000002000000000000000800080078ff0000010000\
        000e000e00ddeb000004000000000000000400000043004f00520050000700000000000000070000004200750069\
        006c00740069006e00bfbf0200000000000000";
    const LOOK_UP: &str = "000000001112131415161718191a1b1c1d1e1f20080008009e62000004000000000000000\
        400000043004f0052005000";
    const LOOKED_UP: &str =
        "aeed00000400000001040000000000051500000031cc27abc8aa8b24f55f70e100000000";
    const CLOSE: &str = "000000001112131415161718191a1b1c1d1e1f20";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.as_chunks::<2>().0.iter();
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn handle() -> ContextHandle {
        Connect5::decode(&bytes(CONNECTED)).unwrap().unwrap()
    }

    #[test]
    fn requests_match_another_client() {
        assert_eq!(Connect5.stub(), bytes(CONNECT));
        let handle = handle();
        assert_eq!(EnumerateDomains { handle }.stub(), bytes(ENUMERATE));
        assert_eq!(CloseHandle { handle }.stub(), bytes(CLOSE));
        let mut wanted = bytes(LOOK_UP);
        // The referent identifier of a non-null pointer is arbitrary.
        wanted[24..28].copy_from_slice(&0x0002_0000_u32.to_le_bytes());
        assert_eq!(LookupDomain { handle, name: "CORP" }.stub(), wanted);
    }

    #[test]
    fn responses_are_decoded() {
        let domains = EnumerateDomains::decode(&bytes(ENUMERATED)).unwrap();
        assert_eq!(domains, Ok(vec!["CORP".to_owned(), BUILTIN.to_owned()]));
        let sid = LookupDomain::decode(&bytes(LOOKED_UP)).unwrap().unwrap();
        assert_eq!(sid.to_string(), "S-1-5-21-2871512113-613133000-3782238197");
    }

    #[test]
    fn error_status_is_returned() {
        let refused = |answer: &str| {
            let mut bytes = bytes(answer);
            let end = bytes.len() - 4;
            bytes[end..].copy_from_slice(&0xc000_0022_u32.to_le_bytes());
            bytes
        };
        assert_eq!(Connect5::decode(&refused(CONNECTED)), Ok(Err(SamrError::AccessDenied)));
        let domains = EnumerateDomains::decode(&refused(ENUMERATED));
        assert_eq!(domains, Ok(Err(SamrError::AccessDenied)));
        assert_eq!(LookupDomain::decode(&refused(LOOKED_UP)), Ok(Err(SamrError::AccessDenied)));
        // Only a status, without a result.
        let nothing = [bytes("00000000"), 0xc000_00df_u32.to_le_bytes().to_vec()].concat();
        assert_eq!(LookupDomain::decode(&nothing), Ok(Err(SamrError::Status(0xc000_00df))));
    }

    #[test]
    fn every_count_is_checked() {
        for answer in [CONNECTED, ENUMERATED, LOOKED_UP] {
            let whole = bytes(answer);
            for end in 0..whole.len() {
                let cut = &whole[..end];
                let read = [
                    Connect5::decode(cut).is_ok() && answer == CONNECTED,
                    EnumerateDomains::decode(cut).is_ok() && answer == ENUMERATED,
                    LookupDomain::decode(cut).is_ok() && answer == LOOKED_UP,
                ];
                assert_eq!(read, [false; 3], "{end} of {}", whole.len());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn damaged_responses_are_handled(
            which in 0..3_usize,
            hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            noise in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut stub = bytes([CONNECTED, ENUMERATED, LOOKED_UP][which]);
            for (at, value) in hits {
                let at = at.index(stub.len());
                stub[at] = value;
            }
            for stub in [stub, noise] {
                let _ = Connect5::decode(&stub);
                let _ = LookupDomain::decode(&stub);
                if let Ok(Ok(domains)) = EnumerateDomains::decode(&stub) {
                    prop_assert!(domains.len() <= stub.len());
                }
            }
        }
    }
}
