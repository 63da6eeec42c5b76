// Supervising: actors of all stages are started, watched and replaced; and the process they share.

import { NONE_IS_GOOD, dashboard, growth, lines, number, rate, select, steps } from "./panels.mjs";
import { actors, mailboxes } from "./mailbox.mjs";

/** The stages that have actors. */
const STAGES = ["receiving", "deciding", "answering", "supervising"];

/** One series a stage, of the metric that each stage has under a name of its own. */
const eachStage = (noun, expr) =>
  STAGES.map((stage) => ({ expr: expr(`rollcall_${stage}_${noun}`), legend: `${stage}: {{actor}}` }));

/** The sum over all stages, of which some may have nothing to count yet. */
const allStages = (noun, ...matchers) =>
  STAGES.map((stage) => `(sum(${growth(`rollcall_${stage}_${noun}`, ...matchers)}) or vector(0))`).join(" + ");

const restarts = (title, description, ...matchers) =>
  number({
    title,
    description,
    unit: "locale",
    expr: allStages("restarts_total", ...matchers),
    thresholds: NONE_IS_GOOD,
    decimals: 0,
  });

const now = {
  title: "In the time shown",
  panels: [
    number({
      title: "Up since",
      description: "When the process began.",
      unit: "dateTimeFromNow",
      expr: `1000 * min(${select("process_start_time_seconds")})`,
      thresholds: steps("green"),
    }),
    number({
      title: "Memory",
      description: "Resident memory of the process. A million sessions take some hundred megabytes.",
      unit: "bytes",
      expr: `sum(${select("process_resident_memory_bytes")})`,
      thresholds: steps("green"),
      trend: true,
    }),
    restarts("Actors replaced", "How often any actor was replaced, for whatever cause."),
    restarts("By panic", "Each is a bug of Rollcall: please report it with the log line.", 'cause="panic"'),
    restarts("By freeze", "Actors that held their thread for 10 seconds and were left behind on it.", 'cause="freeze"'),
    number({
      title: "Messages refused",
      description: "Messages of all stages that nobody took, or that were lost with their actor.",
      unit: "locale",
      expr: allStages("messages_refused_total"),
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
      description: "Which actors were replaced. One that comes back again and again waits longer each time, up to 30 seconds.",
      unit: "short",
      series: eachStage(
        "restarts_total",
        (metric) => `sum by (actor) (increase(${select(metric)}[$__rate_interval]))`,
      ),
      top: 1,
    }),
    lines({
      title: "Fullest mailboxes",
      description: "How full each mailbox is. Follow the way of an event: the last full one is the one that is too slow.",
      unit: "percentunit",
      series: eachStage(
        "mailbox",
        (metric) => `max by (actor) (${select(`${metric}_depth`)} / ${select(`${metric}_capacity`)})`,
      ),
      limit: 0.8,
    }),
    lines({
      title: "Work left undone",
      description:
        "For how long actors whose mailbox holds messages have handled none. Anything but nothing is an actor that is stuck.",
      unit: "s",
      series: eachStage(
        "last_activity_timestamp_seconds",
        (metric) =>
          `max by (actor) ((time() - ${select(metric)}) * on (instance, actor) (${select(metric.replace("last_activity_timestamp_seconds", "mailbox_depth"))} > bool 0))`,
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
      description: "Resident memory. It follows the number of sessions and of remembered ends; a slope that never bends is a leak.",
      unit: "bytes",
      series: [{ expr: select("process_resident_memory_bytes"), legend: "{{instance}}" }],
    }),
    lines({
      title: "Processors used",
      description: "Seconds of processor time per second: 1 is one core kept busy.",
      unit: "short",
      series: [{ expr: rate("process_cpu_seconds_total"), legend: "{{instance}}" }],
    }),
    lines({
      title: "File descriptors",
      description: "Sockets and files that are open, and how many may be. At the limit, connections are refused.",
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
  description: "The supervisor, all its actors, and the process they share. Is everything at work, and does it stay so?",
  choices: [actors("supervising")],
  rows: [now, everyActor, theProcess, mailboxes("supervising")],
});
