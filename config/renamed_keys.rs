//! Former names of keys, so that the error for an old key names the new one.

use crate::load_context::without_indices;

/// The new name of a renamed key. `path` is its dotted path, with or without indices.
pub(crate) fn new_name(path: &str) -> Option<&'static str> {
    let path = without_indices(path);
    let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
    // Only the last step of a table's path: the same tables occur in several places.
    let table = table.rsplit('.').next().unwrap_or_default();
    let found = RENAMED_KEYS
        .iter()
        .find(|(tables, old, _)| *old == key && (tables.is_empty() || tables.contains(&table)));
    found.map(|(_, _, new)| *new)
}

/// The last step of the table's path (any if empty, `""` for the root), the old and the new name.
#[rustfmt::skip]
const RENAMED_KEYS: &[(&[&str], &str, &str)] = &[
    (&[""], "drain", "shutdown_timeout"),
    (&[""], "history", "change_log"),
    (&["rules"], "max_skew", "max_clock_skew"),
    (&["rules"], "weaker_waits", "weaker_proof_delay"),
    (&["rules"], "sharing", "shared_addresses"),
    (&["shared_addresses"], "users_per_minute", "max_users_per_minute"),
    (&["shared_addresses"], "quiet", "quiet_period"),
    (&["shared_addresses"], "except", "exempt_networks"),
    (&["change_log"], "tombstones", "tombstone_retention"),
    (&["change_log"], "tombstone_count", "max_tombstones"),
    (&["journal"], "kind", "storage"),
    (&["journal"], "snapshot_interval", "checkpoint_interval"),
    (&[], "may", "allow"),
    (&[], "for_networks", "allow_networks"),
    (&[], "for_domains", "allow_domains"),
    (&[], "sender_time", "event_time"),
    (&[], "require_time", "require_timestamp"),
    (&["limits"], "message_bytes", "message_size"),
    (&["limits"], "idle", "idle_timeout"),
    (&["limits"], "body", "body_size"),
    (&["limits"], "head", "header_size"),
    (&["limits"], "head_timeout", "header_timeout"),
    (&["limits"], "connect", "connect_timeout"),
    (&["limits"], "answer", "response_timeout"),
    (&["limits"], "read", "sync_timeout"),
    (&["limits"], "page", "page_size"),
    (&["limits"], "objects", "max_objects"),
    (&["limits"], "compare", "full_sync_interval"),
    (&["limits"], "back", "failback_interval"),
    (&["limits"], "records", "batch_size"),
    (&["lockout"], "failures", "threshold"),
    (&["lockout"], "first", "initial_delay"),
    (&["lockout"], "longest", "max_delay"),
    (&["dialect"], "miss", "no_session"),
    (&["dialect", "srx_web_api"], "roles", "max_roles"),
    (&["groups"], "limit", "max_groups"),
    (&["active_directory"], "bases", "search_bases"),
    (&["active_directory"], "interval", "poll_interval"),
    (&["active_directory"], "changes", "change_tracking"),
    (&["event_log"], "servers", "server_networks"),
    (&["event_log"], "catch_up", "lookback"),
    (&["event_log"], "silent", "silent_after"),
    (&["secure_edge", "srx_web_api"], "authorities", "ca"),
    (&["secure_edge", "srx_web_api"], "batch", "batch_size"),
    (&["secure_edge", "srx_web_api"], "first_retry", "initial_backoff"),
    (&["secure_edge", "srx_web_api"], "longest_retry", "max_backoff"),
    (&["secure_edge"], "check", "verify_interval"),
    (&["secure_edge"], "in_flight", "max_in_flight"),
    (&["srx_web_api"], "rate", "entries_per_second"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::REFERENCE;

    #[test]
    fn a_renamed_key_is_found_by_its_path() {
        assert_eq!(new_name("syslog[0].clients[1].may"), Some("allow"));
        assert_eq!(new_name("drain"), Some("shutdown_timeout"));
        assert_eq!(new_name("journal.drain"), None);
        assert_eq!(new_name("event_log[0].limits.answer"), Some("response_timeout"));
    }

    #[test]
    fn the_reference_has_every_new_name() {
        for (_, _, new) in RENAMED_KEYS {
            let is_key =
                |line: &str| line.trim_start_matches('#').starts_with(&format!("{new} = "));
            let is_table = |line: &str| line.trim_end_matches(']').ends_with(new);
            assert!(REFERENCE.lines().any(|line| is_key(line) || is_table(line)), "{new}");
        }
    }
}
