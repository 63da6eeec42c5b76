// Answering: queries of firewalls and administrators are answered.

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

const POINT = 'point=~"$point"';
const QUERIES = "rollcall_enforcement_queries_total";
const REPORTS = "rollcall_enforcement_reports_total";
const ERRORS = "rollcall_enforcement_query_errors_total";
const LATENCY = "rollcall_enforcement_query_seconds";
const LAG = "rollcall_enforcement_lag_revisions";
const TOKENS = "rollcall_token_requests_total";
const UNKNOWN_ROUTES = "rollcall_http_unknown_requests_total";
const CONNECTIONS_REFUSED = "rollcall_http_connections_refused_total";
const HTTP = "rollcall_http_requests_total";
const HISTORY = "rollcall_history_queries_total";
const HISTORY_LATENCY = "rollcall_history_query_seconds";
const VISIBLE = "rollcall_propagation_latency_seconds";
const RESYNCS = "rollcall_enforcement_full_resyncs_total";
const STREAMS = "rollcall_sse_connections";
const RESTORATIONS = "rollcall_query_recoveries_total";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "Overview of the selected time range",
  panels: [
    number({
      title: "Queries",
      description: "Queries of enforcement points per second. Zero means that no firewall sends queries.",
      unit: "reqps",
      expr: total(rate(QUERIES, POINT)),
      thresholds: steps("red", [0.001, "green"]),
      trend: true,
    }),
    number({
      title: "Worst lag",
      description: "The number of unread changes of the enforcement point that is furthest behind.",
      unit: "locale",
      expr: `max(${select(LAG, [POINT])})`,
      thresholds: steps("green", [1000, "orange"], [10000, "red"]),
      decimals: 0,
    }),
    number({
      title: "Query p99",
      description: "The 99th percentile of the time to answer a query, without network and TLS.",
      unit: "s",
      expr: quantile(0.99, LATENCY, []),
      thresholds: steps("green", [0.1, "orange"], [1, "red"]),
      trend: true,
    }),
    number({
      title: "Propagation latency p99",
      description: "The 99th percentile of the time from the arrival of an event until all queries see its effect.",
      unit: "s",
      expr: quantile(0.99, VISIBLE, []),
      thresholds: steps("green", [0.05, "orange"], [1, "red"]),
      trend: true,
    }),
    number({
      title: "Query errors",
      description: "Rejected requests: invalid parameters, missing or expired tokens, or the query actor was unavailable.",
      unit: "locale",
      expr: total(growth(ERRORS, POINT)),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Query actor replaced",
      description: "How often the query actor was replaced and recovered its sessions from the cache.",
      unit: "locale",
      expr: total(growth(RESTORATIONS)),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
  ],
};

const points = {
  title: "Enforcement points",
  panels: [
    lines({
      title: "Queries",
      description:
        "Queries of each firewall per second: batch queries, or queries for one address or user. An SRX requests a batch at every query interval. A rate that falls to zero means that the firewall has stopped sending queries.",
      unit: "reqps",
      series: [{ expr: by("point, kind", rate(QUERIES, POINT)), legend: "{{point}} {{kind}}" }],
    }),
    lines({
      title: "Lag",
      description:
        "Changes after the cookie of each firewall. The lag should fall to zero with each batch. While it only grows, users on that firewall lack their rules.",
      unit: "short",
      series: [{ expr: `max by (instance, point) (${select(LAG, [POINT])})`, legend: "{{point}} ({{instance}})" }],
      limit: 1000,
    }),
    lines({
      title: "Query errors",
      description:
        "Rejected requests by reason. An occasional token_invalid is an expired token. The enforcement point is unknown if the request has no valid token.",
      unit: "reqps",
      series: [{ expr: by("point, reason", rate(ERRORS, POINT)), legend: "{{point}} {{reason}}" }],
    }),
    lines({
      title: "Query duration",
      description: "From the complete request to the complete response. A batch of 1000 reports takes longer than a query for one address.",
      unit: "s",
      series: [
        { expr: quantile(0.5, LATENCY, ["kind"]), legend: "{{kind}} p50" },
        { expr: quantile(0.99, LATENCY, ["kind"]), legend: "{{kind}} p99" },
      ],
      w: 6,
    }),
    lines({
      title: "Reports sent",
      description: "Sessions per second sent to each firewall. A burst is a full resync.",
      unit: "cps",
      series: [{ expr: by("point", rate(REPORTS, POINT)), legend: "{{point}}" }],
      w: 6,
    }),
    lines({
      title: "Full resyncs",
      description:
        "Full resyncs of each firewall. One after a restart of the firewall or of Rollcall is normal. Repeated resyncs mean that the firewall loses its cookie.",
      unit: "short",
      series: [
        { expr: by("point", `increase(${select(RESYNCS, [POINT])}[$__rate_interval])`), legend: "{{point}}" },
      ],
      w: 6,
    }),
    lines({
      title: "Propagation latency",
      description: "From the arrival of an event until all queries see its effect. The target is a 99th percentile of 50 ms.",
      unit: "s",
      series: [
        { expr: quantile(0.5, VISIBLE, ["instance"]), legend: "p50 ({{instance}})" },
        { expr: quantile(0.99, VISIBLE, ["instance"]), legend: "p99 ({{instance}})" },
      ],
      limit: 0.05,
      w: 6,
    }),
  ],
};

const doors = {
  title: "Tokens and HTTP",
  panels: [
    lines({
      title: "Tokens",
      description:
        "Token requests per second by outcome. Continued rejections mean a wrong secret or an attempt to guess one. A locked-out client must wait.",
      unit: "reqps",
      series: [{ expr: by("outcome", rate(TOKENS)), legend: "{{outcome}}" }],
      w: 6,
    }),
    lines({
      title: "HTTP responses",
      description: "Responses per second of each listener by status code.",
      unit: "reqps",
      series: [{ expr: by("listener, code", rate(HTTP)), legend: "{{listener}} {{code}}" }],
      w: 6,
    }),
    lines({
      title: "Refused connections and unknown paths",
      description:
        "Connections above the limit of a listener or of an address, and requests for a nonexistent path. The log contains the unknown requests in full, with secrets redacted.",
      unit: "reqps",
      series: [
        { expr: by("listener, reason", rate(CONNECTIONS_REFUSED)), legend: "connection at {{listener}}: {{reason}}" },
        { expr: `sum(${rate(UNKNOWN_ROUTES)})`, legend: "unknown path" },
      ],
      w: 6,
    }),
    lines({
      title: "Event stream connections",
      description: "Clients of GET /api/v1/stream. A slow client does not affect the others.",
      unit: "short",
      series: [{ expr: `sum by (instance) (${select(STREAMS)})`, legend: "{{instance}}" }],
      w: 6,
    }),
  ],
};

const past = {
  title: "History",
  panels: [
    lines({
      title: "History queries",
      description:
        "Queries per second by outcome. unknown: the journal does not cover the time, or a part of it is missing. unavailable: the journal is not readable, or the audit log is not writable.",
      unit: "reqps",
      series: [{ expr: by("outcome", rate(HISTORY)), legend: "{{outcome}}" }],
      w: 12,
    }),
    lines({
      title: "History query duration",
      description:
        "From the query to the answer of the journal. The target for a query for a point in time is a 99th percentile of 5 ms. The first query after a change of segment, and broad queries, take longer.",
      unit: "s",
      series: [
        { expr: quantile(0.5, HISTORY_LATENCY, ["instance"]), legend: "p50 ({{instance}})" },
        { expr: quantile(0.99, HISTORY_LATENCY, ["instance"]), legend: "p99 ({{instance}})" },
      ],
      w: 12,
    }),
  ],
};

export default dashboard({
  stage: "answering",
  description: "Queries of firewalls and administrators. Does every firewall send queries, and is it up to date?",
  choices: [
    choice("point", "Enforcement point", `${QUERIES}{instance=~"$instance"}`, "Configured firewall"),
    actors("answering"),
  ],
  rows: [now, points, past, doors, mailboxes("answering")],
});
