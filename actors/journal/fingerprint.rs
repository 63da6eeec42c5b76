//! A fingerprint of the effective rules: whether a replay decides by the same rules.

use std::fmt::Debug;

use rollcall_identity::Rules;
use sha2::{Digest, Sha256};

/// A hash that differs if any rule that decides differs. The machine's own addresses are excluded:
/// they may change with every start, and no session has them.
pub(super) fn fingerprint(rules: &Rules) -> u64 {
    let Rules {
        authorities,
        ignore,
        own_addresses: _,
        domain_aliases,
        max_age,
        max_clock_skew,
        logoff_time,
        logoff_time_by_producer,
        max_lifetime,
        max_sessions,
        preserve_valid_user,
        shared_addresses,
        weaker_proof_delay,
    } = rules;
    let times = (
        max_age,
        max_clock_skew,
        logoff_time,
        max_lifetime,
        max_sessions,
        weaker_proof_delay,
        preserve_valid_user,
    );
    let mut parts =
        vec![format!("{ignore:?}"), format!("{shared_addresses:?}"), format!("{times:?}")];
    parts.extend(sorted(authorities));
    parts.extend(sorted(domain_aliases));
    parts.extend(sorted(logoff_time_by_producer));
    let digest = Sha256::digest(parts.join("\n"));
    let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_le_bytes(*first)
}

/// The entries of a map in a stable order.
fn sorted<T: Debug>(entries: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut parts: Vec<String> = entries.into_iter().map(|entry| format!("{entry:?}")).collect();
    parts.sort_unstable();
    parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rollcall_identity::{Authority, Kind, Name};

    use super::*;

    #[test]
    fn the_fingerprint_covers_all_decision_rules_in_any_order() {
        let name = |text: &str| Name::new(text).unwrap();
        let granted = Authority::unrestricted([Kind::Login]);
        let of = |clients: &[&str]| {
            let mut rules = Rules::default();
            for client in clients {
                rules.authorities.insert((name("syslog"), name(client)), granted.clone());
            }
            rules
        };
        let rules = of(&["a", "b", "c"]);
        assert_eq!(fingerprint(&rules), fingerprint(&of(&["c", "a", "b"])));
        assert_ne!(fingerprint(&rules), fingerprint(&of(&["a", "b"])));
        let shorter = Rules { logoff_time: Duration::from_secs(60), ..rules.clone() };
        assert_ne!(fingerprint(&rules), fingerprint(&shorter));
        let moved = Rules { own_addresses: vec!["10.0.0.1".parse().unwrap()], ..rules.clone() };
        assert_eq!(fingerprint(&rules), fingerprint(&moved));
    }
}
