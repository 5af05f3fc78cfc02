// The panels at the side: one is seen at a time, and only that one asks the server for anything.

import { byId, el } from "./dom.js";
import { showError } from "./toast.js";

/**
 * @typedef {Object} Panel
 * @property {string} name
 * @property {string} title
 * @property {HTMLElement} root
 * @property {boolean} [ofReplay] left out where a session is only looked at
 * @property {() => Promise<void>} [refresh] fetch and show what is true now
 * @property {number} [everyMs] how often `refresh` is called while the panel is seen; without it, once
 */

/**
 * Show panels as tabs.
 * @param {import("./store.js").Store} store
 * @param {Panel[]} panels
 */
export function makeTabs(store, panels) {
  const tabs = panels.map(({ name, title }) => el("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, text: title, on: { click: () => store.set({ panel: name }) },
  }));
  byId("tabs").append(...tabs);
  for (const { name, root } of panels) {
    root.id = `panel-${name}`;
    root.setAttribute("role", "tabpanel");
    root.setAttribute("aria-labelledby", `tab-${name}`);
    byId("panels").append(root);
  }
  byId("tabs").addEventListener("keydown", (event) => {
    const seen = tabs.filter(({ hidden }) => !hidden);
    const place = seen.indexOf(event.target);
    const to = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: seen.length - 1 }[event.key];
    if (place < 0 || to === undefined) return;
    event.preventDefault();
    const next = seen[(to + seen.length) % seen.length];
    next.focus();
    store.set({ panel: panels[tabs.indexOf(next)].name });
  });

  let timer = 0;
  let running = null;
  async function refresh(panel) {
    clearTimeout(timer);
    if (store.value.panel !== panel.name || !panel.refresh) return;
    if (running !== panel && store.value.link === "live" && store.value.state && !document.hidden) {
      running = panel;
      await panel.refresh().catch((error) => error.status !== 0 && showError(error));
      running = null;
    }
    if (panel.everyMs && store.value.panel === panel.name) {
      clearTimeout(timer);
      timer = setTimeout(() => refresh(panel), panel.everyMs);
    }
  }
  store.watch(({ panel, link, state }) => [panel, link, state?.mode], ([chosen, , mode]) => {
    panels.forEach(({ name, root, ofReplay }, index) => {
      const isChosen = name === chosen;
      tabs[index].hidden = Boolean(ofReplay) && mode === "open";
      root.hidden = !isChosen;
      tabs[index].setAttribute("aria-selected", String(isChosen));
      tabs[index].tabIndex = isChosen ? 0 : -1;
    });
    refresh(panels.find(({ name }) => name === chosen));
  });
}
