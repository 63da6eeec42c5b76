// Runs every expression of every dashboard and rule on a real Prometheus: see ../check-live.

import { readFileSync } from "node:fs";

const STAGES = ["receiving", "deciding", "answering", "supervising"];

/** What may have no data, because it only moves when something is wrong: the metric, and what must go wrong. */
const QUIET = [
  [/_mailbox_wait_seconds/, "a mailbox must be full"],
  [/_restarts_total/, "an actor must have been replaced"],
  [/_messages_refused_total/, "an actor must be away"],
  [/_restorations_total/, "the cache or the query actor must have been replaced"],
  [/_journal_errors_total/, "the journal must fail"],
  [/_kernel_drops_total/, "the kernel must have dropped a datagram"],
  [/_connections_refused_total/, "a listener must be full"],
  [/rollcall:stuck:seconds|last_activity_timestamp_seconds.*mailbox_depth/, "an actor must be stuck with messages in its mailbox"],
];

const [prometheus, minutes = "5"] = process.argv.slice(2);
const step = 5;
const end = Date.now() / 1000;
const start = end - 60 * Number(minutes);

async function ask(path, parameters = {}) {
  const url = new URL(`/api/v1/${path}`, prometheus);
  url.search = new URLSearchParams(parameters);
  const answer = await (await fetch(url)).json();
  if (answer.status !== "success") throw new Error(answer.error);
  return answer.data;
}

/** How many series of an expression have a number in the time looked at; NaN and infinity are none. */
async function numbers(query) {
  const { result } = await ask("query_range", { query, start, end, step });
  return result.filter(({ values }) => values.some(([, value]) => Number.isFinite(Number(value)))).length;
}

/** An expression as Grafana sends it, with everything chosen. */
const resolved = (expr) =>
  expr
    .replaceAll("$__rate_interval", "1m")
    .replaceAll("$__range", `${minutes}m`)
    .replace(/\$(instance|actor|producer|point)\b/g, ".*");

/** Everything to be asked: where it stands, and the expression. */
async function* expressions() {
  for (const stage of STAGES) {
    const { panels, templating } = JSON.parse(readFileSync(new URL(`../${stage}.json`, import.meta.url), "utf8"));
    for (const { name, query } of templating.list.filter(({ type }) => type === "query")) {
      const [, metric, label] = /^label_values\((.+), (\w+)\)$/.exec(query.query);
      yield [`${stage}.json, variable ${name}`, `count by (${label}) (${resolved(metric)})`];
    }
    for (const { title, targets = [] } of panels) {
      for (const { refId, expr } of targets) yield [`${stage}.json, ${title}, ${refId}`, resolved(expr)];
    }
  }
  for (const { rules } of (await ask("rules")).groups.filter(({ name }) => name.startsWith("rollcall"))) {
    for (const { type, name, query, health, lastError } of rules) {
      if (health !== "ok") throw new Error(`rule ${name} is ${health}: ${lastError ?? "not evaluated yet"}`);
      if (type === "recording") {
        yield [`recording.yml, ${name}`, query];
        continue;
      }
      // An alert has data when it fires; here everything that it looks at must be there to be looked at.
      for (const metric of new Set(query.match(/\b(?:rollcall|process)[_:][\w:]+|\bup\b/g))) {
        yield [`alerts.yml, ${name}`, `count(${metric})`];
      }
    }
  }
}

const tally = { answered: 0, quiet: 0, silent: 0 };
for await (const [place, expr] of expressions()) {
  const reason = QUIET.find(([metric]) => metric.test(expr))?.[1];
  if ((await numbers(expr)) > 0) {
    tally.answered += 1;
  } else if (reason) {
    tally.quiet += 1;
    console.log(`quiet: ${place}: ${reason}`);
  } else {
    tally.silent += 1;
    console.error(`NO DATA: ${place}: ${expr}`);
  }
}
console.log(`${tally.answered} expressions have data, ${tally.quiet} are quiet for a reason, ${tally.silent} have none`);
process.exitCode = tally.silent > 0 || tally.answered === 0 ? 1 : 0;
