// Functions that build dashboards: queries, panels and their positions on the grid.

const DATASOURCE = { type: "prometheus", uid: "${datasource}" };
const WIDTH = 24;

/** Threshold steps: the color below all values, then the color from each value on. */
export const steps = (below, ...above) => ({
  mode: "absolute",
  steps: [{ color: below, value: null }, ...above.map(([value, color]) => ({ color, value }))],
});

/** Zero is good, more is bad. `increase` returns estimates that are rarely integers, so the step is below 1. */
export const NONE_IS_GOOD = steps("green", [0.001, "red"]);
/** Zero is good, more requires attention. */
export const NONE_IS_BETTER = steps("green", [0.001, "orange"]);

/** The rate of a counter per second. */
export const rate = (metric, ...matchers) => `rate(${select(metric, matchers)}[$__rate_interval])`;

/** The increase of a counter over the displayed time range. */
export const growth = (metric, ...matchers) => `increase(${select(metric, matchers)}[$__range])`;

/** The series of the selected instances, filtered by further matchers. */
export const select = (metric, matchers = []) =>
  `${metric}{${['instance=~"$instance"', ...matchers].join(", ")}}`;

/** A quantile of a histogram, in the unit of the histogram, grouped by labels. */
export const quantile = (q, histogram, labels, ...matchers) =>
  `histogram_quantile(${q}, sum by (${["le", ...labels].join(", ")}) (${rate(`${histogram}_bucket`, ...matchers)}))`;

const target = ({ expr, legend = "" }, index, instant) => ({
  refId: String.fromCharCode(65 + index),
  datasource: DATASOURCE,
  expr,
  legendFormat: legend,
  ...(instant ? { instant: true, range: false } : { instant: false, range: true }),
});

/**
 * A time series panel. `series` are `{expr, legend}`; `limit` draws a threshold line; `top` is the soft maximum
 * of the axis.
 */
export function lines({ title, description, unit, series, limit, top, stacked = false, w = 8, h = 8 }) {
  return {
    type: "timeseries",
    title,
    description,
    datasource: DATASOURCE,
    size: { w, h },
    targets: series.map((one, index) => target(one, index, false)),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        color: { mode: "palette-classic" },
        thresholds: limit ? steps("transparent", [limit, "red"]) : steps("transparent"),
        custom: {
          drawStyle: "line",
          lineInterpolation: "linear",
          lineWidth: 1,
          fillOpacity: stacked ? 30 : 8,
          showPoints: "never",
          spanNulls: false,
          stacking: { group: "A", mode: stacked ? "normal" : "none" },
          ...(top === undefined ? {} : { axisSoftMax: top }),
          thresholdsStyle: { mode: limit ? "dashed" : "off" },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: "list", placement: "bottom", showLegend: true, calcs: ["lastNotNull"] },
      tooltip: { mode: "multi", sort: "desc" },
    },
  };
}

/** Value mappings from `{value: [text, color]}`. */
const mapped = (mappings) => [
  {
    type: "value",
    options: Object.fromEntries(
      Object.entries(mappings).map(([value, [text, color]], index) => [value, { text, color, index }]),
    ),
  },
];

/** A stat panel: one value per series. Either `thresholds` or `mappings` give the color. */
function stat({ title, description, unit, query, thresholds, mappings, trend, decimals, w, h, textMode }) {
  return {
    type: "stat",
    title,
    description,
    datasource: DATASOURCE,
    size: { w, h },
    targets: [target(query, 0, !trend)],
    fieldConfig: {
      defaults: {
        ...(unit === undefined ? {} : { unit }),
        thresholds: thresholds ?? steps("text"),
        ...(mappings ? { mappings: mapped(mappings) } : {}),
        noValue: "–",
        ...(decimals === undefined ? {} : { decimals }),
      },
      overrides: [],
    },
    options: {
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
      colorMode: textMode === "value" ? "value" : "background",
      graphMode: trend ? "area" : "none",
      justifyMode: "auto",
      orientation: "auto",
      textMode,
      wideLayout: true,
      showPercentChange: false,
      percentChangeColorMode: "standard",
    },
  };
}

/** A stat panel with one colored value. With `trend`, a sparkline is drawn behind the value. */
export const number = ({ expr, trend = false, w = 4, h = 4, ...rest }) =>
  stat({ ...rest, query: { expr }, trend, w, h, textMode: "value" });

/** A stat panel with one colored tile per series. */
export const tiles = ({ expr, legend, w = 8, h = 6, ...rest }) =>
  stat({ decimals: 0, ...rest, query: { expr, legend }, trend: false, w, h, textMode: "value_and_name" });

/** A variable whose values are the values of a label of a metric. Multiple selection; the default is all. */
export const choice = (name, label, metric, description) => ({
  type: "query",
  name,
  label,
  description,
  datasource: DATASOURCE,
  // In the query editor, 1 means "label values".
  query: { qryType: 1, query: `label_values(${metric}, ${name})`, refId: `choice-${name}` },
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  allValue: ".*",
  current: { text: ["All"], value: ["$__all"] },
});

const datasource = {
  type: "datasource",
  name: "datasource",
  label: "Prometheus",
  query: "prometheus",
  refresh: 1,
  multi: false,
  includeAll: false,
};

/** The panels of titled rows, from left to right and from top to bottom, each with its position and ID. */
function place(rows) {
  const placed = [];
  let y = 0;
  const add = (panel, gridPos) => placed.push({ id: placed.length + 1, ...panel, gridPos });
  for (const { title, panels } of rows) {
    add({ type: "row", title, collapsed: false, panels: [] }, { x: 0, y, w: WIDTH, h: 1 });
    y += 1;
    let x = 0;
    let tallest = 0;
    for (const { size, ...panel } of panels) {
      if (x + size.w > WIDTH) {
        x = 0;
        y += tallest;
        tallest = 0;
      }
      add(panel, { x, y, ...size });
      x += size.w;
      tallest = Math.max(tallest, size.h);
    }
    y += tallest;
  }
  return placed;
}

/** The dashboard of a stage, or the dashboard `name` with the instances of the metric `instances`. */
export function dashboard({ stage, name = stage, description, instances: metric, choices, rows }) {
  const instances = choice(
    "instance",
    "Instance",
    metric ?? `rollcall_actor_mailbox_capacity{stage="${stage}"}`,
    "Rollcall instance, as in the Prometheus target",
  );
  return {
    uid: `rollcall-${name}`,
    title: `Rollcall: ${name}`,
    description,
    tags: ["rollcall"],
    schemaVersion: 42,
    version: 1,
    editable: true,
    graphTooltip: 1,
    timezone: "browser",
    time: { from: "now-1h", to: "now" },
    refresh: "30s",
    links: [
      {
        type: "dashboards",
        title: "Rollcall",
        tooltip: "The other dashboards of Rollcall",
        icon: "external link",
        tags: ["rollcall"],
        asDropdown: false,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
      },
    ],
    templating: { list: [datasource, instances, ...choices] },
    panels: place(rows),
  };
}
