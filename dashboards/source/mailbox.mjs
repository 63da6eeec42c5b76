// Panels for every actor: mailbox, throughput and restarts.

import { choice, lines, quantile, rate, select } from "./panels.mjs";

const ACTOR = 'actor=~"$actor"';

/** The variable that filters the mailbox panels of a stage. */
export const actors = (stage) =>
  choice("actor", "Actor", `rollcall_actor_mailbox_capacity{stage="${stage}", instance=~"$instance"}`, "Actor to show");

/** The row of a stage's mailboxes. */
export function mailboxes(stage) {
  const metric = (noun) => `rollcall_actor_${noun}`;
  const matchers = [`stage="${stage}"`, ACTOR];
  const gauge = (noun) => `sum by (instance, actor) (${select(metric(noun), matchers)})`;
  const perSecond = (noun) => `sum by (instance, actor) (${rate(metric(noun), ...matchers)})`;
  const later = (q, noun) => quantile(q, metric(noun), ["instance", "actor"], ...matchers);
  return {
    title: "Mailboxes",
    panels: [
      lines({
        title: "Mailbox depth and capacity",
        description:
          "Messages that are queued or being handled, and the capacity of the mailbox. A mailbox that stays full applies back-pressure to its senders; for syslog over UDP the kernel then drops datagrams. Check which later stage is slow.",
        unit: "short",
        series: [
          { expr: gauge("mailbox_depth"), legend: "{{actor}} ({{instance}})" },
          { expr: gauge("mailbox_capacity"), legend: "{{actor}} capacity ({{instance}})" },
        ],
      }),
      lines({
        title: "Queue wait time",
        description:
          "The 99th percentile of the time that senders waited because the mailbox was full. Zero is normal. A wait of seconds means that this actor cannot keep up.",
        unit: "s",
        series: [
          {
            // Without waiting senders, the quantile is NaN.
            expr: `${later(0.99, "mailbox_wait_seconds")} >= 0 or 0 * ${perSecond("mailbox_wait_seconds_count")}`,
            legend: "{{actor}} p99 ({{instance}})",
          },
        ],
        limit: 1,
      }),
      lines({
        title: "Message handling time",
        description:
          "The median and the 99th percentile of the handling time. A message can be a batch of up to several thousand events.",
        unit: "s",
        series: [
          { expr: later(0.5, "handling_seconds"), legend: "{{actor}} p50 ({{instance}})" },
          { expr: later(0.99, "handling_seconds"), legend: "{{actor}} p99 ({{instance}})" },
        ],
      }),
      lines({
        title: "Messages handled",
        description: "Messages per second of each actor. An actor whose rate falls to zero while others continue is stuck or idle.",
        unit: "mps",
        series: [{ expr: perSecond("messages_total"), legend: "{{actor}} ({{instance}})" }],
      }),
      lines({
        title: "Messages refused",
        description:
          "Messages that no actor accepted, because the actor was restarting, or that were lost when it failed. Their events are counted as dropped, or the sender was asked to retry.",
        unit: "mps",
        series: [{ expr: perSecond("messages_refused_total"), legend: "{{actor}} ({{instance}})" }],
        top: 1,
      }),
      lines({
        title: "Restarts by cause",
        description:
          "Number of actor restarts. panic: a bug in Rollcall. error: see the log. hang: the actor blocked its thread for 10 seconds.",
        unit: "short",
        series: [
          {
            expr: `sum by (instance, actor, cause) (increase(${select(metric("restarts_total"), matchers)}[$__rate_interval]))`,
            legend: "{{actor}} {{cause}} ({{instance}})",
          },
        ],
        top: 1,
      }),
      lines({
        title: "Time since last activity",
        description:
          "Time since each actor last handled a message. A long time is normal without incoming messages, but not while the mailbox holds messages.",
        unit: "s",
        series: [
          {
            expr: `time() - (max by (instance, actor) (${select(metric("last_activity_timestamp_seconds"), matchers)}) > 0)`,
            legend: "{{actor}} ({{instance}})",
          },
        ],
        w: 24,
      }),
    ],
  };
}
