// Answering: questions of firewalls and administrators become answers.

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
const QUERIES = "rollcall_answering_queries_total";
const REPORTS = "rollcall_answering_reports_total";
const ERRORS = "rollcall_answering_query_errors_total";
const LATENCY = "rollcall_answering_query_seconds";
const LAG = "rollcall_answering_lag_changes";
const TOKENS = "rollcall_answering_tokens_total";
const UNKNOWN_ROUTES = "rollcall_answering_unknown_routes_total";
const CONNECTIONS_REFUSED = "rollcall_answering_connections_refused_total";
const HTTP = "rollcall_answering_http_requests_total";
const HISTORY = "rollcall_answering_history_questions_total";
const HISTORY_LATENCY = "rollcall_answering_history_query_seconds";
const VISIBLE = "rollcall_answering_event_to_visible_seconds";
const RESYNCS = "rollcall_answering_resyncs_total";
const STREAMS = "rollcall_answering_streams";
const RESTORATIONS = "rollcall_answering_restorations_total";

const by = (labels, expr) => `sum by (${labels}) (${expr})`;
const total = (expr) => `sum(${expr}) or vector(0)`;

const now = {
  title: "In the time shown",
  panels: [
    number({
      title: "Queries",
      description: "Questions of enforcement points per second. None at all means that no firewall asks.",
      unit: "reqps",
      expr: total(rate(QUERIES, POINT)),
      thresholds: steps("red", [0.001, "green"]),
      trend: true,
    }),
    number({
      title: "Worst lag",
      description: "How many changes the enforcement point that is furthest behind has yet to read.",
      unit: "locale",
      expr: `max(${select(LAG, [POINT])})`,
      thresholds: steps("green", [1000, "orange"], [10000, "red"]),
      decimals: 0,
    }),
    number({
      title: "Query p99",
      description: "One of 100 queries takes longer than this to answer. Network and TLS are not in it.",
      unit: "s",
      expr: quantile(0.99, LATENCY, []),
      thresholds: steps("green", [0.1, "orange"], [1, "red"]),
      trend: true,
    }),
    number({
      title: "Event to visible p99",
      description: "One of 100 events takes longer than this from its arrival until every answer knows of it.",
      unit: "s",
      expr: quantile(0.99, VISIBLE, []),
      thresholds: steps("green", [0.05, "orange"], [1, "red"]),
      trend: true,
    }),
    number({
      title: "Query errors",
      description: "Requests that were refused: bad parameters, missing or expired tokens, the query actor away.",
      unit: "locale",
      expr: total(growth(ERRORS, POINT)),
      thresholds: NONE_IS_BETTER,
      decimals: 0,
    }),
    number({
      title: "Query actor replaced",
      description: "How often the query actor was replaced and took its sessions over from the cache.",
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
        "What each firewall asks per second: batches of all sessions, or one address or user. An SRX asks for a batch at every query interval; a line that falls to zero is a firewall that has stopped asking.",
      unit: "reqps",
      series: [{ expr: by("point, kind", rate(QUERIES, POINT)), legend: "{{point}} {{kind}}" }],
    }),
    lines({
      title: "Lag",
      description:
        "Changes that a firewall has yet to read by its cookie. It should fall to zero with each batch; one that only grows has users without their rules.",
      unit: "short",
      series: [{ expr: `max by (instance, point) (${select(LAG, [POINT])})`, legend: "{{point}} ({{instance}})" }],
      limit: 1000,
    }),
    lines({
      title: "Query errors",
      description:
        "Requests that were refused, by reason. A token_invalid now and then is a token that has expired. The point is unknown where there is no good token.",
      unit: "reqps",
      series: [{ expr: by("point, reason", rate(ERRORS, POINT)), legend: "{{point}} {{reason}}" }],
    }),
    lines({
      title: "Time to answer",
      description: "From the whole question to the whole answer. A batch of 1000 reports takes longer than one address.",
      unit: "s",
      series: [
        { expr: quantile(0.5, LATENCY, ["kind"]), legend: "{{kind}} p50" },
        { expr: quantile(0.99, LATENCY, ["kind"]), legend: "{{kind}} p99" },
      ],
      w: 6,
    }),
    lines({
      title: "Reports sent",
      description: "Sessions per second that each firewall was told. A burst is a firewall that reads everything again.",
      unit: "cps",
      series: [{ expr: by("point", rate(REPORTS, POINT)), legend: "{{point}}" }],
      w: 6,
    }),
    lines({
      title: "Read everything again",
      description:
        "How often a firewall began from nothing: once after its own or Rollcall's restart is normal, again and again is a firewall that loses its cookie.",
      unit: "short",
      series: [
        { expr: by("point", `increase(${select(RESYNCS, [POINT])}[$__rate_interval])`), legend: "{{point}}" },
      ],
      w: 6,
    }),
    lines({
      title: "Event to visible",
      description: "From the arrival of an event until every answer knows of it. The aim is 50 ms for 99 of 100.",
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
        "What became of requests for a token, per second. Refusals that go on are a wrong secret or somebody who guesses; locked-out clients have to wait.",
      unit: "reqps",
      series: [{ expr: by("outcome", rate(TOKENS)), legend: "{{outcome}}" }],
      w: 6,
    }),
    lines({
      title: "HTTP answers",
      description: "Requests per second at each listener, by status code.",
      unit: "reqps",
      series: [{ expr: by("listener, code", rate(HTTP)), legend: "{{listener}} {{code}}" }],
      w: 6,
    }),
    lines({
      title: "Turned away",
      description:
        "Connections over the limit of a listener or of one address, and requests for a path that does not exist. The log has the unknown requests in full, without their secrets.",
      unit: "reqps",
      series: [
        { expr: by("listener, reason", rate(CONNECTIONS_REFUSED)), legend: "connection at {{listener}}: {{reason}}" },
        { expr: `sum(${rate(UNKNOWN_ROUTES)})`, legend: "unknown path" },
      ],
      w: 6,
    }),
    lines({
      title: "Readers of the live stream",
      description: "Programs that follow GET /api/v1/stream. A slow one costs the others nothing.",
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
      title: "Questions about the past",
      description:
        "Per second, by what became of them. not_known is a time to which the journal does not reach, or a part of it that is missing; ill is a journal or an access record that cannot be read or written.",
      unit: "reqps",
      series: [{ expr: by("outcome", rate(HISTORY)), legend: "{{outcome}}" }],
      w: 12,
    }),
    lines({
      title: "Time to answer them",
      description:
        "From the question to the answer of the journal. The aim is 5 ms for 99 of 100 about a moment; the first question after a segment began, and broad ones, take longer.",
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
  description: "Questions of firewalls and administrators become answers. Does every firewall ask, and is it up to date?",
  choices: [
    choice("point", "Enforcement point", `${QUERIES}{instance=~"$instance"}`, "Which configured firewall"),
    actors("answering"),
  ],
  rows: [now, points, past, doors, mailboxes("answering")],
});
