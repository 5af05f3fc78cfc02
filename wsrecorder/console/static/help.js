// The keys, in a dialogue.

import { byId, el } from "./dom.js";

const KEYS = [
  ["Space", "play, pause"], ["r", "restart"],
  ["← →", "step one event back, forward"], ["n", "next event the filter lets through"],
  ["↑ ↓", "faster, slower"], ["f", "follow"],
  ["[ ]", "10 s back, on"], ["/", "search a text"],
  ["← → Home End", "on the timeline: seek"], ["+ − 0", "on the timeline: zoom, fit"],
  ["↑ ↓ PgUp PgDn", "in the table: choose an event"], ["Esc", "leave a field, close"],
];

/**
 * Make the dialogue.
 * @param {import("./store.js").Store} store
 * @returns {() => void} opens it
 */
export function makeHelp(store) {
  const dialog = byId("help");
  const pairs = KEYS.flatMap(([keys, does]) => [el("dt", {}, ...keys.split(" ").flatMap((key) => [el("kbd", { text: key }), " "])), el("dd", { text: does })]);
  const version = el("span");
  dialog.append(
    el("h2", { id: "help-title", text: "Keyboard" }), el("dl", {}, ...pairs),
    el("p", { class: "hint", text: "On the timeline: drag to seek, shift-drag to mark a loop, wheel to look closer, double click to see everything." }),
    el("footer", {}, version, el("a", { href: "/docs", target: "_blank", rel: "noopener", text: "HTTP interface" }), el("button", { type: "button", text: "Close", on: { click: () => dialog.close() } })),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  store.watch(({ state }) => state?.version, (said) => (version.textContent = said ? `wsrec ${said}` : "wsrec"));
  const open = () => dialog.open || dialog.showModal();
  byId("open-help").addEventListener("click", open);
  return open;
}
