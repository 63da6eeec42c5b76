//! `groups`: which groups a user is in, and by which way.

use clap::Args;
use serde_json::Value;

use super::Failed;
use super::output::{Form, Output};
use super::server::{Answer, Server};

/// A user of a directory.
#[derive(Debug, Args)]
pub(super) struct Groups {
    /// alice, CORP\alice, alice@corp.example.com, or a SID.
    user: String,
    /// Only this group, and why the user is in it.
    #[arg(long, value_name = "GROUP")]
    explain: Option<String>,
}

impl Groups {
    /// Prints a line for each group, or the way that leads to the one that is asked for.
    pub(super) fn run(&self, server: &Server, output: &mut Output<'_>) -> Result<(), Failed> {
        let path = format!("/api/v1/users/{}/groups", encoded(&self.user));
        let explain = self.explain.as_deref().map(|group| ("explain", group));
        let Answer::Found(found) = server.get(&path, explain.as_slice())? else {
            let what = match &self.explain {
                Some(group) => format!("{} is not in {group}, or is not known", self.user),
                None => format!("no directory knows {}", self.user),
            };
            output.either(&Value::Null, what)?;
            return Err(Failed::Nothing);
        };
        if output.form() == Form::Json {
            return output.line(&found);
        }
        let groups = found["groups"].as_array().map_or(&[][..], Vec::as_slice);
        groups.iter().try_for_each(|group| output.line(line(&found["user"], group)))
    }
}

/// `Staff@corp.example.com`, or the way to it.
fn line(user: &Value, group: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(path) = group["path"].as_array() else {
        return format!("{}@{}", word(&group["name"]), word(&group["domain"]));
    };
    let steps = [word(&user["name"])].into_iter().chain(path.iter().map(word));
    steps.collect::<Vec<_>>().join(" is in ")
}

/// A segment of a path, in which only what RFC 3986 section 2.3 leaves alone stands for itself.
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
    fn a_user_of_any_spelling_is_one_segment() {
        assert_eq!(encoded("CORP\\al/ice é"), "CORP%5Cal%2Fice%20%C3%A9");
    }

    #[test]
    fn a_way_is_told_from_the_user_to_the_group() {
        let user = json!({"name": "alice"});
        let mut group = json!({"name": "Everybody", "domain": "corp.example.com"});
        assert_eq!(line(&user, &group), "Everybody@corp.example.com");
        group["path"] = json!(["Staff", "Everybody"]);
        assert_eq!(line(&user, &group), "alice is in Staff is in Everybody");
    }
}
