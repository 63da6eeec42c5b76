// Runs every expression of every dashboard and rule on a real Prometheus: see ../check-live.

import { readFileSync } from "node:fs";

const STAGES = ["receiving", "deciding", "answering", "supervising"];

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

/** The number of series of an expression with a finite value in the time range. */
async function numbers(query) {
  const { result } = await ask("query_range", { query, start, end, step });
  return result.filter(({ values }) => values.some(([, value]) => Number.isFinite(Number(value)))).length;
}

/** An expression as Grafana sends it, with all values selected. */
const resolved = (expr) =>
  expr
    .replaceAll("$__rate_interval", "1m")
    .replaceAll("$__range", `${minutes}m`)
    .replace(/\$(instance|actor|producer|point)\b/g, ".*");

/** All expressions to query, each with its location. */
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
      // An alert has data only when it fires. Here, every metric of its expression must have data.
      for (const metric of new Set(query.match(/\b(?:rollcall|process)[_:][\w:]+|\bup\b/g))) {
        yield [`alerts.yml, ${name}`, `count(${metric})`];
      }
    }
  }
}

let answered = 0;
let silent = 0;
for await (const [place, expr] of expressions()) {
  if ((await numbers(expr)) > 0) {
    answered += 1;
  } else {
    silent += 1;
    console.error(`no data: ${place}: ${expr}`);
  }
}
console.log(`${answered} expressions have data, ${silent} have none`);
process.exitCode = silent > 0 || answered === 0 ? 1 : 0;
