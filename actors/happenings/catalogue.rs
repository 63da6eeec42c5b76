//! The catalogue of all metrics: what each is called, and what it says.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use strum::IntoEnumIterator;

use crate::meter::Stage;

/// What kind of thing a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution in buckets.
    Histogram,
}

impl Instrument {
    /// The word of Prometheus's `# TYPE` line.
    pub fn as_str(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram => "histogram",
        }
    }
}

/// One metric, as documented.
#[derive(Debug, Clone)]
pub struct Metric {
    /// The full name.
    pub name: String,
    /// What it is.
    pub instrument: Instrument,
    /// Its unit.
    pub unit: Unit,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

use Instrument::{Counter, Gauge, Histogram};

type Row = (&'static str, Instrument, Unit, &'static [&'static str], &'static str);

/// The metrics that every actor has; `<stage>` is where it stands.
const MAILBOX: &[Row] = &[
    ("messages_total", Counter, Unit::Count, &["actor", "kind"], "Messages handled"),
    ("handling_seconds", Histogram, Unit::Seconds, &["actor", "kind"], "Time to handle a message"),
    ("mailbox_depth", Gauge, Unit::Count, &["actor", "kind"], "Messages waiting or in work"),
    ("mailbox_capacity", Gauge, Unit::Count, &["actor", "kind"], "Places in the mailbox"),
    (
        "mailbox_wait_seconds",
        Histogram,
        Unit::Seconds,
        &["actor", "kind"],
        "Time that a sender waited for a place in a full mailbox",
    ),
    (
        "messages_refused_total",
        Counter,
        Unit::Count,
        &["actor", "kind"],
        "Messages turned away because nobody was behind the mailbox, or lost with their actor",
    ),
    (
        "restarts_total",
        Counter,
        Unit::Count,
        &["actor", "kind", "cause"],
        "How often the actor was replaced, by panic, error, stop or freeze",
    ),
    (
        "last_activity_timestamp_seconds",
        Gauge,
        Unit::Seconds,
        &["actor", "kind"],
        "When the actor last handled a message, as a Unix time",
    ),
];

/// The metrics of particular stages.
const PARTICULAR: &[Row] = &[
    (
        "rollcall_receiving_items_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Events received, and lines and bodies out of which no event could be made",
    ),
    (
        "rollcall_receiving_dropped_total",
        Counter,
        Unit::Count,
        &["producer", "reason", "form"],
        "Items that ended before a decision, by reason and by template or dialect",
    ),
    (
        "rollcall_receiving_kernel_drops_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Datagrams that the kernel dropped because nobody read them in time",
    ),
    (
        "rollcall_receiving_directory_connected",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a domain controller answers: 1, or 0 while what was known last is in force",
    ),
    (
        "rollcall_receiving_directory_current_timestamp_seconds",
        Gauge,
        Unit::Seconds,
        &["producer"],
        "When the directory last said everything that it knows, as a Unix time",
    ),
    (
        "rollcall_receiving_directory_failures_total",
        Counter,
        Unit::Count,
        &["producer", "stage"],
        "How often a directory could not be read, by how far it came: names, connect, tls, credentials, rights, read, learning",
    ),
    (
        "rollcall_receiving_directory_notifies",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a domain controller says at once that something changed: 1, or 0 while it is asked at its interval only",
    ),
    (
        "rollcall_receiving_directory_objects_total",
        Counter,
        Unit::Count,
        &["producer", "way"],
        "Objects of a directory that were read, whole or as changes",
    ),
    (
        "rollcall_receiving_directory_problems_total",
        Counter,
        Unit::Count,
        &["producer", "problem"],
        "Objects of a directory, or values of them, that could not be used, by what is wrong",
    ),
    (
        "rollcall_receiving_directory_read_seconds",
        Histogram,
        Unit::Seconds,
        &["producer", "way"],
        "Time that a reading of a directory took, whole or changes",
    ),
    (
        "rollcall_receiving_directory_searches_total",
        Counter,
        Unit::Count,
        &["producer", "way"],
        "Searches that a reading of a directory took, each page one, whole or as changes",
    ),
    (
        "rollcall_receiving_event_log_connected",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a server's event log is followed: 1, or 0 while it is tried again",
    ),
    (
        "rollcall_receiving_event_log_failures_total",
        Counter,
        Unit::Count,
        &["producer", "stage"],
        "How often an event log could not be followed, by how far it came: names, endpoint, credentials, rights, read, handing_over",
    ),
    (
        "rollcall_receiving_event_log_gaps_total",
        Counter,
        Unit::Count,
        &["producer", "cause"],
        "How often events of a server were lost, by how: refused and overwritten, the log is too small; cleared; begun_anew, another log is in its place; audits_lost, Windows lost them before it wrote them",
    ),
    (
        "rollcall_receiving_event_log_silent",
        Gauge,
        Unit::Count,
        &["producer"],
        "Whether a connected server had no event for longer than is configured: 1, until the next",
    ),
    (
        "rollcall_receiving_event_log_unaudited",
        Gauge,
        Unit::Count,
        &["producer", "subcategory"],
        "Whether a server does not audit successes that logons are read from, by its own word or by their absence: kerberos_authentication, kerberos_tickets, logon, logoff, other_logon",
    ),
    (
        "rollcall_receiving_event_log_unreadable_total",
        Counter,
        Unit::Count,
        &["producer"],
        "Records of an event log that could not be read; they are dropped with the reason unreadable, too",
    ),
    (
        "rollcall_receiving_over_share_total",
        Counter,
        Unit::Count,
        &["producer", "client"],
        "Datagrams dropped because a client sent more than its share of a socket that overflowed",
    ),
    (
        "rollcall_receiving_streams_refused_total",
        Counter,
        Unit::Count,
        &["producer", "reason"],
        "Syslog connections turned away: unknown sender, too many, TLS",
    ),
    (
        "rollcall_receiving_streams_closed_total",
        Counter,
        Unit::Count,
        &["producer", "reason"],
        "Syslog connections that ended, and why",
    ),
    (
        "rollcall_deciding_events_total",
        Counter,
        Unit::Count,
        &["producer", "outcome", "reason"],
        "Events decided: applied, deduplicated or refused, and by which rule",
    ),
    ("rollcall_deciding_sessions", Gauge, Unit::Count, &[], "Addresses with a user or a device"),
    ("rollcall_deciding_revision", Gauge, Unit::Count, &[], "The newest revision"),
    (
        "rollcall_deciding_journal_errors_total",
        Counter,
        Unit::Count,
        &[],
        "Batches that the journal could not take",
    ),
    (
        "rollcall_supervising_clock_jumps_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Times the machine's clock was set by more than an hour: doubted, withdrawn, believed",
    ),
    (
        "rollcall_deciding_journal_ill",
        Gauge,
        Unit::Count,
        &[],
        "Whether the journal takes no events at the moment: 0 is right",
    ),
    (
        "rollcall_deciding_journal_illnesses_total",
        Counter,
        Unit::Count,
        &[],
        "How often the journal began to take no events",
    ),
    (
        "rollcall_deciding_commit_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "Time to append and commit a group of batches",
    ),
    (
        "rollcall_deciding_restore_seconds",
        Gauge,
        Unit::Seconds,
        &[],
        "How long the last start read the journal",
    ),
    (
        "rollcall_deciding_journal_damaged_files_total",
        Counter,
        Unit::Count,
        &[],
        "Files of the journal that were found damaged",
    ),
    (
        "rollcall_deciding_journal_events_set_aside_total",
        Counter,
        Unit::Count,
        &[],
        "Events of the journal that were left out because folding them panics",
    ),
    (
        "rollcall_deciding_journal_sealed_total",
        Counter,
        Unit::Count,
        &[],
        "Segments of the journal that were sealed",
    ),
    (
        "rollcall_deciding_journal_names_forgotten_total",
        Counter,
        Unit::Count,
        &[],
        "Segments out of which the names were taken, because they had had their time",
    ),
    (
        "rollcall_deciding_journal_snapshots_total",
        Counter,
        Unit::Count,
        &[],
        "How often the table was written down",
    ),
    (
        "rollcall_deciding_journal_chores_failed_total",
        Counter,
        Unit::Count,
        &["chore"],
        "Chores beside the journal that failed and are tried again: snapshot, tidy",
    ),
    (
        "rollcall_deciding_restorations_total",
        Counter,
        Unit::Count,
        &[],
        "How often the cache was replaced and took its sessions over",
    ),
    (
        "rollcall_deciding_addresses_shared_total",
        Counter,
        Unit::Count,
        &[],
        "How often so many users came to an address within a minute that its user was taken from it",
    ),
    (
        "rollcall_deciding_restorations_failed_total",
        Counter,
        Unit::Count,
        &[],
        "How often cache and query actor ended at once, and sessions were lost",
    ),
    (
        "rollcall_answering_restorations_total",
        Counter,
        Unit::Count,
        &[],
        "How often the query actor was replaced and took its sessions over",
    ),
    (
        "rollcall_answering_event_to_visible_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "From the arrival of an event to the moment when every answer knows of it",
    ),
    (
        "rollcall_answering_http_requests_total",
        Counter,
        Unit::Count,
        &["listener", "code"],
        "HTTP requests answered, by listener and status",
    ),
    (
        "rollcall_answering_insecure_listeners",
        Gauge,
        Unit::Count,
        &[],
        "Listeners that speak plain HTTP to the network: 0 is right",
    ),
    (
        "rollcall_answering_history_questions_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Questions about the past: told, not_known, unreasonable, too_broad or ill",
    ),
    (
        "rollcall_answering_history_query_seconds",
        Histogram,
        Unit::Seconds,
        &[],
        "Time to answer a question about the past from the journal",
    ),
    ("rollcall_answering_streams", Gauge, Unit::Count, &[], "Readers of the live stream"),
    (
        "process_cpu_seconds_total",
        Counter,
        Unit::Seconds,
        &[],
        "Processor time of all threads, in whole seconds",
    ),
    (
        "process_start_time_seconds",
        Gauge,
        Unit::Seconds,
        &[],
        "When the process began, as a Unix time",
    ),
    ("process_resident_memory_bytes", Gauge, Unit::Bytes, &[], "Memory in RAM"),
    ("process_virtual_memory_bytes", Gauge, Unit::Bytes, &[], "Address space"),
    ("process_threads", Gauge, Unit::Count, &[], "Threads"),
    ("process_open_fds", Gauge, Unit::Count, &[], "Open file descriptors"),
    ("process_max_fds", Gauge, Unit::Count, &[], "How many file descriptors may be open"),
    (
        "rollcall_answering_connections_refused_total",
        Counter,
        Unit::Count,
        &["listener", "reason"],
        "Connections over the limit of their listener (total) or of their source (address)",
    ),
    (
        "rollcall_answering_tokens_total",
        Counter,
        Unit::Count,
        &["outcome"],
        "Requests for access tokens: granted, locked_out, busy, or an error of RFC 6749",
    ),
    (
        "rollcall_answering_queries_total",
        Counter,
        Unit::Count,
        &["point", "kind"],
        "Questions of enforcement points that were answered: batch, ip or user",
    ),
    (
        "rollcall_answering_reports_total",
        Counter,
        Unit::Count,
        &["point"],
        "Reports in those answers",
    ),
    (
        "rollcall_answering_bytes_total",
        Counter,
        Unit::Bytes,
        &["point"],
        "Bytes of the bodies of those answers",
    ),
    (
        "rollcall_answering_retries_total",
        Counter,
        Unit::Count,
        &["point"],
        "Batches that an enforcement point asked for once more, because no answer came to it",
    ),
    (
        "rollcall_answering_probes_not_made_total",
        Counter,
        Unit::Count,
        &["point"],
        "IP queries with force-probe, which are answered with what is known: PCs are not probed",
    ),
    (
        "rollcall_answering_roles_left_out_total",
        Counter,
        Unit::Count,
        &["point"],
        "Groups that those reports leave out because somebody has more than go out",
    ),
    (
        "rollcall_answering_validations_total",
        Counter,
        Unit::Count,
        &["client", "kind", "outcome"],
        "Requests on the validator listener about a user, group, device, or none: valid, unknown, listed, or why they were refused",
    ),
    (
        "rollcall_answering_query_seconds",
        Histogram,
        Unit::Seconds,
        &["kind"],
        "From a question that is read whole to its answer",
    ),
    (
        "rollcall_answering_query_errors_total",
        Counter,
        Unit::Count,
        &["point", "reason"],
        "Requests on the enforcement listener that were refused; point unknown without a token",
    ),
    (
        "rollcall_answering_resyncs_total",
        Counter,
        Unit::Count,
        &["point"],
        "How often an enforcement point began from nothing",
    ),
    (
        "rollcall_answering_lag_changes",
        Gauge,
        Unit::Count,
        &["point"],
        "Revisions between the newest and the last cookie of an enforcement point",
    ),
    (
        "rollcall_answering_unknown_routes_total",
        Counter,
        Unit::Count,
        &[],
        "Requests of known sources for something that is not there",
    ),
    (
        "rollcall_pushing_reports_total",
        Counter,
        Unit::Count,
        &["target", "outcome"],
        "Reports that a push target took (accepted), knew already (duplicate), or will never take \
         (refused)",
    ),
    (
        "rollcall_pushing_bytes_total",
        Counter,
        Unit::Bytes,
        &["target"],
        "Bytes of request bodies, as they went over the line",
    ),
    (
        "rollcall_pushing_request_seconds",
        Histogram,
        Unit::Seconds,
        &["target"],
        "From a batch that is read to its acknowledgement, or to its failure",
    ),
    (
        "rollcall_pushing_failures_total",
        Counter,
        Unit::Count,
        &["target", "reason"],
        "How often something did not arrive at a push target and was tried again",
    ),
    (
        "rollcall_pushing_synchronisations_total",
        Counter,
        Unit::Count,
        &["target", "reason"],
        "How often a push target was told everything anew: empty, scope, too_long_away, lost, \
         drift or requested",
    ),
    (
        "rollcall_pushing_checks_total",
        Counter,
        Unit::Count,
        &["target", "outcome"],
        "Comparisons of what a push target holds with what it should hold: same, differs or untold",
    ),
    (
        "rollcall_pushing_positions_not_kept_total",
        Counter,
        Unit::Count,
        &["target"],
        "How often the position of a push target could not be written to the disk",
    ),
    (
        "rollcall_pushing_lag_changes",
        Gauge,
        Unit::Count,
        &["target"],
        "Revisions between the newest and the last that a push target acknowledged",
    ),
    (
        "rollcall_pushing_lag_seconds",
        Gauge,
        Unit::Seconds,
        &["target"],
        "For how long a push target has not had everything; 0 when it has",
    ),
];

/// Every metric that Rollcall exposes.
pub fn catalogue() -> Vec<Metric> {
    let of_mailboxes = Stage::iter().flat_map(|stage| {
        MAILBOX.iter().map(move |&(noun, instrument, unit, labels, help)| Metric {
            name: format!("rollcall_{}_{noun}", stage.as_str()),
            instrument,
            unit,
            labels,
            help,
        })
    });
    let particular = PARTICULAR.iter().map(|&(name, instrument, unit, labels, help)| Metric {
        name: name.to_owned(),
        instrument,
        unit,
        labels,
        help,
    });
    of_mailboxes.chain(particular).collect()
}

/// Gives the recorder the help texts of all metrics, and a zero to each counter without labels: a
/// first journal error is seen to grow from something.
pub fn describe() {
    for Metric { name, instrument, unit, labels, help } in catalogue() {
        match instrument {
            Counter => {
                describe_counter!(name.clone(), unit, help);
                if labels.is_empty() {
                    counter!(name).increment(0);
                }
            }
            Gauge => describe_gauge!(name, unit, help),
            Histogram => describe_histogram!(name, unit, help),
        }
    }
}

/// The catalogue as the table of docs/metrics.md: a row a metric.
pub fn markdown() -> String {
    let mut table = String::from("| name | type | unit | labels | meaning |\n");
    table.push_str("| --- | --- | --- | --- | --- |\n");
    for Metric { name, instrument, unit, labels, help } in catalogue() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (instrument, unit, labels) = (instrument.as_str(), unit.as_str(), labels.join(", "));
        table.push_str(&format!("| `{name}` | {instrument} | {unit} | {labels} | {help} |\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    const BEGIN: &str = "<!-- catalogue: begin -->\n";
    const END: &str = "<!-- catalogue: end -->\n";

    #[test]
    fn the_documented_catalogue_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (table, after) = rest.split_once(END).unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, [before, BEGIN, &markdown(), END, after].concat()).unwrap();
        } else {
            let how = "docs/metrics.md is old: BLESS=1 cargo test -p rollcall-actors catalogue";
            assert!(table == markdown(), "{how}");
        }
    }

    #[test]
    fn names_follow_the_convention_and_stand_once() {
        let mut seen = BTreeSet::new();
        // The names of the process are Prometheus's own.
        for metric in catalogue().iter().filter(|metric| metric.name.starts_with("rollcall_")) {
            let name = metric.name.as_str();
            assert_eq!(metric.instrument == Counter, name.ends_with("_total"), "{name}");
            let seconds = name.ends_with("_seconds") || name.ends_with("_seconds_total");
            assert_eq!(metric.unit == Unit::Seconds, seconds, "{name}");
            assert!(!metric.help.contains('|') && !metric.help.ends_with('.'), "{name}");
            assert!(seen.insert(metric.name.clone()), "{name} stands twice");
        }
    }
}
