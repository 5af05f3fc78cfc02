// The state at the playhead, folded from the events up to it: the engine, the open orders, the open positions.

import { get } from "../api.js";
import { el } from "../dom.js";
import { clock } from "../format.js";
import { positionNow } from "../playhead.js";

const EVERY_MS = 400;
const FIRST_KEYS = ["symbol", "side", "status", "qty", "size", "price", "entry", "sl", "tp", "pnl_usd", "pnlUsd", "unrealizedPnlUsd", "id"];
const MOST_COLUMNS = 8;

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
      const state = await get("/api/projections", { at_ns: atNs });
      shownNs = atNs;
      root.replaceChildren(
        el("h2", {}, "Engine", el("small", { text: `at ${clock(state.at_ns ?? atNs)}` })), engine(state.engine ?? {}),
        ...list("Open orders", state.orders), ...list("Open positions", state.positions),
      );
    },
  };
}

function engine({ state, running, reason }) {
  const lamp = el("span", { class: `lamp ${running === true ? "on" : running === false ? "off" : ""}` });
  const words = running === true ? "running" : running === false ? "stopped" : "not known yet";
  return el("div", { class: "engine" }, lamp, el("b", { text: state ?? "–" }), el("span", { text: [words, reason].filter(Boolean).join(" · ") }));
}

function* list(title, rows = []) {
  yield el("h2", {}, title, el("small", { text: String(rows.length) }));
  if (!rows.length) {
    yield el("p", { class: "empty", text: "None at this moment" });
    return;
  }
  const said = (key) => rows.some((row) => row[key] !== null && row[key] !== undefined && typeof row[key] !== "object");
  const keys = [...new Set([...FIRST_KEYS, ...rows.flatMap((row) => Object.keys(row))])].filter(said).slice(0, MOST_COLUMNS);
  const isNumber = (key) => rows.every((row) => typeof row[key] !== "string");
  const head = keys.map((key) => el("th", { scope: "col", class: isNumber(key) ? "n" : "", text: key.replace("_usd", " $").replace("_", " ") }));
  const body = rows.map((row) => el("tr", {}, ...keys.map((key) => cell(key, row[key], isNumber(key)))));
  yield el("div", { class: "scroll-x" }, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body)));
}

function cell(key, value, isNumber) {
  const money = /pnl/i.test(key) && typeof value === "number" ? (value < 0 ? " bad" : value > 0 ? " good" : "") : "";
  const text = value === null || value === undefined ? "–" : typeof value === "number" ? String(Number(value.toPrecision(10))) : String(value);
  return el("td", { class: (isNumber ? "n" : "") + money, text });
}
