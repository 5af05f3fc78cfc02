// Follow: the table goes with the playhead, or with the end of a session that is still being recorded.
//
// Where the playhead is, the server tells once; from there on the rows that are here tell it, at every frame, until
// the playhead leaves them: by a seek, or because it is faster than rows can come.

import { byId } from "./dom.js";
import { chosenPlayback, isGrowing, positionNow } from "./playhead.js";
import { ROW } from "./scroll_map.js";

const EVERY_MS = 250;
const GROWS_EVERY_MS = 1_000;
const MOST_STEPS = 1_000; // rows in a frame; whoever is faster is asked about again

/**
 * Bring the mode to life.
 * @param {import("./store.js").Store} store
 * @param {import("./table.js").Table} table
 * @returns {{tick: (positionNs: number) => void}} `tick` is called when the playhead has moved
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
  let at = null; // {pages, index, ns}: the last row before the playhead
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
      else if (value.follow && !isLooking && chosenPlayback(value)) {
        if (!goOn(positionNow(value, now))) await toPlayhead(value);
      }
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
    at = { pages: table.pages, index: found.first + Math.min(before, found.rows.length) - 1, ns };
    table.scrollTo(found.first * ROW);
  }

  /** Go as far as the rows tell that are here; return whether they do. */
  function goOn(ns) {
    if (at === null || at.pages !== table.pages || ns < at.ns) return false;
    let { index } = at;
    for (const last = index + MOST_STEPS; index < last; index += 1) {
      const next = table.pages.row(index + 1);
      if (!next && index + 1 < table.pages.total) return false;
      if (!next || next.elapsed_ns > ns) break;
    }
    if (index !== at.index) table.scrollTo((index + 1 - Math.floor((table.fitting * 2) / 3)) * ROW);
    at = { ...at, index, ns };
    return true;
  }

  async function toCursor(value) {
    if (value.cursorNs === lastNs) return;
    lastNs = value.cursorNs;
    const found = await table.pages.look({ at_ns: value.cursorNs }, 2 * table.fitting, Math.floor(table.fitting / 3));
    if (found) table.scrollTo(found.first * ROW);
  }

  store.watch(({ follow, filter, session }) => [follow, filter, session], () => (lastNs = at = null));
  setInterval(step, EVERY_MS);
  return {
    tick(positionNs) {
      const { follow, state } = store.value;
      if (follow && state?.mode === "replay") goOn(positionNs);
    },
  };
}
