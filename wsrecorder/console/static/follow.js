// Follow: the table goes with the playhead, or with the end of a session that is still being recorded.

import { byId } from "./dom.js";
import { chosenPlayback, isGrowing, positionNow } from "./playhead.js";
import { ROW } from "./scroll_map.js";

const EVERY_MS = 250;
const GROWS_EVERY_MS = 1_000;

/**
 * Bring the mode to life.
 * @param {import("./store.js").Store} store
 * @param {import("./table.js").Table} table
 */
export function makeFollow(store, table) {
  const button = byId("follow");
  button.addEventListener("click", () => store.set({ follow: !store.value.follow, cursorNs: null }));
  store.watch(({ follow }) => follow, (follow) => button.setAttribute("aria-pressed", String(follow)));
  store.watch(({ state }) => state?.mode, (mode) => {
    button.title = mode === "open" ? "Keep the table at the session’s end" : "Keep the table at the playhead";
  });

  let asking = false;
  let lastNs = null;
  let lastGrown = 0;

  async function step() {
    const { value } = store;
    if (asking || value.link !== "live" || !value.state || document.hidden || !table.height || table.failed) return;
    const now = performance.now();
    const grows = isGrowing(value.state) || !table.pages.complete;
    const isLooking = value.state.mode === "open";
    asking = true;
    try {
      if (value.follow && isLooking && grows) await toEnd();
      else if (value.follow && !isLooking && chosenPlayback(value)) await toPlayhead(value);
      else if (isLooking && !value.follow && value.cursorNs !== null) await toCursor(value);
      else if (grows && now - lastGrown > GROWS_EVERY_MS) {
        lastGrown = now;
        await table.pages.look({ first: Math.floor(table.top / ROW) }, table.fitting);
      }
    } finally {
      asking = false;
    }
  }

  async function toEnd() {
    const found = await table.pages.look({ first: Math.max(0, table.pages.total - table.fitting) }, 4 * table.fitting);
    if (found && store.value.follow) table.scrollTo(found.total * ROW);
  }

  async function toPlayhead(value) {
    const ns = positionNow(value, performance.now());
    if (ns === lastNs) return;
    // Two thirds down: what came is seen, and a little of what comes.
    const before = Math.floor((table.fitting * 2) / 3);
    const found = await table.pages.look({ at_ns: ns + 1 }, 2 * table.fitting, before);
    if (!found || !store.value.follow) return;
    lastNs = ns;
    table.scrollTo(found.first * ROW);
  }

  async function toCursor(value) {
    if (value.cursorNs === lastNs) return;
    lastNs = value.cursorNs;
    const found = await table.pages.look({ at_ns: value.cursorNs }, 2 * table.fitting, Math.floor(table.fitting / 3));
    if (found) table.scrollTo(found.first * ROW);
  }

  store.watch(({ follow, filter }) => [follow, filter], () => (lastNs = null));
  setInterval(step, EVERY_MS);
  return { step };
}
