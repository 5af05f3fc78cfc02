// The table's mouse and keys.

import { ROW } from "./scroll_map.js";

/**
 * Listen to a table's mouse and keys.
 * @param {import("./table.js").Table} table
 */
export function listenToTable(table) {
  const { grid, scroller, box, store } = table;
  const stopFollowing = () => {
    if (store.value.follow) store.set({ follow: false });
  };

  box.addEventListener("click", (event) => {
    const element = event.target.closest(".row");
    if (!element) return;
    stopFollowing();
    table.select(Number(element.id.slice("row-".length)));
  });

  scroller.addEventListener("wheel", (event) => {
    // A replay goes on below the window too; a session that is only looked at has its end there.
    if (event.deltaY < 0 || store.value.state?.mode !== "open") stopFollowing();
    if (!table.isSqueezed || event.ctrlKey) return;
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? ROW : event.deltaMode === WheelEvent.DOM_DELTA_PAGE ? table.height : 1;
    table.scrollBy(event.deltaY * unit);
  }, { passive: false });

  // A press on the scroll bar: from here on, the hand leads.
  scroller.addEventListener("pointerdown", (event) => {
    if (event.target === scroller) stopFollowing();
  });

  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid && event.target !== scroller) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = table.pages.total - 1;
    const page = Math.max(1, Math.floor(table.height / ROW) - 1);
    const at = table.selectedIndex;
    const moves = {
      ArrowDown: () => (at === null ? table.firstWhole : at + 1), ArrowUp: () => (at === null ? table.firstWhole : at - 1),
      PageDown: () => (at ?? table.firstWhole) + page, PageUp: () => (at ?? table.firstWhole) - page, Home: () => 0, End: () => last,
    };
    if (!(event.key in moves) || last < 0) return;
    event.preventDefault();
    stopFollowing();
    const index = Math.min(Math.max(moves[event.key](), 0), last);
    table.selectedIndex = index;
    table.reveal(index);
    if (table.pages.row(index)) table.select(index);
    else table.pages.look({ first: Math.max(0, index - page) }, 3 * page).then(() => table.selectedIndex === index && table.select(index));
  });
}
