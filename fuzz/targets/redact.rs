//! An unknown request goes to the log on one bounded line, and no secret goes with it, whatever
//! stands around the secret.

use super::request;
use rollcall_wire::http::{RequestParts, redact};

/// No text that a fuzzer comes upon by itself.
const SECRET: &str = "zQ7xK2vPq9";

fn check(request: &RequestParts<'_>) -> String {
    let line = redact(request);
    assert!(line.len() <= 4096, "{} bytes", line.len());
    assert!(!line.contains(char::is_control), "more than one line: {line:?}");
    line
}

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some(request) = request(data) else { return };
    check(&request);
    if data.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
        return;
    }
    let bearer = format!("Bearer {SECRET}");
    let query = format!("{}&client_secret={SECRET}", request.query);
    let form = format!("client_secret={SECRET}&{}", request.query);
    let cookie = format!("session={SECRET}; {}", request.cookie_header.unwrap_or_default());
    let tail = [format!("access_token={SECRET}&").as_bytes(), request.body].concat();
    for secretive in [
        RequestParts { authorization: Some(&bearer), ..request },
        RequestParts { authorization: Some(SECRET), ..request },
        RequestParts { x_cookie_header: Some(SECRET), ..request },
        RequestParts { cookie_header: Some(&cookie), ..request },
        RequestParts { query: &query, ..request },
        RequestParts { body: form.as_bytes(), ..request },
        RequestParts { body: &tail, ..request },
    ] {
        let line = check(&secretive);
        assert!(!line.contains(SECRET), "{line}");
    }
}
