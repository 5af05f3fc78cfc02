// The timeline: it fetches the density of what it shows, and says where its mouse and keys lead.
//
// Two canvases lie on each other: the density is drawn when data, size or colours change; what moves (the
// playhead, the pointer, a loop being marked) is drawn on the upper one.

import { onScheme } from "./colours.js";
import { byId, setText } from "./dom.js";
import { clock, short, utc } from "./format.js";
import { chosenPlayback, positionNow } from "./playhead.js";
import { getOfSession } from "./session.js";
import { drawDensity, drawOverlay, PADDING } from "./timeline_draw.js";
import { listenToPointer } from "./timeline_pointer.js";
import { showTip } from "./timeline_tip.js";

const PIXELS_PER_BIN = 6;
const FETCH_AFTER_MS = 80;
const GROWS_EVERY_MS = 2_000;
const SHORTEST_NS = 1_000_000;

/** The timeline of a session. */
export class Timeline {
  data = null;
  view = null; // {from, to} in ns; null is the whole session
  pointer = null; // {x, ns} where the mouse is
  dragged = null; // ns that a seek under way leads to
  brush = null; // {from, to} of a loop being marked
  #fetching = null;
  #timer = 0;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./controls.js").Controls} controls
   */
  constructor(store, controls) {
    this.store = store;
    this.controls = controls;
    this.track = byId("track");
    this.base = byId("density");
    this.overlay = byId("overlay");
    new ResizeObserver(() => this.#resize()).observe(this.track);
    onScheme(() => this.draw());
    listenToPointer(this);
    this.track.addEventListener("keydown", (event) => this.#key(event));
    byId("fit").addEventListener("click", () => this.fit());
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5, positionNow(store.value, performance.now())));
    byId("zoom-out").addEventListener("click", () => this.zoom(2, positionNow(store.value, performance.now())));
    store.watch(({ link, notesVersion, session }) => [link, notesVersion, session], () => this.fetch());
    store.watch(({ state }) => state && [state.start_ns, state.end_ns], () => this.#grown());
  }

  /** The whole session, {from, to} in ns. */
  get whole() {
    const { state } = this.store.value;
    const from = state?.start_ns ?? 0;
    return { from, to: Math.max((state?.end_ns ?? 0) + 1, from + SHORTEST_NS) }; // the last event included
  }

  /** What is shown, {from, to} in ns. */
  get shown() {
    return this.view ?? this.whole;
  }

  /** Width of the bars' area, CSS pixels. */
  get width() {
    return Math.max(1, this.track.clientWidth - 2 * PADDING);
  }

  /** @param {number} ns @returns {number} CSS pixels from the left */
  xOf(ns) {
    const { from, to } = this.shown;
    return PADDING + ((ns - from) / (to - from)) * this.width;
  }

  /** @param {number} x CSS pixels from the left @returns {number} ns, within what is shown */
  nsAt(x) {
    const { from, to } = this.shown;
    const ns = from + ((x - PADDING) / this.width) * (to - from);
    return this.inside(Math.round(ns));
  }

  /** @param {number} ns @returns {number} the same, or the first or last place of the session */
  inside(ns) {
    const { state } = this.store.value;
    return Math.min(Math.max(ns, state?.start_ns ?? 0), state?.end_ns ?? 0);
  }

  /** Show the whole session again. */
  fit() {
    this.view = null;
    this.#moved();
  }

  /**
   * Show more or less around a place.
   * @param {number} factor below 1 looks closer
   * @param {number} aroundNs the place that stays where it is
   */
  zoom(factor, aroundNs) {
    const { from, to } = this.shown;
    const around = Math.min(Math.max(aroundNs, from), to);
    const length = Math.max(SHORTEST_NS, (to - from) * factor);
    this.#show(around - ((around - from) / (to - from)) * length, length);
  }

  /** @param {number} byNs Show what lies so much later. */
  pan(byNs) {
    const { from, to } = this.shown;
    if (this.view) this.#show(from + byNs, to - from);
  }

  #show(from, length) {
    const whole = this.whole;
    if (length >= whole.to - whole.from) {
      this.fit();
      return;
    }
    const start = Math.min(Math.max(from, whole.from), whole.to - length);
    this.view = { from: start, to: start + length };
    this.#moved();
  }

