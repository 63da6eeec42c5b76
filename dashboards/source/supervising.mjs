// Supervising: the supervisor starts, monitors and restarts the actors of all stages; and process metrics.

import { NONE_IS_GOOD, dashboard, growth, lines, number, rate, select, steps } from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

/** The series of the actors of all stages. */
const allActors = (noun, expr) => [{ expr: expr(`rollcall_actor_${noun}`), legend: "{{stage}}: {{actor}}" }];

/** The sum over the actors of all stages. */
const total = (noun, ...matchers) => `sum(${growth(`rollcall_actor_${noun}`, ...matchers)}) or vector(0)`;

const restarts = (title, description, ...matchers) =>
  number({
    title,
    description,
    unit: "locale",
    expr: total("restarts_total", ...matchers),
    thresholds: NONE_IS_GOOD,
    decimals: 0,
  });

const now = {
  title: "Overview of the selected time range",
  panels: [
    number({
      title: "Uptime",
      description: "The start time of the process.",
      unit: "dateTimeFromNow",
      expr: `1000 * min(${select("process_start_time_seconds")})`,
      thresholds: steps("green"),
    }),
    number({
      title: "Memory",
      description: "Resident memory of the process. A million sessions take several hundred megabytes.",
      unit: "bytes",
      expr: `sum(${select("process_resident_memory_bytes")})`,
      thresholds: steps("green"),
      trend: true,
    }),
    restarts("Actor restarts", "Number of actor restarts for any cause."),
    restarts("By panic", "Each panic is a bug in Rollcall. Please report it with the log line.", 'cause="panic"'),
    restarts("By hang", "Actors that blocked their thread for 10 seconds and were abandoned on it.", 'cause="hang"'),
    number({
      title: "Messages refused",
      description: "Messages of all stages that no actor accepted, or that were lost when their actor failed.",
      unit: "locale",
      expr: total("messages_refused_total"),
      thresholds: NONE_IS_GOOD,
      decimals: 0,
    }),
  ],
};

const everyActor = {
  title: "Actors of all stages",
  panels: [
    lines({
      title: "Restarts",
      description: "Restarts of each actor. Repeated restarts use a backoff of up to 30 seconds.",
      unit: "short",
      series: allActors(
        "restarts_total",
        (metric) => `sum by (stage, actor) (increase(${select(metric)}[$__rate_interval]))`,
      ),
      top: 1,
    }),
    lines({
      title: "Fullest mailboxes",
      description: "The fill ratio of each mailbox. In the order of the stages, the last full mailbox belongs to the slow actor.",
      unit: "percentunit",
      series: allActors(
        "mailbox",
        (metric) => `max by (stage, actor) (${select(`${metric}_depth`)} / ${select(`${metric}_capacity`)})`,
      ),
      limit: 0.8,
    }),
    lines({
      title: "Stuck actors",
      description:
        "How long an actor has handled no message while its mailbox holds messages. A value above zero means that the actor is stuck.",
      unit: "s",
      series: allActors(
        "last_activity_timestamp_seconds",
        (metric) =>
          `max by (stage, actor) ((time() - ${select(metric)}) * on (instance, actor) (${select(metric.replace("last_activity_timestamp_seconds", "mailbox_depth"))} > bool 0))`,
      ),
      limit: 60,
    }),
  ],
};

const theProcess = {
  title: "Process",
  panels: [
    lines({
      title: "Memory",
      description: "Resident memory. It depends on the number of sessions and of remembered session ends. Permanent growth indicates a leak.",
      unit: "bytes",
      series: [{ expr: select("process_resident_memory_bytes"), legend: "{{instance}}" }],
    }),
    lines({
      title: "CPU usage",
      description: "CPU seconds per second: 1 is one fully used core.",
      unit: "short",
      series: [{ expr: rate("process_cpu_seconds_total"), legend: "{{instance}}" }],
    }),
    lines({
      title: "File descriptors",
      description: "Open sockets and files, and the limit. At the limit, connections are refused.",
      unit: "short",
      series: [
        { expr: select("process_open_fds"), legend: "open ({{instance}})" },
        { expr: select("process_max_fds"), legend: "limit ({{instance}})" },
      ],
    }),
  ],
};

export default dashboard({
  stage: "supervising",
  description: "The supervisor, its actors and the process. Are all actors running and stable?",
  choices: [actors("supervising")],
  rows: [now, everyActor, theProcess, mailboxes("supervising")],
});
