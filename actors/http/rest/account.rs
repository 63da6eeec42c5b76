//! The account of each producer, read from the metrics: received = applied + deduplicated +
//! refused + dropped, and nothing is counted twice to be shown in two places.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// What became of everything that a producer received since the process began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Account {
    /// Items that came in.
    received: u64,
    /// Events that changed who is where.
    applied: u64,
    /// Events that were known already.
    deduplicated: u64,
    /// Events that were not allowed to change anything.
    refused: u64,
    /// Items that ended before a decision.
    dropped: u64,
    /// The dropped ones, by reason.
    dropped_by_reason: BTreeMap<String, u64>,
}

/// The accounts in an exposition in the Prometheus text format, by producer.
pub(super) fn accounts(exposition: &str) -> BTreeMap<String, Account> {
    let mut accounts = BTreeMap::<String, Account>::new();
    for (metric, labels, value) in exposition.lines().filter_map(sample) {
        let label =
            |wanted| labels.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        let Some(producer) = label("producer") else { continue };
        let account = accounts.entry(producer.clone()).or_default();
        match (metric, label("outcome").map(String::as_str)) {
            ("rollcall_events_received_total", _) => account.received += value,
            ("rollcall_events_dropped_total", _) => {
                account.dropped += value;
                let reason = label("reason").cloned().unwrap_or_default();
                *account.dropped_by_reason.entry(reason).or_default() += value;
            }
            ("rollcall_events_decided_total", Some("applied")) => account.applied += value,
            ("rollcall_events_decided_total", Some("deduplicated")) => {
                account.deduplicated += value;
            }
            ("rollcall_events_decided_total", Some("refused")) => account.refused += value,
            _ => {}
        }
    }
    accounts
}

type Sample<'a> = (&'a str, Vec<(&'a str, String)>, u64);

/// One line `name{label="value",...} count` of a counter.
fn sample(line: &str) -> Option<Sample<'_>> {
    let (metric, mut rest) = line.split_once('{')?;
    let mut labels = Vec::new();
    while !rest.starts_with('}') {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.push((name.trim_start_matches(','), value));
        rest = after;
    }
    Some((metric, labels, rest[1..].trim().parse().ok()?))
}

/// The value of a label up to its closing quote, and what follows. `\\`, `\"` and `\n` are escaped.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_account_of_each_producer_adds_up() {
        let exposition = r#"
# TYPE rollcall_events_received_total counter
rollcall_events_received_total{producer="syslog"} 10
rollcall_events_received_total{producer="a \"b\", c\\"} 1
rollcall_events_dropped_total{producer="syslog",reason="no_user",form="junos-vpn"} 2
rollcall_events_dropped_total{producer="syslog",reason="no_user",form="asa"} 1
rollcall_events_decided_total{producer="syslog",outcome="applied",reason="first_user"} 4
rollcall_events_decided_total{producer="syslog",outcome="applied",reason="rekeyed"} 1
rollcall_events_decided_total{producer="syslog",outcome="deduplicated",reason="known_already"} 1
rollcall_events_decided_total{producer="syslog",outcome="refused",reason="too_old"} 1
rollcall_sessions 4
"#;
        let accounts = accounts(exposition);
        let syslog = Account {
            received: 10,
            applied: 5,
            deduplicated: 1,
            refused: 1,
            dropped: 3,
            dropped_by_reason: BTreeMap::from([("no_user".to_owned(), 3)]),
        };
        assert_eq!(accounts["syslog"], syslog);
        assert_eq!(accounts[r#"a "b", c\"#].received, 1);
        assert_eq!(accounts.len(), 2);
    }

    proptest! {
        #[test]
        fn any_line_is_a_sample_or_none(line in r#"[a-z]{0,3}\{?([a-z,]{0,3}="[^\n]{0,5}"?){0,2}\}?.{0,4}"#) {
            let _ = sample(&line);
        }
    }
}
