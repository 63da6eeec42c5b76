// Receiving: bytes from outside become events.

import { NONE_IS_BETTER, NONE_IS_GOOD, choice, dashboard, growth, lines, number, rate, steps } from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

const PRODUCER = 'producer=~"$producer"';
const ITEMS = "rollcall_receiving_items_total";
const DROPPED = "rollcall_receiving_dropped_total";
const KERNEL_DROPS = "rollcall_receiving_kernel_drops_total";
const REFUSED = "rollcall_receiving_streams_refused_total";
const CLOSED = "rollcall_receiving_streams_closed_total";

/** Lines that are well understood and rightly give no event. */
const EXPECTED = "unmatched|site_to_site|not_success|ignored";
/** Events that Rollcall itself could not take. */
const OURS = "cache_busy|actor_gone|journal_ill|reader_panicked";
/** Senders that may not send so, or not so much. */
const SENDERS = "sender_unknown|rate_limited|not_allowed|over_share";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "In the time shown",
  panels: [
    number({
      title: "Items received",
      description: "Events, and lines and bodies out of which no event could be made, per second.",
      unit: "cps",
      expr: total(rate(ITEMS, PRODUCER)),
      thresholds: steps("red", [0.001, "green"]),
      trend: true,
    }),
    number({
      title: "Could not be read",
      description:
        "Items that a template or dialect knows but cannot use, as a share of all. Some in a thousand are the oddities of senders; more means that a sender has changed its format.",
      unit: "percentunit",
      expr: `(${total(growth(DROPPED, PRODUCER, `reason!~"${[EXPECTED, OURS, SENDERS].join("|")}"`))}) / sum(${growth(ITEMS, PRODUCER)})`,
      thresholds: steps("green", [0.01, "orange"], [0.05, "red"]),
      decimals: 2,
    }),
    number({
      title: "Unknown senders",
      description: "Items from addresses or certificates that no client is configured for. Their address is in the log.",
      unit: "locale",
      expr: total(growth(DROPPED, PRODUCER, 'reason="sender_unknown"')),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Lost by Rollcall",
      description: "Events that were read but could not be taken, because the cache or the journal was not there, or because reading them met a bug.",
      unit: "locale",
      expr: total(growth(DROPPED, PRODUCER, `reason=~"${OURS}"`)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Dropped by the kernel",
      description:
        "Datagrams that came faster than they were read. Raise net.core.rmem_max and receive_buffer, or let the sender use TCP.",
      unit: "locale",
      expr: total(growth(KERNEL_DROPS, PRODUCER)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Streams refused",
      description: "Connections turned away: unknown sender, too many at once, TLS that failed or was too slow.",
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
      description: "What each producer receives. A line that falls to zero is a silent source: look at the sender first.",
      unit: "cps",
      series: [{ expr: by("producer", rate(ITEMS, PRODUCER)), legend: "{{producer}}" }],
    }),
    lines({
      title: "Where items end",
      description:
        "Every item is applied, deduplicated or refused by the cache, or dropped before. The sum is what was received.",
      unit: "cps",
      stacked: true,
      series: [
        { expr: by("outcome", rate("rollcall_deciding_events_total", PRODUCER, 'producer!="cache"')), legend: "{{outcome}}" },
        { expr: `sum(${rate(DROPPED, PRODUCER)})`, legend: "dropped" },
      ],
    }),
    lines({
      title: "Dropped, by reason",
      description:
        "unmatched: no template knows the line, normal for a sender that logs other things too. sender_unknown: nobody configured. no_…, bad_…: the sender's format differs from the template; try the line with rollcall syslog-test.",
      unit: "cps",
      series: [{ expr: by("producer, reason", rate(DROPPED, PRODUCER)), legend: "{{producer}} {{reason}}" }],
    }),
    lines({
      title: "Could not be read, by template or dialect",
      description: "Which template's lines or which dialect's bodies are known but cannot be used, and why.",
      unit: "cps",
      series: [{ expr: by("form, reason", rate(DROPPED, PRODUCER, 'form!="none"')), legend: "{{form}} {{reason}}" }],
    }),
    lines({
      title: "Dropped by the kernel",
      description: "Datagrams per second that the kernel threw away because the socket's buffer was full.",
      unit: "cps",
      series: [{ expr: by("producer", rate(KERNEL_DROPS, PRODUCER)), legend: "{{producer}}" }],
    }),
    lines({
      title: "Streams refused and closed",
      description:
        "Connections per second that were turned away, and that ended, with the reason. Many short streams of one sender mean that it cannot agree with Rollcall.",
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
      title: "Followed",
      description:
        "1 for a server whose security log is read, 0 while it is tried again. `rollcall events test` says why, and what helps.",
      unit: "short",
      series: [{ expr: `max by (producer) (rollcall_receiving_event_log_connected{instance=~"$instance", ${PRODUCER}})`, legend: "{{producer}}" }],
    }),
    lines({
      title: "Events lost",
      description:
        "How often events of a server were lost, by how. refused, overwritten: its log is too small; cleared: by somebody; begun_anew: the server was restored; audits_lost: by Windows, before they were written.",
      unit: "short",
      series: [{ expr: by("producer, cause", growth("rollcall_receiving_event_log_gaps_total", PRODUCER)), legend: "{{producer}} {{cause}}" }],
    }),
    lines({
      title: "Silent, or without audits",
      description:
        "1 for a connected server that has nothing to say for longer than is usual, and how many kinds of successes a server does not audit that logons are read from.",
      unit: "short",
      series: [
        { expr: `max by (producer) (rollcall_receiving_event_log_silent{instance=~"$instance", ${PRODUCER}})`, legend: "{{producer}} silent" },
        { expr: `sum by (producer) (rollcall_receiving_event_log_unaudited{instance=~"$instance", ${PRODUCER}})`, legend: "{{producer}}: audits that are off" },
      ],
    }),
    lines({
      title: "Failures and bad records",
      description: "How often a log could not be followed, by how far it came, and records that could not be read, per second.",
      unit: "cps",
      series: [
        { expr: by("producer, stage", rate("rollcall_receiving_event_log_failures_total", PRODUCER)), legend: "{{producer}} {{stage}}" },
        { expr: by("producer", rate("rollcall_receiving_event_log_unreadable_total", PRODUCER)), legend: "{{producer}} unreadable" },
      ],
    }),
  ],
};

export default dashboard({
  stage: "receiving",
  description: "Producers: bytes from outside become events. Are all sources heard, and is what they say understood?",
  choices: [
    choice("producer", "Producer", `${ITEMS}{instance=~"$instance"}`, "Which configured source of events"),
    actors("receiving"),
  ],
  rows: [now, items, eventLogs, mailboxes("receiving")],
});
