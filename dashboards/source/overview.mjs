// Overview: whether every source is received, and whether every firewall is up to date.

import { NONE_IS_GOOD, dashboard, lines, number, quantile, rate, select, steps, tiles } from "./panels.mjs";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const worst = (labels, expr) => `max by (${labels}) (${expr})`;

const CONNECTED = { mappings: { 0: ["down", "red"], 1: ["connected", "green"] } };

const sources = {
  title: "Is every source received?",
  panels: [
    tiles({
      title: "Items in the last 15 minutes, by producer",
      description:
        "Zero is normal for a source that has no traffic at this time. The alert RollcallProducerSilent compares with the same time a week ago. Next step: the receiving dashboard.",
      unit: "short",
      expr: by("producer", `increase(${select("rollcall_events_received_total")}[15m])`),
      legend: "{{producer}}",
      thresholds: steps("orange", [0.001, "green"]),
      w: 12,
    }),
    tiles({
      title: "Domain controllers, by directory",
      description: "Whether a domain controller of each directory is connected. Otherwise, the groups that were read before stay in use.",
      expr: worst("producer", select("rollcall_directory_connected")),
      legend: "{{producer}}",
      w: 6,
      ...CONNECTED,
    }),
    tiles({
      title: "Event logs, by server",
      description: "Whether the security log of each server is being read. `rollcall test event-log NAME` shows the cause and a remedy.",
      expr: worst("producer", select("rollcall_event_log_connected")),
      legend: "{{producer}}",
      w: 6,
      ...CONNECTED,
    }),
    number({
      title: "Accounts refused",
      description: "Producers that pause because a server refused their account. They continue when the secret file changes, after a reload, or after credential_retry.",
      unit: "short",
      expr: `sum(${select("rollcall_producer_credentials_refused")}) or vector(0)`,
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Silent event logs",
      description: "Servers that are connected and have sent no event for longer than silent_after.",
      unit: "short",
      expr: `sum(${select("rollcall_event_log_silent")}) or vector(0)`,
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
    number({
      title: "Unknown senders",
      description: "Items per second from addresses or certificates without a configured client.",
      unit: "cps",
      expr: `sum(${rate("rollcall_events_dropped_total", 'reason="sender_unknown"')}) or vector(0)`,
      thresholds: NONE_IS_GOOD,
    }),
    lines({
      title: "Items received, by producer",
      description: "Events, lines and bodies per second.",
      unit: "cps",
      series: [{ expr: by("producer", rate("rollcall_events_received_total")), legend: "{{producer}}" }],
      w: 12,
    }),
  ],
};

const firewalls = {
  title: "Is every firewall up to date?",
  panels: [
    tiles({
      title: "Unread changes, by enforcement point",
      description: "Changes after the last cookie of each firewall that polls. The value should fall to zero with each poll. Next step: the answering dashboard.",
      unit: "short",
      expr: worst("point", select("rollcall_enforcement_lag_revisions")),
      legend: "{{point}}",
      thresholds: steps("green", [1000, "orange"], [10000, "red"]),
      w: 12,
    }),
    tiles({
      title: "Age of the state, by push target",
      description: "The time since each push target last had every change; zero while it has. Next step: the pushing dashboard.",
      unit: "s",
      expr: worst("target", select("rollcall_push_lag_seconds")),
      legend: "{{target}}",
      thresholds: steps("green", [60, "orange"], [300, "red"]),
      w: 12,
    }),
    lines({
      title: "Queries, by enforcement point",
      description: "A rate that falls to zero means that the firewall has stopped polling. The alert RollcallEnforcementPointNotAsking fires after ten minutes.",
      unit: "reqps",
      series: [{ expr: by("point", rate("rollcall_enforcement_queries_total")), legend: "{{point}}" }],
      w: 12,
    }),
    lines({
      title: "Errors, by firewall",
      description: "Rejected queries of enforcement points, and failed requests to push targets, per second.",
      unit: "reqps",
      series: [
        { expr: by("point", rate("rollcall_enforcement_query_errors_total")), legend: "query of {{point}}" },
        { expr: by("target", rate("rollcall_push_failures_total")), legend: "push to {{target}}" },
      ],
      w: 12,
    }),
  ],
};

const server = {
  title: "Is Rollcall itself well?",
  panels: [
    number({
      title: "Sessions",
      description: "Addresses with a user or a device.",
      unit: "locale",
      expr: `sum(${select("rollcall_sessions")})`,
      thresholds: steps("red", [1, "green"]),
      trend: true,
      decimals: 0,
      w: 6,
    }),
    number({
      title: "Propagation latency p99",
      description: "The 99th percentile of the time from the arrival of an event until all queries see its effect.",
      unit: "s",
      expr: quantile(0.99, "rollcall_propagation_latency_seconds", []),
      thresholds: steps("green", [0.05, "orange"], [1, "red"]),
      trend: true,
      w: 6,
    }),
    number({
      title: "Journal",
      description: "Whether the journal can be written. While it cannot, no event is accepted.",
      expr: `max(${select("rollcall_journal_unavailable")})`,
      mappings: { 0: ["writable", "green"], 1: ["unavailable", "red"] },
      w: 6,
    }),
    number({
      title: "Actors restarted in the last hour",
      description: "Restarts after a panic, a failure or a hang. Next step: the supervising dashboard.",
      unit: "short",
      expr: `sum(increase(${select("rollcall_actor_restarts_total")}[1h])) or vector(0)`,
      thresholds: NONE_IS_GOOD,
      decimals: 0,
      w: 6,
    }),
  ],
};

export default dashboard({
  name: "overview",
  description: "Whether every source is received, whether every firewall is up to date, and whether Rollcall is well.",
  instances: "rollcall_build_info",
  choices: [],
  rows: [sources, firewalls, server],
});
