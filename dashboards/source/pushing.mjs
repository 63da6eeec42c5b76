// Pushing: changes are carried to those who do not ask.

import {
  NONE_IS_BETTER,
  NONE_IS_GOOD,
  choice,
  dashboard,
  growth,
  lines,
  number,
  quantile,
  rate,
  select,
  steps,
} from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

const TARGET = 'target=~"$target"';
const REPORTS = "rollcall_pushing_reports_total";
const BYTES = "rollcall_pushing_bytes_total";
const REQUEST = "rollcall_pushing_request_seconds";
const FAILURES = "rollcall_pushing_failures_total";
const SYNCHRONISATIONS = "rollcall_pushing_synchronisations_total";
const CHECKS = "rollcall_pushing_checks_total";
const NOT_KEPT = "rollcall_pushing_positions_not_kept_total";
const LAG = "rollcall_pushing_lag_changes";
const BEHIND = "rollcall_pushing_lag_seconds";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "In the time shown",
  panels: [
    number({
      title: "Worst lag",
      description: "For how long the target that is furthest behind has not had everything.",
      unit: "s",
      expr: `max(${select(BEHIND, [TARGET])})`,
      thresholds: steps("green", [60, "orange"], [600, "red"]),
    }),
    number({
      title: "Reports taken",
      description: "Reports that the targets took, per second.",
      unit: "cps",
      expr: total(rate(REPORTS, TARGET, 'outcome="accepted"')),
      thresholds: steps("green"),
      trend: true,
    }),
    number({
      title: "Failures",
      description: "How often something did not arrive and was tried again.",
      unit: "locale",
      expr: total(growth(FAILURES, TARGET)),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Reports refused",
      description: "Reports that a target will never take. The log says which, and why.",
      unit: "locale",
      expr: total(growth(REPORTS, TARGET, 'outcome="refused"')),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Drift",
      description: "How often a target held something else than it should. It was then told everything anew.",
      unit: "locale",
      expr: total(growth(CHECKS, TARGET, 'outcome="differs"')),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Positions not kept",
      description: "How often the position of a target could not be written. After a restart it is told some things again.",
      unit: "locale",
      expr: total(growth(NOT_KEPT, TARGET)),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
  ],
};

const targets = {
  title: "Targets",
  panels: [
    lines({
      title: "Time behind",
      description: "For how long each target has not had everything. It should fall to zero again and again; a line that only grows is a target that is away.",
      unit: "s",
      series: [{ expr: `max by (instance, target) (${select(BEHIND, [TARGET])})`, legend: "{{target}} ({{instance}})" }],
      limit: 600,
    }),
    lines({
      title: "Changes behind",
      description: "Revisions that each target has yet to acknowledge. Of one address only the last is told, so it is fewer reports than that.",
      unit: "short",
      series: [{ expr: `max by (instance, target) (${select(LAG, [TARGET])})`, legend: "{{target}} ({{instance}})" }],
    }),
    lines({
      title: "Reports",
      description: "What each target took, knew already, or refused, per second. Duplicates follow a lost answer, and are harmless.",
      unit: "cps",
      series: [{ expr: by("target, outcome", rate(REPORTS, TARGET)), legend: "{{target}} {{outcome}}" }],
    }),
    lines({
      title: "Failures",
      description: "What did not arrive, by reason. GET /api/v1/push-targets has the last error in words.",
      unit: "cps",
      series: [{ expr: by("target, reason", rate(FAILURES, TARGET)), legend: "{{target}} {{reason}}" }],
    }),
    lines({
      title: "Time to an acknowledgement",
      description: "From a batch that is read to the target's word for it: encoding, the way there and back, and its own work.",
      unit: "s",
      series: [
        { expr: quantile(0.5, REQUEST, ["target"], TARGET), legend: "{{target}} p50" },
        { expr: quantile(0.99, REQUEST, ["target"], TARGET), legend: "{{target}} p99" },
      ],
    }),
    lines({
      title: "Bytes",
      description: "Bytes of request bodies per second, as they go over the line.",
      unit: "Bps",
      series: [{ expr: by("target", rate(BYTES, TARGET)), legend: "{{target}}" }],
    }),
    lines({
      title: "Told everything anew",
      description: "How often each target was told everything, by reason: once at the beginning is normal.",
      unit: "short",
      series: [
        {
          expr: by("target, reason", `increase(${select(SYNCHRONISATIONS, [TARGET])}[$__rate_interval])`),
          legend: "{{target}} {{reason}}",
        },
      ],
      w: 24,
    }),
  ],
};

export default dashboard({
  stage: "pushing",
  description: "Changes are carried to those who do not ask. Does every target have everything?",
  choices: [
    choice("target", "Push target", `${REPORTS}{instance=~"$instance"}`, "Which configured target"),
    actors("pushing"),
  ],
  rows: [now, targets, mailboxes("pushing")],
});
