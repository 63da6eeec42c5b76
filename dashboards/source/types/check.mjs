// Checks dashboards against Grafana's published types: node check.mjs FOLDER DASHBOARD...
// FOLDER holds the packages of package.json. Each run also plants faults and fails if one is not found.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";

const [folder, ...files] = process.argv.slice(2);
const ts = createRequire(join(folder, "package.json"))("typescript");
// By path and not by package: neither exports these files.
const RAW = "./node_modules/@grafana/schema/dist/types/raw";
const PROMETHEUS = "./node_modules/@grafana/grafana-foundation-sdk/dist/prometheus/types.gen";

const PREAMBLE = `
import type { Dashboard, FieldConfig, FieldConfigSource, Panel, RowPanel } from "${RAW}/dashboard/x/types.gen";
import type { Dataquery } from "${PROMETHEUS}";
/** The JSON form of T: enums by value, without methods. */
type Json<T> = T extends string ? \`\${T}\` | T
  : T extends number ? T
  : T extends (...parameters: never[]) => unknown ? never
  : T extends (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T as T[K] extends (...parameters: never[]) => unknown ? never : K]: Json<T[K]> }
  : T;
type Target = Json<Omit<Dataquery, "dataqueryName">>;
`;

/** One dashboard as a TypeScript module in which every part has its Grafana type. */
function asModule({ panels, ...head }) {
  const kinds = new Set();
  const constants = [];
  const constant = (type, value) =>
    constants.push(`export const _${constants.length}: ${type} = ${JSON.stringify(value, null, 1)};`);
  constant('Json<Omit<Dashboard, "panels">>', head);
  for (const panel of panels) {
    if (panel.type === "row") {
      constant("Json<RowPanel>", panel);
      continue;
    }
    const { options, fieldConfig, targets, ...rest } = panel;
    const { defaults, ...overrides } = fieldConfig;
    const { custom, ...field } = defaults;
    kinds.add(panel.type);
    constant('Json<Omit<Panel, "options" | "fieldConfig" | "targets">>', rest);
    constant(`Json<${panel.type}.Options>`, options);
    constant('Json<Omit<FieldConfigSource, "defaults">>', overrides);
    constant('Json<Omit<FieldConfig, "custom">>', field);
    if (custom) constant(`Json<${panel.type}.FieldConfig>`, custom);
    constant("Target[]", targets);
  }
  const imports = [...kinds].map((kind) => `import type * as ${kind} from "${RAW}/composable/${kind}/panelcfg/x/types.gen";`);
  return [PREAMBLE, ...imports, ...constants].join("\n");
}

/** The type errors of each dashboard: a list of messages by name. */
function diagnose(dashboards) {
  const modules = new Map();
  for (const [name, dashboard] of dashboards) modules.set(join(folder, `${name}.ts`), asModule(dashboard));
  const options = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
  };
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (path) => modules.get(path) ?? readFile(path);
  host.fileExists = (path) => modules.has(path) || fileExists(path);
  host.getSourceFile = (path, language, ...others) =>
    modules.has(path) ? ts.createSourceFile(path, modules.get(path), language) : getSourceFile(path, language, ...others);
  const found = new Map([...dashboards.keys()].map((name) => [name, []]));
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(ts.createProgram([...modules.keys()], options, host))) {
    const text = ts.flattenDiagnosticMessageText(messageText, " ");
    if (!file) throw new Error(text);
    const line = file.text.slice(start).split("\n", 1)[0].trim();
    found.get(basename(file.fileName, ".ts")).push(`${line}: ${text}`);
  }
  return found;
}

/** Faults that Grafana would ignore silently, each planted into a dashboard. */
const FAULTS = {
  "a width that is a string": (dashboard) => (dashboard.panels[1].gridPos.w = "12"),
  "an unknown option": (dashboard) => (dashboard.panels.find(lines).fieldConfig.defaults.custom.lineWidht = 2),
  "an unknown value": (dashboard) => (dashboard.panels[1].options.graphMode = "nope"),
  "a misspelt legend": (dashboard) => (dashboard.panels[1].targets[0].legendFmt = "{{actor}}"),
  "a missing option": (dashboard) => delete dashboard.panels.find(lines).options.tooltip,
  "a wrong variable": (dashboard) => (dashboard.templating.list[1].refresh = "2"),
};
const lines = (panel) => panel.type === "timeseries";

const dashboards = new Map(files.map((file) => [basename(file, ".json"), JSON.parse(readFileSync(file, "utf8"))]));
const names = [...dashboards.keys()];
Object.values(FAULTS).forEach((plant, index) => {
  const faulty = structuredClone(dashboards.get(names[0]));
  plant(faulty);
  dashboards.set(`fault-${index}`, faulty);
});
const found = diagnose(dashboards);
for (const name of names) {
  for (const message of found.get(name)) console.error(`dashboards/${name}.json: ${message}`);
  if (found.get(name).length > 0) process.exitCode = 1;
}
Object.keys(FAULTS).forEach((fault, index) => {
  if (found.get(`fault-${index}`).length > 0) return;
  console.error(`this check does not detect ${fault}`);
  process.exitCode = 1;
});
if (!process.exitCode) console.log(`${names.join(", ")}: valid by Grafana's types`);
