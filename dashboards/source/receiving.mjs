// Receiving: producers receive external data and produce events.

import { NONE_IS_BETTER, NONE_IS_GOOD, choice, dashboard, growth, lines, number, rate, steps } from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

const PRODUCER = 'producer=~"$producer"';
const ITEMS = "rollcall_events_received_total";
const DROPPED = "rollcall_events_dropped_total";
const KERNEL_DROPS = "rollcall_syslog_kernel_drops_total";
const REFUSED = "rollcall_syslog_connections_refused_total";
const CLOSED = "rollcall_syslog_connections_closed_total";

/** Reasons for lines that are understood and correctly produce no event. */
const EXPECTED = "unmatched|site_to_site|not_success|ignored";
/** Reasons for events that Rollcall itself could not commit. */
const OURS = "cache_busy|actor_gone|journal_unavailable|reader_panicked";
/** Reasons for senders without permission or above their limit. */
const SENDERS = "sender_unknown|rate_limited|not_allowed|throttled";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "Overview of the selected time range",
  panels: [
    number({
      title: "Items received",
      description: "Events per second, including lines and bodies that produced no event.",
      unit: "cps",
      expr: total(rate(ITEMS, PRODUCER)),
      thresholds: steps("red", [0.001, "green"]),
      trend: true,
    }),
    number({
      title: "Parse errors",
      description:
        "The share of items that match a template or dialect but cannot be used. A few per thousand are normal. A higher share means that a sender has changed its format.",
      unit: "percentunit",
      expr: `(${total(growth(DROPPED, PRODUCER, `reason!~"${[EXPECTED, OURS, SENDERS].join("|")}"`))}) / sum(${growth(ITEMS, PRODUCER)})`,
      thresholds: steps("green", [0.01, "orange"], [0.05, "red"]),
      decimals: 2,
    }),
    number({
      title: "Unknown senders",
      description: "Items from addresses or certificates without a configured client. The log contains the address.",
      unit: "locale",
      expr: total(growth(DROPPED, PRODUCER, 'reason="sender_unknown"')),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Lost by Rollcall",
      description: "Events that were received but not committed, because the cache or the journal was unavailable, or because of a bug in the parser.",
      unit: "locale",
      expr: total(growth(DROPPED, PRODUCER, `reason=~"${OURS}"`)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Dropped by the kernel",
      description:
        "Datagrams that arrived faster than they were read. Raise net.core.rmem_max and receive_buffer, or use TCP at the sender.",
      unit: "locale",
      expr: total(growth(KERNEL_DROPS, PRODUCER)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Connections refused",
      description: "Refused connections: unknown sender, too many connections, or a TLS handshake that failed or was too slow.",
      unit: "locale",
      expr: total(growth(REFUSED, PRODUCER)),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
  ],
};

const items = {
  title: "Items",
  panels: [
    lines({
      title: "Items received",
      description: "Items of each producer per second. A rate that falls to zero means a silent source: check the sender first.",
      unit: "cps",
      series: [{ expr: by("producer", rate(ITEMS, PRODUCER)), legend: "{{producer}}" }],
    }),
    lines({
      title: "Outcomes of items",
      description:
        "Every item is applied, deduplicated or refused by the cache, or dropped before. The sum is the number of received items.",
      unit: "cps",
      stacked: true,
      series: [
        { expr: by("outcome", rate("rollcall_events_decided_total", PRODUCER, 'producer!="cache"')), legend: "{{outcome}}" },
        { expr: `sum(${rate(DROPPED, PRODUCER)})`, legend: "dropped" },
      ],
    }),
    lines({
      title: "Dropped, by reason",
      description:
        "unmatched: no template matches, which is normal for a sender that also logs other messages. sender_unknown: the sender is not configured. no_…, bad_…: the format of the sender differs from the template; test the line with rollcall test syslog.",
      unit: "cps",
      series: [{ expr: by("producer, reason", rate(DROPPED, PRODUCER)), legend: "{{producer}} {{reason}}" }],
    }),
    lines({
      title: "Parse errors, by template or dialect",
      description: "Items that match a template or dialect but cannot be used, by form and reason.",
      unit: "cps",
      series: [{ expr: by("form, reason", rate(DROPPED, PRODUCER, 'form!="none"')), legend: "{{form}} {{reason}}" }],
    }),
    lines({
      title: "Dropped by the kernel",
      description: "Datagrams per second that the kernel dropped because the socket buffer was full.",
      unit: "cps",
      series: [{ expr: by("producer", rate(KERNEL_DROPS, PRODUCER)), legend: "{{producer}}" }],
    }),
    lines({
      title: "Connections refused and closed",
      description:
        "Refused and closed connections per second by reason. Many short connections of one sender mean that its protocol settings do not match.",
      unit: "cps",
      series: [
        { expr: by("producer, reason", rate(REFUSED, PRODUCER)), legend: "{{producer}} refused: {{reason}}" },
        { expr: by("producer, reason", rate(CLOSED, PRODUCER)), legend: "{{producer}} closed: {{reason}}" },
      ],
    }),
  ],
};

const eventLogs = {
  title: "Windows event logs",
  panels: [
    lines({
      title: "Event log connected",
      description:
        "1 for a server whose security log is being read, 0 while Rollcall reconnects. `rollcall test event-log` shows the cause and a remedy.",
      unit: "short",
      series: [{ expr: `max by (producer) (rollcall_event_log_connected{instance=~"$instance", ${PRODUCER}})`, legend: "{{producer}}" }],
    }),
    lines({
      title: "Events lost",
      description:
        "Gaps in the event log of a server by cause. refused, overwritten: the log is too small; cleared: the log was cleared; log_reset: the server was restored; audits_lost: Windows lost the events before it wrote them.",
      unit: "short",
      series: [{ expr: by("producer, cause", growth("rollcall_event_log_gaps_total", PRODUCER)), legend: "{{producer}} {{cause}}" }],
    }),
    lines({
      title: "Silent, or auditing disabled",
      description:
        "1 for a connected server without events for longer than usual; and the number of required audit subcategories that are disabled on a server.",
      unit: "short",
      series: [
        { expr: `max by (producer) (rollcall_event_log_silent{instance=~"$instance", ${PRODUCER}})`, legend: "{{producer}} silent" },
        { expr: `sum by (producer) (rollcall_event_log_audit_missing{instance=~"$instance", ${PRODUCER}})`, legend: "{{producer}}: disabled subcategories" },
      ],
    }),
    lines({
      title: "Failures and unreadable records",
      description: "Failures to read an event log by stage, and records that could not be decoded, per second.",
      unit: "cps",
      series: [
        { expr: by("producer, stage", rate("rollcall_event_log_failures_total", PRODUCER)), legend: "{{producer}} {{stage}}" },
        { expr: by("producer", rate("rollcall_event_log_unreadable_total", PRODUCER)), legend: "{{producer}} unreadable" },
      ],
    }),
  ],
};

export default dashboard({
  stage: "receiving",
  description: "Producers receive external data and produce events. Does every source deliver data, and is the data parsed?",
  choices: [
    choice("producer", "Producer", `${ITEMS}{instance=~"$instance"}`, "Configured producer"),
    actors("receiving"),
  ],
  rows: [now, items, eventLogs, mailboxes("receiving")],
});
