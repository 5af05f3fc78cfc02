// The table of events: as many rows as fit are on the page, and are filled anew as it scrolls.
//
// The rows lie in a box that sticks to the top of the scrolled element, so that fast scrolling never shows a blank:
// at worst the rows of one frame ago. `top` is how far down the table the window is, in pixels of the table.

import { byId, setText } from "./dom.js";
import { count } from "./format.js";
import { Pages } from "./pages.js";
import { chosenPlayback, isGrowing, positionNow } from "./playhead.js";
import { Row } from "./row.js";
import { barTop, isSqueezed, ROW, sizerHeight, tableTop } from "./scroll_map.js";
import { listenToTable } from "./table_input.js";

const AHEAD = 60; // rows fetched beyond the window, at both sides

/** The table. */
export class Table {
  top = 0;
  height = 0;
  selectedIndex = null;
  failed = false; // the filter is refused: nothing is asked until it changes
  #rows = [];
  #frame = 0;
  #setTop = null;

  /**
   * @param {import("./store.js").Store} store
   * @param {{onFilterError: (error: Error|null) => void}} told
   */
  constructor(store, told) {
    this.store = store;
    this.told = told;
    this.grid = byId("grid");
    this.scroller = byId("scroller");
    this.sizer = byId("sizer");
    this.box = byId("rows");
    this.pages = new Pages(store, store.value.filter, {});
    new ResizeObserver(() => this.#resize()).observe(this.scroller);
    this.scroller.addEventListener("scroll", () => this.#scrolled());
    listenToTable(this);
    byId("time-mode").addEventListener("click", () => store.set({ inUtc: !store.value.inUtc }));
    store.watch(({ filter, session }) => [filter, session], () => this.reload());
    store.watch(({ inUtc }) => inUtc, (inUtc) => {
      setText(byId("time-mode"), inUtc ? "UTC" : "elapsed");
      this.grid.classList.toggle("utc-time", inUtc);
    });
    store.watch((value) => [value.selected, value.inUtc, value.link, chosenPlayback(value)?.seq], () => this.redraw());
    store.watch(({ link, state }) => link === "live" && Boolean(state), (isHere) => {
      if (isHere) this.reload(true);
    });
  }

  /** How many rows fit, the cut ones included. */
  get fitting() {
    return Math.ceil(this.height / ROW) + 1;
  }

  /** Index of the first row that is seen whole. */
  get firstWhole() {
    return Math.ceil(this.top / ROW);
  }

  /**
   * Begin a listing anew: the filter changed, or the server came back.
   * @param {boolean} [stay] at the place where the table is
   */
  async reload(stay = false) {
    const { link, state, filter } = this.store.value;
    if (link !== "live" || !state) return;
    this.pages.close();
    const pages = new Pages(this.store, filter, { onRows: () => this.#grown(), onError: (error) => this.#failed(error) });
    pages.total = this.pages.total; // until the first answer: the bar must not jump
    this.pages = pages;
    this.selectedIndex = null;
    this.failed = false;
    byId("count").classList.add("busy");
    const anchor = stay ? { first: Math.floor(this.top / ROW) } : { at_ns: Math.max(0, positionNow(this.store.value, performance.now())) };
    const found = await pages.look(anchor, this.fitting + AHEAD, stay ? 0 : Math.floor(this.fitting / 2));
    byId("count").classList.remove("busy");
    if (!found || pages !== this.pages) return;
    this.told.onFilterError(null);
    if (!stay) this.scrollTo(found.first * ROW);
    this.redraw();
  }

  #failed(error) {
    this.failed = error.status >= 400 && error.status < 500; // anything else may pass
    byId("count").classList.remove("busy");
    this.told.onFilterError(error);
  }

  #grown() {
    this.#learnTypes();
    const { total, complete } = this.pages;
    this.sizer.style.height = `${sizerHeight(total)}px`;
    this.grid.setAttribute("aria-rowcount", String(total + 1));
    setText(byId("count"), `${count(total)}${complete ? "" : "…"}`);
    const isSettled = complete && !isGrowing(this.store.value.state);
    byId("count").setAttribute("aria-live", isSettled ? "polite" : "off"); // nobody wants to hear it count
    byId("count").title = `${total} events${complete ? "" : " so far"}`;
    byId("grid-empty").hidden = total > 0;
    const { filter, state } = this.store.value;
    const isFiltered = filter.types.length || filter.text || filter.where;
    const waiting = !isGrowing(state) ? "This session holds no events" : "Nothing recorded yet: events appear here as they come";
    setText(byId("grid-empty"), isFiltered ? (complete ? "No event passes the filter" : "Looking…") : waiting);
    this.#fit();
    this.redraw();
  }

  #learnTypes() {
    const { rareTypes } = this.store.value;
    const first = Math.floor(this.top / ROW);
    const seen = new Set(rareTypes);
    for (let index = first; index < first + this.fitting; index += 1) {
      const type = this.pages.row(index)?.type;
      if (type) seen.add(type);
    }
    if (seen.size > rareTypes.length) this.store.set({ rareTypes: [...seen].sort() });
  }

  #resize() {
    this.height = this.scroller.clientHeight;
    this.box.style.height = `${this.height}px`;
    while (this.#rows.length < this.fitting) {
      const row = new Row();
      this.#rows.push(row);
      this.box.append(row.element);
    }
    while (this.#rows.length > this.fitting) this.#rows.pop().element.remove();
    this.#fit();
    this.redraw();
  }

  #fit() {
    this.top = Math.min(this.top, Math.max(0, this.pages.total * ROW - this.height));
  }

