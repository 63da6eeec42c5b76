//! The status codes of failed calls.

use std::fmt;

/// The status of a fault: an error of the RPC runtime (C706 appendix E) or of Windows (MS-ERREF
/// section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FaultStatus(pub u32);

/// Common codes: code, name, and a message for the administrator.
const KNOWN: &[(u32, &str, &str)] = &[
    (5, "access_denied", "the account has no right to do this, or must authenticate"),
    (14, "error_outofmemory", "the server is out of memory"),
    (1717, "rpc_s_unknown_if", "the server does not have this interface"),
    (1722, "rpc_s_server_unavailable", "the service behind the interface is not running"),
    (1723, "rpc_s_server_too_busy", "the server is too busy"),
    (1726, "rpc_s_call_failed", "the call failed on the server"),
    (1727, "rpc_s_call_failed_dne", "the call failed before it was executed"),
    (1728, "rpc_s_protocol_error", "the server could not understand the protocol"),
    (1734, "rpc_s_invalid_tag", "a value selects no member of a union"),
    (1745, "rpc_s_procnum_out_of_range", "the interface has no such operation"),
    (1764, "rpc_s_cannot_support", "the server does not support the operation"),
    (1775, "rpc_x_ss_in_null_context", "the handle is not valid"),
    (1777, "rpc_x_ss_context_damaged", "the handle changed during the call"),
    (1780, "rpc_x_null_ref_pointer", "a parameter is missing"),
    (1783, "rpc_x_bad_stub_data", "the parameters are not those of the operation"),
    (1818, "rpc_s_call_cancelled", "the call was cancelled"),
    (1825, "rpc_s_sec_pkg_error", "the security package of the server rejected the account"),
    (0x1c00_0006, "nca_s_fault_invalid_tag", "a value selects no member of a union"),
    (0x1c00_0007, "nca_s_fault_invalid_bound", "an array is larger than it may be"),
    (0x1c00_0008, "nca_s_rpc_version_mismatch", "the server uses another version of RPC"),
    (0x1c00_0009, "nca_s_unspec_reject", "the server gave no reason"),
    (0x1c00_000d, "nca_s_fault_cancel", "the call was cancelled"),
    (0x1c00_0012, "nca_s_fault_unspec", "the server gave no reason"),
    (0x1c00_001a, "nca_s_fault_context_mismatch", "the server does not know the handle"),
    (0x1c00_001b, "nca_s_fault_remote_no_memory", "the server is out of memory"),
    (0x1c00_001c, "nca_s_invalid_pres_context_id", "the call is for an interface never bound"),
    (
        0x1c00_001d,
        "nca_s_unsupported_authn_level",
        "the server requires another authentication level",
    ),
    (0x1c00_001f, "nca_s_invalid_checksum", "the server found an invalid checksum"),
    (0x1c00_0020, "nca_s_invalid_crc", "the server found an invalid CRC"),
    (0x1c01_0001, "nca_s_comm_failure", "the server lost the connection"),
    (0x1c01_0002, "nca_s_op_rng_error", "the interface has no such operation"),
    (0x1c01_0003, "nca_s_unk_if", "the server does not have this interface"),
    (0x1c01_0006, "nca_s_wrong_boot_time", "the server was restarted"),
    (0x1c01_0009, "nca_s_you_crashed", "the server assumes that the client crashed"),
    (0x1c01_000b, "nca_s_proto_error", "the server could not understand the protocol"),
    (0x1c01_0013, "nca_s_out_args_too_big", "the answer is too big"),
    (0x1c01_0014, "nca_s_server_too_busy", "the server is too busy"),
    (0x1c01_0017, "nca_s_unsupported_type", "the object is of a type that is not supported"),
    (0xc000_0022, "access_denied", "the account has no right to do this"),
];

impl FaultStatus {
    /// The account has no right, or must authenticate first.
    pub const ACCESS_DENIED: Self = Self(5);

    /// The interface has no such operation.
    pub const OP_RANGE: Self = Self(0x1c01_0002);

    /// The server does not have the interface.
    pub const UNKNOWN_INTERFACE: Self = Self(0x1c01_0003);

    /// The call was cancelled.
    pub const CANCELLED: Self = Self(0x1c00_000d);

    fn known(self) -> Option<&'static (u32, &'static str, &'static str)> {
        KNOWN.iter().find(|(code, ..)| *code == self.0)
    }

    /// The name of a common code: a closed set, usable as a label of a metric.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|(_, name, _)| *name)
    }

    /// The security package of the server failed: Samba uses it for a wrong password.
    pub const SECURITY_PACKAGE: Self = Self(1825);

    /// Whether the status means access denied, in any of its variants.
    pub fn is_access_denied(self) -> bool {
        self.name() == Some("access_denied")
    }
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some((code, name, meaning)) => write!(f, "{meaning} ({name}, {code:#x})"),
            None => write!(f, "status {:#x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_name_and_code() {
        let said = "the interface has no such operation (nca_s_op_rng_error, 0x1c010002)";
        assert_eq!(FaultStatus::OP_RANGE.to_string(), said);
        assert_eq!(FaultStatus(0xdead).to_string(), "status 0xdead");
        assert!(FaultStatus::ACCESS_DENIED.is_access_denied());
        assert!(FaultStatus(0xc000_0022).is_access_denied());
        assert!(!FaultStatus(0xdead).is_access_denied());
    }

    #[test]
    fn codes_are_unique() {
        assert!(KNOWN.is_sorted_by(|one, next| one.0 < next.0));
    }
}
