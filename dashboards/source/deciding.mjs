// Deciding: events are applied to the session table.

import { NONE_IS_BETTER, NONE_IS_GOOD, choice, dashboard, growth, lines, number, rate, select, steps } from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

const EVENTS = "rollcall_events_decided_total";
const SESSIONS = "rollcall_sessions";
const REVISION = "rollcall_revision";
const JOURNAL_ERRORS = "rollcall_journal_batches_refused_total";
const RESTORATIONS = "rollcall_cache_recoveries_total";
const RESTORATIONS_FAILED = "rollcall_cache_recovery_failures_total";
const PRODUCER = 'producer=~"$producer"';

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "Overview of the selected time range",
  panels: [
    number({
      title: "Sessions",
      description: "Addresses that currently have a user or a device. After a sudden drop, or with none, users lack their rules.",
      unit: "locale",
      expr: `sum(${select(SESSIONS)})`,
      thresholds: steps("red", [1, "green"]),
      trend: true,
    }),
    number({
      title: "Events decided",
      description: "Events per second that the cache applied, deduplicated or refused.",
      unit: "eps",
      expr: total(rate(EVENTS, PRODUCER)),
      thresholds: steps("green"),
      trend: true,
    }),
    number({
      title: "Refused",
      description: "The share of events that were not allowed to change a session. The panel \"Refused, by reason\" shows the reasons.",
      unit: "percentunit",
      expr: `(${total(growth(EVENTS, PRODUCER, 'outcome="refused"'))}) / sum(${growth(EVENTS, PRODUCER)})`,
      thresholds: steps("green", [0.25, "orange"], [0.75, "red"]),
      decimals: 1,
    }),
    number({
      title: "Invalid event times",
      description: "Events with a future time, and events that are too old. The clock or time zone of a sender is wrong, or its queue was long.",
      unit: "locale",
      expr: total(growth(EVENTS, PRODUCER, 'reason=~"from_future|too_old"')),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Journal errors",
      description: "Batches that the journal did not commit. Their senders received an error, and the batches have no effect. Check whether the disk is full.",
      unit: "locale",
      expr: total(growth(JOURNAL_ERRORS)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Sessions lost",
      description: "How often the cache and the query actor failed at the same time, so that neither could restore the other.",
      unit: "locale",
      expr: total(growth(RESTORATIONS_FAILED)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
  ],
};

const decisions = {
  title: "Decisions",
  panels: [
    lines({
      title: "Outcomes",
      description: "Applied events changed a session, deduplicated events were already known, and refused events were not allowed to change anything.",
      unit: "eps",
      stacked: true,
      series: [{ expr: by("outcome", rate(EVENTS, PRODUCER)), legend: "{{outcome}}" }],
    }),
    lines({
      title: "Applied, by rule",
      description:
        "first_user began a session. later_user replaced the user of an address. same_user, rekeyed and refreshed extended a session. logged_out and logoff_time ended a session.",
      unit: "eps",
      series: [{ expr: by("reason", rate(EVENTS, PRODUCER, 'outcome="applied"')), legend: "{{reason}}" }],
    }),
    lines({
      title: "Refused, by reason",
      description:
        "from_future and too_old: the clock of a sender is wrong. kind_, network_ and domain_not_granted: the source lacks the permission. late: a newer event had already decided. rollcall explain shows the events of an address.",
      unit: "eps",
      series: [
        { expr: by("producer, reason", rate(EVENTS, PRODUCER, 'outcome="refused"')), legend: "{{producer}} {{reason}}" },
      ],
    }),
    lines({
      title: "Sessions",
      description: "Addresses with a user or a device. The number follows the working day; check sudden steps.",
      unit: "short",
      series: [{ expr: `sum by (instance) (${select(SESSIONS)})`, legend: "{{instance}}" }],
    }),
    lines({
      title: "Changes",
      description: "Growth of the revision: changes per second that firewalls and event streams must process.",
      unit: "eps",
      series: [{ expr: `sum by (instance) (${rate(REVISION)})`, legend: "{{instance}}" }],
    }),
    lines({
      title: "Journal errors and replacements",
      description: "Batches per second that the journal did not commit, and replacements of the cache.",
      unit: "ops",
      series: [
        { expr: by("instance", rate(JOURNAL_ERRORS)), legend: "journal errors ({{instance}})" },
        { expr: by("instance", rate(RESTORATIONS)), legend: "cache replaced ({{instance}})" },
        { expr: by("instance", rate(RESTORATIONS_FAILED)), legend: "sessions lost ({{instance}})" },
      ],
      top: 1,
    }),
  ],
};

export default dashboard({
  stage: "deciding",
  description: "The cache applies events to the session table. Which events were applied or refused, and by which rule?",
  choices: [
    choice(
      "producer",
      "Producer",
      `${EVENTS}{instance=~"$instance"}`,
      "Producer of the events; cache is the producer of expiries",
    ),
    actors("deciding"),
  ],
  rows: [now, decisions, mailboxes("deciding")],
});
