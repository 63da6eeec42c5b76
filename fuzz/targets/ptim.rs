//! What a firewall or a script pushes: sound events or a refusal, never a part of a body.

use super::{check, name, origin, request, seen};
use rollcall_identity::Producer;
use rollcall_wire::ptim::{EVENTS, MissingTime, PtimContext, is_push, read, read_json_events};

/// Runs one input.
///
/// # Panics
/// On a finding.
pub fn run(data: &[u8]) {
    let Some(request) = request(data) else { return };
    let (origin, domain) = (origin(Producer::Ptim), name("corp.example.com"));
    let received = PtimContext {
        seen: seen(),
        origin: &origin,
        domain: Some(&domain),
        untimed: MissingTime::UseArrival,
    };
    let _ = is_push(&request);
    for reader in [read, read_json_events] {
        match reader(&request, received) {
            Ok(events) => {
                // An entry may have up to eight addresses, each an event of its own.
                assert!(!events.is_empty() && events.len() <= EVENTS + 8);
                events.iter().for_each(check);
                assert!(events.iter().all(|event| event.origin == origin));
            }
            Err(bad) => {
                assert!((400..500).contains(&bad.status()), "{bad}");
                assert!(!bad.to_string().contains(char::is_control));
            }
        }
    }
}
