// Deciding: events become changes of who is where.

import { NONE_IS_BETTER, NONE_IS_GOOD, choice, dashboard, growth, lines, number, rate, select, steps } from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

const EVENTS = "rollcall_deciding_events_total";
const SESSIONS = "rollcall_deciding_sessions";
const REVISION = "rollcall_deciding_revision";
const JOURNAL_ERRORS = "rollcall_deciding_journal_errors_total";
const RESTORATIONS = "rollcall_deciding_restorations_total";
const RESTORATIONS_FAILED = "rollcall_deciding_restorations_failed_total";
const PRODUCER = 'producer=~"$producer"';

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "In the time shown",
  panels: [
    number({
      title: "Sessions",
      description: "Addresses with a user or a device, now. None at all, or a sudden fall, leaves users without their rules.",
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
      description: "The share of events that were not allowed to change anything. The reasons are below.",
      unit: "percentunit",
      expr: `(${total(growth(EVENTS, PRODUCER, 'outcome="refused"'))}) / sum(${growth(EVENTS, PRODUCER)})`,
      thresholds: steps("green", [0.25, "orange"], [0.75, "red"]),
      decimals: 1,
    }),
    number({
      title: "Wrong clocks",
      description: "Events from the future or too old to count: the clock or the time zone of a sender is wrong, or its queue was long.",
      unit: "locale",
      expr: total(growth(EVENTS, PRODUCER, 'reason=~"from_future|too_old"')),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Journal errors",
      description: "Batches that the journal could not take. Their senders were told, nothing of them is shown to anybody. Is the disk full?",
      unit: "locale",
      expr: total(growth(JOURNAL_ERRORS)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Sessions lost",
      description: "How often cache and query actor ended at once, so that neither could restore the other.",
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
      description: "Applied events changed a session, deduplicated ones said what was known, refused ones were not allowed to.",
      unit: "eps",
      stacked: true,
      series: [{ expr: by("outcome", rate(EVENTS, PRODUCER)), legend: "{{outcome}}" }],
    }),
    lines({
      title: "Applied, by rule",
      description:
        "first_user began a session, later_user took an address over, same_user, rekeyed and refreshed extended one, logged_out and logoff_time ended one.",
      unit: "eps",
      series: [{ expr: by("reason", rate(EVENTS, PRODUCER, 'outcome="applied"')), legend: "{{reason}}" }],
    }),
    lines({
      title: "Refused, by reason",
      description:
        "from_future and too_old: a sender's clock. kind_, network_ and domain_not_granted: the source speaks of what it was not granted. late: a newer event had decided. rollcall explain shows the events of one address.",
      unit: "eps",
      series: [
        { expr: by("producer, reason", rate(EVENTS, PRODUCER, 'outcome="refused"')), legend: "{{producer}} {{reason}}" },
      ],
    }),
    lines({
      title: "Sessions",
      description: "Addresses with a user or a device. It breathes with the working day; steps are worth a question.",
      unit: "short",
      series: [{ expr: `sum by (instance) (${select(SESSIONS)})`, legend: "{{instance}}" }],
    }),
    lines({
      title: "Changes",
      description: "How fast the revision grows: changes per second that firewalls and streams have to follow.",
      unit: "eps",
      series: [{ expr: `sum by (instance) (${rate(REVISION)})`, legend: "{{instance}}" }],
    }),
    lines({
      title: "Journal errors and replacements",
      description: "Batches per second that the journal refused, and replacements of the cache.",
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
  description: "The cache: events become changes of who is where. What was applied, what was refused, and by which rule?",
  choices: [
    choice(
      "producer",
      "Producer",
      `${EVENTS}{instance=~"$instance"}`,
      "Whose events; cache is the producer of expiries",
    ),
    actors("deciding"),
  ],
  rows: [now, decisions, mailboxes("deciding")],
});
