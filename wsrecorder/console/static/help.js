// The keys, in a dialogue.

import { byId, el } from "./dom.js";

const KEYS = [
  ["Space", "play, pause"], ["r", "restart"],
  ["← →", "step back, forward"], ["n", "next match of the filter"],
  ["↑ ↓", "faster, slower"], ["f", "follow"],
  ["[ ]", "10 s back, on"], ["/", "search a text"],
  ["← → Home End", "seek, on the timeline"], ["+ − 0", "zoom, fit, on the timeline"],
  ["↑ ↓ PgUp PgDn", "choose an event, in the table"], ["Esc", "leave a field, close"],
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
    el("footer", {}, version, el("a", { href: "/docs", target: "_blank", rel: "noopener", text: "HTTP interface" }), el("button", { type: "button", text: "Close", autofocus: true, on: { click: () => dialog.close() } })),
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  store.watch(({ state }) => state?.version, (said) => (version.textContent = said ? `wsrec ${said}` : "wsrec"));
  const open = () => dialog.open || dialog.showModal();
  byId("open-help").addEventListener("click", open);
  return open;
}
