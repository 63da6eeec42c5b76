// Pushing: changes are sent to push targets.

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
const REPORTS = "rollcall_push_reports_total";
const BYTES = "rollcall_push_bytes_total";
const REQUEST = "rollcall_push_request_seconds";
const FAILURES = "rollcall_push_failures_total";
const SYNCHRONISATIONS = "rollcall_push_full_resyncs_total";
const CHECKS = "rollcall_push_consistency_checks_total";
const NOT_KEPT = "rollcall_push_cursor_write_failures_total";
const LAG = "rollcall_push_lag_revisions";
const BEHIND = "rollcall_push_lag_seconds";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "Overview of the selected time range",
  panels: [
    number({
      title: "Worst lag",
      description: "How long the target that is furthest behind has been out of date.",
      unit: "s",
      expr: `max(${select(BEHIND, [TARGET])})`,
      thresholds: steps("green", [60, "orange"], [600, "red"]),
    }),
    number({
      title: "Reports accepted",
      description: "Reports per second that the targets accepted.",
      unit: "cps",
      expr: total(rate(REPORTS, TARGET, 'outcome="accepted"')),
      thresholds: steps("green"),
      trend: true,
    }),
    number({
      title: "Failures",
      description: "Number of failed requests that were retried.",
      unit: "locale",
      expr: total(growth(FAILURES, TARGET)),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Reports refused",
      description: "Reports that a target permanently rejected. The log names each report and the reason.",
      unit: "locale",
      expr: total(growth(REPORTS, TARGET, 'outcome="refused"')),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Drift",
      description: "How often the sessions of a target differed from the server. Each case was followed by a full resync.",
      unit: "locale",
      expr: total(growth(CHECKS, TARGET, 'outcome="differs"')),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Positions not saved",
      description: "How often the position of a target could not be saved. After a restart, the target receives some reports again.",
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
      title: "Lag in seconds",
      description: "How long each target has been out of date. The lag should return to zero regularly. A lag that only grows means that the target is unreachable.",
      unit: "s",
      series: [{ expr: `max by (instance, target) (${select(BEHIND, [TARGET])})`, legend: "{{target}} ({{instance}})" }],
      limit: 600,
    }),
    lines({
      title: "Lag in changes",
      description: "Revisions that each target has not yet acknowledged. Only the latest change of an address is sent, so the number of reports is lower.",
      unit: "short",
      series: [{ expr: `max by (instance, target) (${select(LAG, [TARGET])})`, legend: "{{target}} ({{instance}})" }],
    }),
    lines({
      title: "Reports",
      description: "Reports per second that each target accepted, already knew, or rejected. Duplicates follow a lost response and are harmless.",
      unit: "cps",
      series: [{ expr: by("target, outcome", rate(REPORTS, TARGET)), legend: "{{target}} {{outcome}}" }],
    }),
    lines({
      title: "Failures",
      description: "Failed requests per second by reason. GET /api/v1/push-targets shows the last error.",
      unit: "cps",
      series: [{ expr: by("target, reason", rate(FAILURES, TARGET)), legend: "{{target}} {{reason}}" }],
    }),
    lines({
      title: "Acknowledgement latency",
      description: "From reading a batch to its acknowledgement by the target: encoding, network and processing in the target.",
      unit: "s",
      series: [
        { expr: quantile(0.5, REQUEST, ["target"], TARGET), legend: "{{target}} p50" },
        { expr: quantile(0.99, REQUEST, ["target"], TARGET), legend: "{{target}} p99" },
      ],
    }),
    lines({
      title: "Bytes",
      description: "Bytes of request bodies per second, as sent.",
      unit: "Bps",
      series: [{ expr: by("target", rate(BYTES, TARGET)), legend: "{{target}}" }],
    }),
    lines({
      title: "Full resyncs",
      description: "Full resyncs of each target by reason. One at the beginning is normal.",
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
  description: "Changes are sent to push targets. Is every target up to date?",
  choices: [
    choice("target", "Push target", `${REPORTS}{instance=~"$instance"}`, "Configured push target"),
    actors("pushing"),
  ],
  rows: [now, targets, mailboxes("pushing")],
});
