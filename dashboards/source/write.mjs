// Writes the dashboards to the parent directory. With --check, writes nothing and fails if a file differs.

import { readFileSync, writeFileSync } from "node:fs";

let old = 0;
for (const name of ["overview", "receiving", "deciding", "answering", "pushing", "supervising"]) {
  const { default: made } = await import(`./${name}.mjs`);
  const file = new URL(`../${name}.json`, import.meta.url);
  const text = `${JSON.stringify(made, null, 2)}\n`;
  if (!process.argv.includes("--check")) {
    writeFileSync(file, text);
  } else if (readFileSync(file, "utf8") !== text) {
    console.error(`dashboards/${name}.json is out of date: node dashboards/source/write.mjs`);
    old += 1;
  }
}
process.exitCode = old > 0 ? 1 : 0;
