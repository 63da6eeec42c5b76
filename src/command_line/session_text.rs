//! Sessions as lines of text.

use serde_json::Value;

/// `10.0.0.7  alice@corp  since … until …  by syslog/branch-fw`, with the device and the groups.
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
        line += &format!("  on {device}");
    }
    let roles: Vec<&str> =
        session["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !roles.is_empty() {
        line += &format!("  in {}", roles.join(", "));
    }
    line
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