  #scrolled() {
    const { scrollTop } = this.scroller;
    // What we set ourselves comes back rounded; where the bar is squeezed, that would move the table by rows.
    if (this.#setTop === null || Math.abs(scrollTop - this.#setTop) >= 1.5) {
      this.#setTop = null;
      this.top = tableTop(scrollTop, this.pages.total, this.height);
    }
    this.redraw();
  }

  /**
   * Scroll to a place.
   * @param {number} top CSS pixels of the table
   */
  scrollTo(top) {
    this.top = Math.max(0, Math.min(top, this.pages.total * ROW - this.height));
    this.#setTop = barTop(this.top, this.pages.total, this.height);
    this.scroller.scrollTop = this.#setTop;
    this.redraw();
  }

  /** @param {number} byPx Scroll by so much; the wheel of a squeezed table. */
  scrollBy(byPx) {
    this.scrollTo(this.top + byPx);
  }

  /** Whether the bar's pixels are not the table's. */
  get isSqueezed() {
    return isSqueezed(this.pages.total);
  }

  /**
   * Bring a row into view.
   * @param {number} index
   */
  reveal(index) {
    const top = index * ROW;
    if (top < this.top) this.scrollTo(top);
    else if (top + ROW > this.top + this.height) this.scrollTo(top + ROW - this.height);
  }

  /**
   * Select a row and show its payload.
   * @param {number} index
   */
  select(index) {
    const event = this.pages.row(index);
    if (!event) return;
    this.selectedIndex = index;
    this.grid.setAttribute("aria-activedescendant", `row-${index}`);
    this.store.set({ selected: event.seq });
  }

  /** Fill the rows at the next frame. */
  redraw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.fill();
    });
  }

  /** Fill the rows now. */
  fill() {
    const first = Math.floor(this.top / ROW);
    const { pages } = this;
    if (pages.total && !this.failed) pages.want(first - AHEAD, first + this.fitting + AHEAD);
    const { selected, inUtc } = this.store.value;
    const at = this.#playhead(first);
    this.#rows.forEach((row, offset) => {
      const index = first + offset;
      row.element.hidden = index >= pages.total;
      if (row.element.hidden) return;
      const event = pages.row(index);
      if (event && event.seq === selected) this.selectedIndex = index;
      row.show(index, index * ROW - this.top, event, {
        isSelected: Boolean(event) && event.seq === selected,
        isPlayhead: index === at.index,
        isFuture: Boolean(event) && at.isPlayed && event.elapsed_ns > at.ns,
        inUtc,
      });
    });
  }

  #playhead(first) {
    const playback = chosenPlayback(this.store.value);
    const ns = positionNow(this.store.value, performance.now());
    if (!playback) return { index: null, ns, isPlayed: false };
    // An event at the very place of a playhead that was set there is yet to come.
    const isSet = playback.seq === null;
    let index = null;
    for (let at = first; at < first + this.fitting; at += 1) {
      const event = this.pages.row(at);
      if (!event || event.elapsed_ns > ns || (isSet && event.elapsed_ns === ns)) break;
      index = at;
      if (event.seq === playback.seq && event.elapsed_ns === playback.position_ns) break; // of several at one time
    }
    const isLastSeen = index === first + this.fitting - 1;
    return { index: isLastSeen && index < this.pages.total - 1 ? null : index, ns: isSet ? ns - 1 : ns, isPlayed: true };
  }
}
