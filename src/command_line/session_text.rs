//! Sessions as lines of text.

use serde_json::Value;

/// `10.0.0.7  alice@corp  since … until …  by syslog/branch-fw`, with the device and the groups, and
/// with their source if it is not that of the session.
pub(super) fn line(session: &Value) -> String {
    let until = match session["ended"].as_str() {
        Some(ended) => format!("ended {ended}"),
        None if session["state"] == "ended" => "ended".to_owned(),
        None => format!("until {}", word(&session["expires"])),
    };
    let mut line = format!(
        "{:<15}  {:<24}  since {}  {until}  by {}/{}",
        word(&session["address"]),
        user_or_device(session),
        word(&session["since"]),
        word(&session["producer"]),
        word(&session["client"]),
    );
    if let Some(device) = session["device"].as_str().filter(|_| !session["user"].is_null()) {
        line += &format!("  on {device}{}", other_source(session, "device_source"));
    }
    let roles: Vec<&str> =
        session["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !roles.is_empty() {
        line += &format!("  in {}{}", roles.join(", "), other_source(session, "roles_source"));
    }
    if let Some(posture) = session["posture"].as_str() {
        line += &format!("  {posture}{}", other_source(session, "posture_source"));
    }
    line
}

/// ` (from syslog/nac)` if another source than that of the session asserted a detail.
fn other_source(session: &Value, key: &str) -> String {
    let own = format!("{}/{}", word(&session["producer"]), word(&session["client"]));
    let source = session[key].as_str().filter(|source| *source != own);
    source.map(|source| format!(" (from {source})")).unwrap_or_default()
}

/// `alice@corp`, `alice`, or `device pc1`.
pub(super) fn user_or_device(session: &Value) -> String {
    match (session["user"].as_str(), session["domain"].as_str()) {
        (Some(user), Some(domain)) => format!("{user}@{domain}"),
        (Some(user), None) => user.to_owned(),
        (None, _) => format!("device {}", word(&session["device"])),
    }
}

/// A string of a response; `-` if it is absent.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_detail_of_another_source_names_it() {
        let session = json!({
            "address": "10.0.0.7", "user": "alice", "domain": "corp", "since": "a", "expires": "b",
            "producer": "ptim", "client": "fw", "device": "pc1", "device_source": "syslog/dhcp",
            "roles": ["staff"], "roles_source": "ptim/fw", "posture": "quarantine",
            "posture_source": "syslog/nac",
        });
        let line = line(&session);
        let details =
            "by ptim/fw  on pc1 (from syslog/dhcp)  in staff  quarantine (from syslog/nac)";
        assert!(line.ends_with(details), "{line}");
    }
}
