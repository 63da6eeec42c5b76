//! The rules in force as one number: whether a fold that is made again would decide by the same.

use std::fmt::Debug;

use rollcall_identity::Rules;
use sha2::{Digest, Sha256};

/// A number that differs, as good as surely, when anything that decides differs. The addresses of
/// the machine itself, which may change with every start, are left out: nobody is behind them.
pub(super) fn fingerprint(rules: &Rules) -> u64 {
    let Rules {
        authorities,
        ignore,
        own_addresses: _,
        domain_aliases,
        max_age,
        max_skew,
        logoff_time,
        logoff_time_by_producer,
        preserve_valid_user,
        sharing,
        weaker_proof_delay: weaker_waits,
    } = rules;
    let times = (max_age, max_skew, logoff_time, weaker_waits, preserve_valid_user);
    let mut words = vec![format!("{ignore:?}"), format!("{sharing:?}"), format!("{times:?}")];
    words.extend(sorted(authorities));
    words.extend(sorted(domain_aliases));
    words.extend(sorted(logoff_time_by_producer));
    let digest = Sha256::digest(words.join("\n"));
    let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    u64::from_le_bytes(*first)
}

/// The entries of a map in an order that is always the same.
fn sorted<T: Debug>(entries: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut words: Vec<String> = entries.into_iter().map(|entry| format!("{entry:?}")).collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rollcall_identity::{Authority, Kind, Name};

    use super::*;

    #[test]
    fn what_decides_is_in_it_in_whatever_order_it_was_written() {
        let name = |text: &str| Name::new(text).unwrap();
        let granted = Authority { kinds: vec![Kind::Login], ..Authority::default() };
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
