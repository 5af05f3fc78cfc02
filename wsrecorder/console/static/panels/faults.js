// Faults done to the clients on purpose: does the frontend survive?

import { get, post } from "../api.js";
import { el } from "../dom.js";
import { count } from "../format.js";
import { showError } from "../toast.js";

const EVERY_MS = 1_000;
const KINDS = {
  drop: ["1%", "leaves out that share of frames"],
  delay: ["50ms±20ms", "sends later, in the same order"],
  duplicate: ["1%", "sends that share of frames twice"],
  reorder: ["1%", "swaps that share of frames with the next"],
  corrupt: ["0.1%", "breaks that share of payloads"],
  disconnect: ["30s", "closes connections every so often; a close code may follow: 30s:1006"],
  freeze: ["10s", "sends nothing for so long, then all at once; how often may follow: 10s/60s"],
  refuse: ["5s", "refuses connections for so long after a disconnect"],
  recorded: ["", "does again the gaps and closes of the recording"],
};

/**
 * Make the panel.
 * @param {import("../store.js").Store} store
 * @returns {import("../tabs.js").Panel}
 */
export function makeFaultsPanel(store) {
  const kind = el("select", { id: "fault-kind" }, ...Object.keys(KINDS).map((name) => el("option", { value: name, text: name })));
  const value = el("input", { type: "text", id: "fault-value", autocomplete: "off", spellcheck: "false" });
  const types = el("input", { type: "text", id: "fault-types", placeholder: "all", autocomplete: "off", spellcheck: "false", list: "fault-type-list" });
  const known = el("datalist", { id: "fault-type-list" });
  const hint = el("p", { class: "hint" });
  const form = el("form", { "aria-label": "Add a fault" },
    el("label", {}, "Fault", kind), el("label", {}, "Value", value), el("label", {}, "Types", types), known,
    el("button", { class: "primary", type: "submit", text: "Add" }), hint);
  const list = el("ul", { class: "items", "aria-label": "Active faults" });
  const root = el("div", { class: "panel" },
    el("p", { class: "lead", text: "Done to every client until taken away. What was done is counted, and stands in the report." }),
    list, el("fieldset", { class: "live" }, form));
  let active = [];
  let shown = "";

  function choose() {
    const [usual, words] = KINDS[kind.value];
    value.value = usual;
    value.disabled = usual === "";
    hint.textContent = `${kind.value}: ${words}`;
  }

  function show({ faults, counts }) {
    active = faults;
    const key = JSON.stringify([faults, counts]);
    if (key === shown) return;
    shown = key;
    const rows = faults.map((fault) => {
      const done = counts?.[fault] ?? counts?.[/^\w+/.exec(fault)?.[0]];
      return el("li", {}, el("code", { class: "what", text: fault }), el("small", { text: done === undefined ? "" : `${amount(done)} so far` }),
        el("button", { class: "small", type: "button", text: "Remove", "aria-label": `Remove ${fault}`, on: { click: () => set(without(fault)) } }));
    });
    list.replaceChildren(...(rows.length ? rows : [el("p", { class: "empty", text: "No faults: frames go out as they were recorded" })]));
  }

  function without(fault) {
    const left = active.filter((each) => each !== fault);
    // To refuse is what comes after a disconnect: it goes with the last of them, for alone it would be an error.
    return left.some((each) => each.startsWith("disconnect=")) ? left : left.filter((each) => !each.startsWith("refuse="));
  }

  async function set(faults) {
    try {
      show(await post("/api/faults", { faults }));
      return true;
    } catch (error) {
      showError(error);
      return false;
    }
  }

  kind.addEventListener("change", choose);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = value.disabled || !value.value.trim() ? kind.value : `${kind.value}=${value.value.trim()}`;
    const only = types.value.trim() ? `@${types.value.split(/[\s,]+/).filter(Boolean).join(",")}` : "";
    if (await set([...active, said + only])) types.value = "";
  });
  choose();
  store.watch(({ types: all }) => all.map(({ type }) => type), (all) => known.replaceChildren(...all.filter((type) => type !== "other" && type !== "(none)").map((type) => el("option", { value: type }))));
  return { name: "faults", title: "Faults", ofReplay: true, root, everyMs: EVERY_MS, refresh: async () => show(await get("/api/faults")) };
}

function amount(done) {
  return typeof done === "number" ? count(done) : Object.entries(done).map(([name, number]) => `${name} ${number}`).join(", ");
}