  #moved() {
    this.draw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.fetch(), FETCH_AFTER_MS);
  }

  #grown() {
    const known = this.data && !this.view && this.data.to_ns >= this.whole.to;
    if (known || this.#timer) return;
    // A session that grows is asked about now and then, not at every event.
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.fetch();
    }, this.data ? GROWS_EVERY_MS : 0);
  }

  /** Fetch the density of what is shown and draw it. */
  async fetch() {
    this.#timer = 0;
    const { state, link } = this.store.value;
    if (!state || link !== "live" || !this.track.clientWidth) return;
    this.#fetching?.abort();
    this.#fetching = new AbortController();
    const { from, to } = this.shown;
    const query = { from_ns: Math.floor(from), to_ns: Math.ceil(to), bins: Math.max(20, Math.floor(this.width / PIXELS_PER_BIN)) };
    try {
      this.data = await getOfSession(this.store.value, "/api/density", query, this.#fetching.signal);
      const types = this.data.types.map(({ type, counts }) => ({ type, total: counts.reduce((sum, each) => sum + each, 0) }));
      // The legend and the filter show the types of the whole session, however close one looks.
      if (!this.view) this.store.set({ types, rareTypes: this.data.names });
      this.#say(this.data.types.length ? "" : "No events here");
      this.draw();
    } catch (error) {
      if (error.name !== "AbortError") this.#say(`${error.message}\n${error.hint ?? ""}`);
    }
  }

  #say(text) {
    byId("timeline-empty").hidden = !text;
    setText(byId("timeline-empty"), text);
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    for (const canvas of [this.base, this.overlay]) {
      canvas.width = Math.round(this.track.clientWidth * ratio);
      canvas.height = Math.round(this.track.clientHeight * ratio);
    }
    this.#moved();
  }

  /** Draw everything. */
  draw() {
    const most = drawDensity(this);
    if (this.data) {
      setText(byId("scale"), most ? `peak ${short(most / (this.data.bin_ns / 1e9))}/s` : "");
    }
    this.drawMoving(true);
  }

  #drawn = "";

  /**
   * Draw what moves, if it moved.
   * @param {boolean} [always]
   */
  drawMoving(always = false) {
    const { value } = this.store;
    const positionNs = this.dragged ?? positionNow(value, performance.now());
    const loop = this.brush ?? this.loop;
    const key = [Math.round(this.xOf(positionNs) * 2), loop?.from, loop?.to, loop?.on, this.pointer?.x].join();
    if (!always && key === this.#drawn) return;
    this.#drawn = key;
    drawOverlay(this, { positionNs, loop });
    showTip(this);
  }

  /** The loop that is played, or was marked last: {from, to, on} or null. */
  get loop() {
    const { value } = this.store;
    const loop = chosenPlayback(value)?.loop;
    return loop ? { from: loop[0], to: loop[1], on: true } : value.mark && { ...value.mark, on: false };
  }

  /**
   * Tell people who do not see the canvas where the playhead stands.
   * @param {number} positionNs
   */
  announce(positionNs) {
    const { state } = this.store.value;
    const [from, to] = [state?.start_ns ?? 0, state?.end_ns ?? 0];
    this.track.setAttribute("aria-valuemin", String(Math.floor(from / 1e9)));
    this.track.setAttribute("aria-valuemax", String(Math.ceil(to / 1e9)));
    this.track.setAttribute("aria-valuenow", String(Math.round(positionNs / 1e6) / 1e3));
    const spoken = `${clock(positionNs, 1)} of ${clock(to, 1)}, ${utc(state?.began_at, positionNs)} UTC`;
    this.track.setAttribute("aria-valuetext", spoken);
  }

  #key(event) {
    const { from, to } = this.shown;
    const now = this.dragged ?? positionNow(this.store.value, performance.now());
    const seek = (ns) => this.controls.seek(this.inside(ns));
    const step = ((to - from) / 100) * (event.shiftKey ? 10 : 1);
    const moves = {
      ArrowLeft: () => seek(now - step), ArrowRight: () => seek(now + step),
      PageDown: () => seek(now - 10 * step), PageUp: () => seek(now + 10 * step),
      Home: () => seek(this.whole.from), End: () => seek(this.whole.to),
      "+": () => this.zoom(0.5, now), "=": () => this.zoom(0.5, now), "-": () => this.zoom(2, now), 0: () => this.fit(),
      Escape: () => this.store.set({ mark: null }),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves)) return;
    event.preventDefault();
    moves[event.key]();
  }
}
