//! Responses of Secure Edge. A response that is incomplete or inconsistent is not an
//! acknowledgement.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{DIGEST_PAGES, PositionToken, ReportCounts};
use crate::http::sanitized;

/// Why a response is rejected. The message never quotes the response, which may have a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecureEdgeError {
    /// Not the documented JSON.
    #[error("the response is not the expected JSON, at line {line}, column {column}")]
    Shape {
        /// The line, from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The receiver has another position.
    #[error("the response acknowledges another position than the one sent")]
    Position,
    /// The counts do not match the batch.
    #[error("the response accounts for {counted} of {sent} reports")]
    Count {
        /// The sum of accepted, duplicate and rejected reports.
        counted: u64,
        /// The number of reports sent.
        sent: usize,
    },
    /// The response rejects a report that was not sent.
    #[error("the response rejects a report that was not sent")]
    UnknownReport,
    /// A token, id or secret that cannot be sent in a header.
    #[error("the {0} in the response is empty, too long or not printable ASCII")]
    Unusable(&'static str),
    /// Another number of digest pages.
    #[error("the response has {0} digests instead of {DIGEST_PAGES}")]
    Pages(usize),
}

/// Parses a complete response.
///
/// # Errors
/// [`SecureEdgeError::Shape`] when the body is not `T`.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, SecureEdgeError> {
    serde_json::from_slice(body)
        .map_err(|why| SecureEdgeError::Shape { line: why.line(), column: why.column() })
}

/// Credentials that were exchanged for an onboarding token.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct OnboardedCredentials {
    /// The client id, at most 256 printable ASCII characters without a colon.
    pub client_id: String,
    /// The client secret, at most 1,024 printable ASCII characters.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String)]
    pub client_secret: Zeroizing<String>,
}

impl fmt::Debug for OnboardedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl OnboardedCredentials {
    /// Parses and validates the credentials.
    ///
    /// # Errors
    /// A value is missing or cannot be sent in a header.
    pub fn read(body: &[u8]) -> Result<Self, SecureEdgeError> {
        let credentials: Self = read(body)?;
        let id = credentials.client_id.as_str();
        // A colon would end the id in HTTP Basic (RFC 7617 section 2).
        if !printable(id, 256) || id.contains(':') {
            return Err(SecureEdgeError::Unusable("client_id"));
        }
        if !printable(&credentials.client_secret, 1024) {
            return Err(SecureEdgeError::Unusable("client_secret"));
        }
        Ok(credentials)
    }
}

/// An access token (RFC 6749 section 5.1).
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct AccessToken {
    /// The value of `Authorization: Bearer`.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String)]
    pub access_token: Zeroizing<String>,
    /// The lifetime in seconds; when it is left out, until the token is rejected.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl AccessToken {
    /// Parses and validates the token.
    ///
    /// # Errors
    /// The value is missing or cannot be sent in a header.
    pub fn read(body: &[u8]) -> Result<Self, SecureEdgeError> {
        let token: Self = read(body)?;
        match printable(&token.access_token, 8192) {
            true => Ok(token),
            false => Err(SecureEdgeError::Unusable("access_token")),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn printable(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The position of the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct ReceiverPosition {
    /// The position after the last accepted batch; none when the receiver is empty, or in the
    /// middle of a synchronization.
    #[schema(value_type = Option<String>)]
    pub position: Option<PositionToken>,
    /// How many batches it accepts in parallel, each on its own connection; when it is left out,
    /// one.
    #[serde(default)]
    pub window: Option<u32>,
}

/// The acknowledgement of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct BatchAck {
    /// The `next` of the batch, also when the receiver already was there.
    #[schema(value_type = String)]
    pub position: PositionToken,
    /// The number of reports that were applied.
    pub accepted: u64,
    /// The number of reports that were already known or outdated.
    pub duplicates: u64,
    /// Reports that the receiver rejects, also on a retry.
    #[serde(default)]
    pub refused: Vec<RejectedReport>,
}

/// A rejected report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct RejectedReport {
    /// The list of the batch with the report.
    pub list: ReportList,
    /// The index in the list, from 0.
    pub index: usize,
    /// The reason as text, of which the first 200 characters are shown.
    pub reason: String,
}

/// A list of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportList {
    /// Groups.
    Groups,
    /// Users.
    Users,
    /// Devices.
    Devices,
    /// Sessions.
    Sessions,
    /// States of devices.
    States,
}

impl BatchAck {
    /// Parses the response to a batch of `sent` reports, after which the receiver must be at
    /// `next`.
    ///
    /// # Errors
    /// The counts do not match, or the position is another one.
    pub fn read(body: &[u8], sent: ReportCounts, next: &str) -> Result<Self, SecureEdgeError> {
        let mut ack: Self = read(body)?;
        for refused in &mut ack.refused {
            refused.reason = sanitized(&refused.reason);
        }
        if ack.position != next {
            return Err(SecureEdgeError::Position);
        }
        let refused = u64::try_from(ack.refused.len()).unwrap_or(u64::MAX);
        let counted = ack.accepted.saturating_add(ack.duplicates).saturating_add(refused);
        if usize::try_from(counted) != Ok(sent.all()) {
            return Err(SecureEdgeError::Count { counted, sent: sent.all() });
        }
        if ack.refused.iter().any(|refused| refused.index >= refused.list.length(sent)) {
            return Err(SecureEdgeError::UnknownReport);
        }
        Ok(ack)
    }
}

impl ReportList {
    fn length(self, sent: ReportCounts) -> usize {
        match self {
            Self::Groups => sent.groups,
            Self::Users => sent.users,
            Self::Devices => sent.devices,
            Self::Sessions => sent.sessions,
            Self::States => sent.states,
        }
    }
}

/// The acknowledgement of the end of a synchronization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct SyncEnded {
    /// The position that was sent.
    #[schema(value_type = String)]
    pub position: PositionToken,
    /// The number of sessions of the receiver.
    pub sessions: u64,
}

/// Digests of the sessions of the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct DigestPages {
    /// The position of the receiver.
    #[schema(value_type = Option<String>)]
    pub position: Option<PositionToken>,
    /// The digest of each page of addresses, in lower-case hexadecimal. The page of an address is
    /// the first two bytes of the SHA-256 of its text, big-endian, modulo 4,096. The digest of a
    /// page is the exclusive or of the SHA-256 of each session's line there: address, user, domain,
    /// device, posture, roles, groups of the user, groups of the device, with U+001F between them
    /// and U+001E before each item of a list; a group is written `domain\name`.
    pub pages: Vec<String>,
}

impl DigestPages {
    /// Parses the digests.
    ///
    /// # Errors
    /// The number of pages is not [`DIGEST_PAGES`].
    pub fn read(body: &[u8]) -> Result<Self, SecureEdgeError> {
        let digests: Self = read(body)?;
        match digests.pages.len() {
            DIGEST_PAGES => Ok(digests),
            other => Err(SecureEdgeError::Pages(other)),
        }
    }
}
