//! `rollcall groups`: lists the groups of a user and explains a membership.

use clap::Args;
use serde_json::Value;

use super::CommandError;
use super::output::{Output, OutputFormat};
use super::server::{Response, Server};

#[derive(Debug, Args)]
pub(super) struct Groups {
    /// User name (alice, CORP\alice, alice@corp.example.com) or SID.
    user: String,
    /// Explain the membership in this group only.
    #[arg(long, value_name = "GROUP")]
    explain: Option<String>,
}

impl Groups {
    /// Prints one line per group, or the path of memberships to the given group.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), CommandError> {
        let path = format!("/api/v1/users/{}/groups", encoded(&self.user));
        let explain = self.explain.as_deref().map(|group| ("explain", group));
        let Response::Found(found) = server.get(&path, explain.as_slice())? else {
            let what = match &self.explain {
                Some(group) => format!("{} is not a member of {group}, or is unknown", self.user),
                None => format!("no directory contains {}", self.user),
            };
            output.either(&Value::Null, what)?;
            return Err(CommandError::NotFound);
        };
        if output.format() == OutputFormat::Json {
            return output.line(&found);
        }
        let groups = found["groups"].as_array().map_or(&[][..], Vec::as_slice);
        groups.iter().try_for_each(|group| output.line(line(&found["user"], group)))
    }
}

/// `Staff@corp.example.com`, or the path of memberships to it.
fn line(user: &Value, group: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(path) = group["path"].as_array() else {
        return format!("{}@{}", word(&group["name"]), word(&group["domain"]));
    };
    let steps = [word(&user["name"])].into_iter().chain(path.iter().map(word));
    steps.collect::<Vec<_>>().join(" is in ")
}

/// Percent-encodes a path segment except for unreserved characters (RFC 3986 section 2.3).
fn encoded(segment: &str) -> String {
    let mut path = String::new();
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            other => path += &format!("%{other:02X}"),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_name_is_encoded_as_one_segment() {
        assert_eq!(encoded("CORP\\al/ice é"), "CORP%5Cal%2Fice%20%C3%A9");
    }

    #[test]
    fn a_path_of_memberships_begins_with_the_user() {
        let user = json!({"name": "alice"});
        let mut group = json!({"name": "Everybody", "domain": "corp.example.com"});
        assert_eq!(line(&user, &group), "Everybody@corp.example.com");
        group["path"] = json!(["Staff", "Everybody"]);
        assert_eq!(line(&user, &group), "alice is in Staff is in Everybody");
    }
}
