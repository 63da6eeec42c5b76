// What every actor has: a mailbox, a pace, and a history of being replaced.

import { choice, lines, quantile, rate, select } from "./panels.mjs";

const ACTOR = 'actor=~"$actor"';

/** The variable that narrows the mailbox panels of a stage. */
export const actors = (stage) =>
  choice("actor", "Actor", `rollcall_${stage}_mailbox_capacity{instance=~"$instance"}`, "Which actor's mailbox");

/** The row of a stage's mailboxes. */
export function mailboxes(stage) {
  const metric = (noun) => `rollcall_${stage}_${noun}`;
  const gauge = (noun) => `sum by (instance, actor) (${select(metric(noun), [ACTOR])})`;
  const perSecond = (noun) => `sum by (instance, actor) (${rate(metric(noun), ACTOR)})`;
  const later = (q, noun) => quantile(q, metric(noun), ["instance", "actor"], ACTOR);
  return {
    title: "Mailboxes",
    panels: [
      lines({
        title: "Mailbox depth and capacity",
        description:
          "Messages that wait or are in work, and the places there are. A mailbox that stays full holds its senders back; for syslog over UDP the kernel then drops datagrams. See which later stage is slow.",
        unit: "short",
        series: [
          { expr: gauge("mailbox_depth"), legend: "{{actor}} ({{instance}})" },
          { expr: gauge("mailbox_capacity"), legend: "{{actor}} capacity ({{instance}})" },
        ],
      }),
      lines({
        title: "Time waited for a place",
        description:
          "Of the senders that found the mailbox full, one of 100 waited longer than this for a place. Nothing is normal. Seconds mean that this actor cannot keep up.",
        unit: "s",
        series: [
          {
            // Where nobody waits, the quantile is not a number.
            expr: `${later(0.99, "mailbox_wait_seconds")} >= 0 or 0 * ${perSecond("mailbox_wait_seconds_count")}`,
            legend: "{{actor}} p99 ({{instance}})",
          },
        ],
        limit: 1,
      }),
      lines({
        title: "Time to handle a message",
        description:
          "Half of the messages take less than p50, one of 100 takes longer than p99. A message can be a batch of up to some thousand events.",
        unit: "s",
        series: [
          { expr: later(0.5, "handling_seconds"), legend: "{{actor}} p50 ({{instance}})" },
          { expr: later(0.99, "handling_seconds"), legend: "{{actor}} p99 ({{instance}})" },
        ],
      }),
      lines({
        title: "Messages handled",
        description: "Messages per second of each actor. An actor whose line ends while others go on is stuck or idle.",
        unit: "mps",
        series: [{ expr: perSecond("messages_total"), legend: "{{actor}} ({{instance}})" }],
      }),
      lines({
        title: "Messages refused",
        description:
          "Messages that nobody took: the actor was being replaced, or they were lost with it. What they held is counted as dropped, or the sender was told to come back.",
        unit: "mps",
        series: [{ expr: perSecond("messages_refused_total"), legend: "{{actor}} ({{instance}})" }],
        top: 1,
      }),
      lines({
        title: "Restarts by cause",
        description:
          "How often actors were replaced: panic is a bug of Rollcall, error is told in the log, freeze means that the actor held its thread for 10 seconds.",
        unit: "short",
        series: [
          {
            expr: `sum by (instance, actor, cause) (increase(${select(metric("restarts_total"), [ACTOR])}[$__rate_interval]))`,
            legend: "{{actor}} {{cause}} ({{instance}})",
          },
        ],
        top: 1,
      }),
      lines({
        title: "Time since the last activity",
        description:
          "How long ago each actor last handled a message. Long is normal where nothing comes in, and not while its mailbox holds messages.",
        unit: "s",
        series: [
          {
            expr: `time() - (max by (instance, actor) (${select(metric("last_activity_timestamp_seconds"), [ACTOR])}) > 0)`,
            legend: "{{actor}} ({{instance}})",
          },
        ],
        w: 24,
      }),
    ],
  };
}
