//! What Secure Edge answers, believed only where it is whole: an answer that does not add up is no
//! acknowledgement.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{DIGEST_PAGES, Position, Tally};

/// Why an answer is not taken. It repeats nothing of what came, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// Not the JSON that is documented.
    #[error("the answer is not the JSON that was asked for, at line {line}, column {column}")]
    Shape {
        /// The line, from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// It says that the receiver is elsewhere.
    #[error("the answer acknowledges another position than was sent")]
    Position,
    /// Reports are missing in it, or are too many.
    #[error("the answer accounts for {told} reports of {sent}")]
    Count {
        /// Taken, known and refused together.
        told: u64,
        /// How many were sent.
        sent: usize,
    },
    /// It refuses a report that was not sent.
    #[error("the answer refuses a report that was not sent")]
    Stranger,
    /// A token, an id or a secret that cannot be sent in a header.
    #[error("the {0} in the answer cannot be used: it is empty, too long or not printable ASCII")]
    Unusable(&'static str),
    /// Digests of another number of pages.
    #[error("the answer has {0} digests, not {DIGEST_PAGES}")]
    Pages(usize),
}

/// Reads an answer, whole.
///
/// # Errors
/// [`BadAnswer::Shape`] when it is not `T`.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadAnswer> {
    serde_json::from_slice(body)
        .map_err(|why| BadAnswer::Shape { line: why.line(), column: why.column() })
}

/// What an onboarding token was exchanged for.
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Credentials {
    /// The client id, at most 256 printable ASCII characters without a colon.
    pub client_id: String,
    /// The client secret, at most 1,024 printable ASCII characters.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String)]
    pub client_secret: Zeroizing<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads them.
    ///
    /// # Errors
    /// When they are not there, or could not be sent back.
    pub fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        let credentials: Self = read(body)?;
        let id = credentials.client_id.as_str();
        // A colon would end the id in HTTP Basic (RFC 7617 section 2).
        if !printable(id, 256) || id.contains(':') {
            return Err(BadAnswer::Unusable("client_id"));
        }
        if !printable(&credentials.client_secret, 1024) {
            return Err(BadAnswer::Unusable("client_secret"));
        }
        Ok(credentials)
    }
}

/// An access token (RFC 6749 section 5.1).
#[derive(Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Token {
    /// What is sent as `Authorization: Bearer`.
    #[serde(deserialize_with = "secret")]
    #[schema(value_type = String)]
    pub access_token: Zeroizing<String>,
    /// For how many seconds it is good; when it is left out, until it is refused.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl Token {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not there, or cannot be sent back.
    pub fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        let token: Self = read(body)?;
        match printable(&token.access_token, 8192) {
            true => Ok(token),
            false => Err(BadAnswer::Unusable("access_token")),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn printable(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Up to where the receiver knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Place {
    /// The place after the last batch that it has taken; none when it holds nothing, or is in the
    /// middle of a synchronisation.
    #[schema(value_type = Option<String>)]
    pub position: Option<Position>,
    /// How many batches it takes at once, each on a connection of its own; when it is left out, one.
    #[serde(default)]
    pub window: Option<u32>,
}

/// A batch was taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Taken {
    /// The `next` of the batch, be the receiver there already or not.
    #[schema(value_type = String)]
    pub position: Position,
    /// Reports that are in force now.
    pub accepted: u64,
    /// Reports that it knew already, or knew better.
    pub duplicates: u64,
    /// Reports that it cannot take, and will not take when they come again.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// One report that the receiver cannot take.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Refused {
    /// The list of the batch that it stands in.
    pub list: List,
    /// Its place there, from 0.
    pub index: usize,
    /// Why, in words, of which the first 200 characters are shown.
    pub reason: String,
}

/// A list of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum List {
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

impl Taken {
    /// Reads the answer to a batch of `sent` reports after which the receiver must be at `next`.
    ///
    /// # Errors
    /// When it does not account for every report, or is at another place.
    pub fn read(body: &[u8], sent: Tally, next: &str) -> Result<Self, BadAnswer> {
        let mut taken: Self = read(body)?;
        for refused in &mut taken.refused {
            refused.reason = printed(&refused.reason);
        }
        if taken.position != next {
            return Err(BadAnswer::Position);
        }
        let refused = u64::try_from(taken.refused.len()).unwrap_or(u64::MAX);
        let told = taken.accepted.saturating_add(taken.duplicates).saturating_add(refused);
        if usize::try_from(told) != Ok(sent.all()) {
            return Err(BadAnswer::Count { told, sent: sent.all() });
        }
        if taken.refused.iter().any(|refused| refused.index >= refused.list.length(sent)) {
            return Err(BadAnswer::Stranger);
        }
        Ok(taken)
    }
}

impl List {
    fn length(self, sent: Tally) -> usize {
        match self {
            Self::Groups => sent.groups,
            Self::Users => sent.users,
            Self::Devices => sent.devices,
            Self::Sessions => sent.sessions,
            Self::States => sent.states,
        }
    }
}

/// A synchronisation was ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Ended {
    /// The place that was sent.
    #[schema(value_type = String)]
    pub position: Position,
    /// How many sessions it holds now.
    pub sessions: u64,
}

/// What the receiver holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Digests {
    /// The place at which it holds that.
    #[schema(value_type = Option<String>)]
    pub position: Option<Position>,
    /// The digest of each page of addresses, in lower-case hexadecimal. The page of an address is
    /// the first two bytes of the SHA-256 of its text, big-endian, modulo 4,096. The digest of a
    /// page is the exclusive or of the SHA-256 of each session's line there: address, user, domain,
    /// device, posture, roles, groups of the user, groups of the device, with U+001F between them
    /// and U+001E before each item of a list; a group is written `domain\name`.
    pub pages: Vec<String>,
}

impl Digests {
    /// Reads them.
    ///
    /// # Errors
    /// When their number is another.
    pub fn read(body: &[u8]) -> Result<Self, BadAnswer> {
        let digests: Self = read(body)?;
        match digests.pages.len() {
            DIGEST_PAGES => Ok(digests),
            other => Err(BadAnswer::Pages(other)),
        }
    }
}

/// Why a request was not done (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct Problem {
    /// In a few words.
    pub title: Option<String>,
    /// In a sentence.
    pub detail: Option<String>,
}

impl Problem {
    /// What the receiver says, fit for a log line: at most 200 characters, none of which forges
    /// text. Nothing when it says nothing that can be read.
    pub fn read(body: &[u8]) -> Option<String> {
        let problem: Self = read(body).ok()?;
        Some(printed(&problem.detail.or(problem.title)?))
    }
}

/// Why no token was granted (RFC 6749 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    /// One of the words that are defined there, such as `invalid_client`.
    pub error: String,
    /// For people.
    #[serde(default)]
    pub error_description: Option<String>,
}

impl Refusal {
    /// What it says, fit for a log line; nothing when it is none.
    pub fn read(body: &[u8]) -> Option<String> {
        let Self { error, error_description: more } = read(body).ok()?;
        Some(printed(&more.map_or(error.clone(), |more| format!("{error}: {more}"))))
    }
}

/// The longest text of a receiver that is repeated, in characters.
const SAID: usize = 200;

/// The beginning of a text of the receiver's, fit for a log line: nothing in it forges text.
fn printed(said: &str) -> String {
    let printed = |c: char| if c.is_control() { ' ' } else { c };
    said.chars().filter(|c| !is_direction(*c)).map(printed).take(SAID).collect()
}

/// Separators and overrides that change how the text around them is read (UTR 36, section 3.1).
fn is_direction(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
