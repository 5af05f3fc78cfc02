// The state at the playhead, folded from the events up to it: the engine, the open orders, the open positions.

import { el } from "../dom.js";
import { clock, short, timeOfDay } from "../format.js";
import { positionNow } from "../playhead.js";
import { getOfSession } from "../session.js";

const EVERY_MS = 400;
const AMOUNTS = new Set(["qty", "price", "stop_price", "entry", "stop", "target", "unrealized_usd"]);

/** What is shown of each: columns by the field that they hold, and what stands below in small. */
const ORDERS = {
  title: "Open orders",
  columns: { symbol: "symbol", side: "side", kind: "type", qty: "qty", price: "price", stop_price: "stop", status: "status" },
  below: ({ id, placed_ms: placed, filled_qty: filled }) => [id, placed && `placed ${time(placed)}`, filled && `${amount(filled)} filled`],
};
const POSITIONS = {
  title: "Open positions",
  columns: { symbol: "symbol", side: "side", qty: "qty", entry: "entry", stop: "stop", target: "target", unrealized_usd: "P&L $" },
  below: ({ id, opened_ms: opened, strategy, unrealized_r: r }) => [
    id, opened && `opened ${time(opened)}`, strategy, typeof r === "number" && `${short(r)} R`,
  ],
};

const time = (ms) => timeOfDay(new Date(ms).toISOString());
const amount = (number) => (typeof number === "number" ? String(Number(number.toPrecision(9))) : "–");

/**
 * Make the panel.
 * @param {import("../store.js").Store} store
 * @returns {import("../tabs.js").Panel}
 */
export function makeStatePanel(store) {
  const root = el("div", { class: "panel", tabindex: "0" });
  let shownNs = null;
  return {
    name: "state", title: "State", root, everyMs: EVERY_MS,
    async refresh() {
      const atNs = Math.max(0, Math.round(positionNow(store.value, performance.now())));
      if (atNs === shownNs) return;
      const state = await getOfSession(store.value, "/api/projections", { at_ns: atNs });
      shownNs = atNs;
      root.replaceChildren(
        el("h2", {}, "Engine", el("small", { text: `at ${clock(state.at_ns ?? atNs)}` })), engine(state.engine ?? {}),
        ...list(ORDERS, state.orders), ...list(POSITIONS, state.positions),
      );
    },
  };
}

function engine({ state, running, reason, since_ms: since }) {
  const lamp = el("span", { class: `lamp ${running === true ? "on" : running === false ? "off" : ""}` });
  const words = running === true ? "running" : running === false ? "stopped" : "not known yet";
  return el("div", { class: "engine" }, lamp, el("b", { text: state ?? "–" }), el("span", { text: [words, reason, since && `since ${time(since)}`].filter(Boolean).join(" · ") }));
}

function* list({ title, columns, below }, rows = []) {
  yield el("h2", {}, title, el("small", { text: String(rows.length) }));
  if (!rows.length) {
    yield el("p", { class: "empty", text: "None at this moment" });
    return;
  }
  const keys = Object.keys(columns).filter((key) => rows.some((row) => row[key] !== null && row[key] !== undefined));
  const head = keys.map((key) => el("th", { scope: "col", class: AMOUNTS.has(key) ? "n" : "", text: columns[key] }));
  const body = rows.flatMap((row) => [
    el("tr", { class: "first" }, ...keys.map((key) => cell(key, row[key]))),
    el("tr", { class: "below" }, el("td", { colspan: keys.length, text: below(row).filter(Boolean).join(" · ") })),
  ]);
  yield el("div", { class: "scroll-x" }, el("table", { class: "state" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}

function cell(key, value) {
  if (!AMOUNTS.has(key)) return el("td", { text: value ?? "–" });
  const money = key === "unrealized_usd" && value ? (value < 0 ? " bad" : " good") : "";
  return el("td", { class: `n${money}`, text: key === "unrealized_usd" && typeof value === "number" ? value.toFixed(2) : amount(value) });
}
