// How late events arrived, by type. plotly.js is big: it is loaded when the panel is opened first.

import { onScheme } from "../colours.js";
import { el } from "../dom.js";
import { count, short } from "../format.js";
import { getOfSession } from "../session.js";

const PERCENTILES = [["p50", "p50"], ["p90", "p90"], ["p99", "p99"], ["p999", "p99.9"], ["max", "max"]];

let loading = null;

function loadPlotly() {
  loading ??= new Promise((resolve, reject) => {
    const failed = () => {
      loading = null;
      reject(Object.assign(new Error("plotly.js could not be loaded"), { hint: "pip install plotly", status: 500 }));
    };
    document.head.append(el("script", { src: "/plotly.min.js", on: { load: () => resolve(globalThis.Plotly), error: failed } }));
  });
  return loading;
}

/**
 * Make the panel.
 * @param {import("../store.js").Store} store
 * @returns {import("../tabs.js").Panel}
 */
export function makeLatencyPanel(store) {
  const root = el("div", { class: "panel", tabindex: "0" });
  root.append(el("p", { class: "empty", text: "Measuring…" }));
  let drawn = null;

  async function refresh() {
    const answer = await getOfSession(store.value, "/api/latency");
    const found = (Array.isArray(answer) ? answer : (answer.sessions ?? [answer])).filter((each) => each.by_type);
    const rows = found.flatMap(({ by_type: types }) => types).filter(({ latency_ms: latency }) => latency?.p50 !== null && latency !== null && latency !== undefined);
    if (!rows.length) {
      root.replaceChildren(el("p", { class: "empty", text: "No latency to tell: no event says when it was sent" }));
      return;
    }
    const plot = el("div", { class: "plot", role: "img", "aria-label": "Latency percentiles by type; the table below says the same" });
    const again = el("button", { class: "small", type: "button", text: "Measure again", on: { click: refresh } });
    root.replaceChildren(el("h2", {}, "Latency by type", el("small", { text: "ms, the clocks’ difference taken away" }), el("span", { class: "grow" }), again), plot, table(rows));
    const plotly = await loadPlotly();
    drawn = () => draw(plotly, plot, rows);
    await drawn();
  }
  onScheme(() => drawn?.());
  return { name: "latency", title: "Latency", root, refresh };
}

function draw(plotly, plot, rows) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const types = rows.map(({ type }) => type ?? "no type").reverse();
  const traces = PERCENTILES.map(([key, name], index) => ({
    type: "scatter", mode: "markers", name, x: rows.map(({ latency_ms: latency }) => latency[key]).reverse(), y: types,
    marker: { size: index === 0 ? 9 : 7, color: colour("--accent"), opacity: 1 - index * 0.17, symbol: ["circle", "circle", "circle", "diamond", "line-ns-open"][index] },
    hovertemplate: `%{y} ${name}: %{x:.2f} ms<extra></extra>`,
  }));
  plot.style.height = `${90 + 20 * rows.length}px`;
  const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zeroline: false, fixedrange: true };
  return plotly.react(plot, traces, {
    margin: { l: 118, r: 10, t: 4, b: 54 }, paper_bgcolor: "transparent", plot_bgcolor: "transparent",
    font: { family: "system-ui, sans-serif", size: 11, color: colour("--soft") },
    xaxis: { ...axis, type: "log", title: { text: "ms", standoff: 4 } }, yaxis: { ...axis, automargin: false },
    legend: { orientation: "h", y: -0.12, yanchor: "top", x: 0 },
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
  }, { displayModeBar: false, responsive: true });
}

function table(rows) {
  const head = ["type", "events", "p50", "p90", "p99", "p99.9", "max"].map((text, index) => el("th", { scope: "col", class: index ? "n" : "", text }));
  const body = rows.map(({ type, measured, latency_ms: latency }) => el("tr", {},
    el("td", { text: type ?? "no type" }), el("td", { class: "n", text: count(measured) }),
    ...PERCENTILES.map(([key]) => el("td", { class: "n", text: short(latency[key]) }))));
  return el("div", { class: "scroll-x" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}
