// The verbs: what a button, a key or the timeline asks of the chosen playback.

import { post } from "./api.js";
import { chosenPlayback, positionNow } from "./playhead.js";
import { getOfSession } from "./session.js";
import { say, showError } from "./toast.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, "max"];

/** What can be asked of the playback; errors become messages. */
export class Controls {
  #seeking = false;
  #nextSeek = null;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.store = store;
  }

  /** Whether there is a playback and the server is there. */
  get ready() {
    return this.store.value.link === "live" && chosenPlayback(this.store.value) !== null;
  }

  /** Whether the session is only looked at. */
  get looking() {
    return this.store.value.state?.mode === "open";
  }

  /**
   * Have a verb done and show the state that it led to at once.
   * @param {string} verb
   * @param {Object} [body]
   * @returns {Promise<boolean>} whether it was done
   */
  async ask(verb, body = {}) {
    const playback = chosenPlayback(this.store.value);
    if (!this.ready) return false;
    try {
      this.#take(await post(`/api/${verb}`, { playback: playback.name, ...body }));
      return true;
    } catch (error) {
      showError(error);
      return false;
    }
  }

  #take(playback) {
    const { state } = this.store.value;
    if (!playback?.name || !state) return;
    const playbacks = state.playbacks.map((each) => (each.name === playback.name ? playback : each));
    this.store.set({ state: { ...state, playbacks }, receivedMs: performance.now() });
  }

  /** Play or pause. */
  toggle() {
    const verbs = { playing: "pause", ended: "restart" };
    return this.ask(verbs[chosenPlayback(this.store.value)?.status] ?? "resume");
  }

  /** @param {1|-1} events One event on, or one back. */
  step(events) {
    return this.ask("step", { events });
  }

  /** @param {1|-1} way To the next faster or slower of the usual speeds. */
  changeSpeed(way) {
    const now = chosenPlayback(this.store.value)?.speed;
    const size = (speed) => (speed === "max" ? Infinity : speed);
    const next = way > 0 ? SPEEDS.find((each) => size(each) > size(now)) : SPEEDS.findLast((each) => size(each) < size(now));
    return next === undefined ? Promise.resolve(false) : this.ask("speed", { speed: next });
  }

  /**
   * Go to a place. Of many places asked for while one is being reached, only the last is gone to.
   * @param {number} ns
   */
  async seek(ns) {
    if (this.looking) {
      this.store.set({ cursorNs: ns, follow: false });
      return;
    }
    this.#nextSeek = Math.round(ns);
    if (this.#seeking) return;
    this.#seeking = true;
    while (this.#nextSeek !== null) {
      const to = this.#nextSeek;
      this.#nextSeek = null;
      await this.ask("seek", { ns: to });
    }
    this.#seeking = false;
  }

  /** @param {number} deltaS So many seconds on or back. */
  seekBy(deltaS) {
    const { state } = this.store.value;
    if (!this.looking) return this.ask("seek", { by_ns: deltaS * 1e9 });
    const ns = positionNow(this.store.value, performance.now()) + deltaS * 1e9;
    return this.seek(Math.min(Math.max(ns, state.start_ns), state.end_ns));
  }

  /**
   * Go to an event.
   * @param {{seq: number, elapsed_ns: number}} event
   */
  seekTo(event) {
    // Of several sessions each counts its events from 0: there, only a time says which is meant.
    if (this.looking || this.store.value.state.sessions.length > 1) return this.seek(event.elapsed_ns);
    return this.ask("seek", { seq: event.seq });
  }

  /** Go to the next event after the playhead that the table's filter lets through. */
  async nextMatch() {
    const { filter, link } = this.store.value;
    if (link !== "live") return;
    if (!filter.types.length && !filter.text && !filter.where) {
      say("Set a filter first: n goes to the next event that it lets through");
      return;
    }
    const atNs = positionNow(this.store.value, performance.now()) + 1;
    try {
      const query = { at_ns: atNs, rows: 1, types: filter.types.join(","), text: filter.text, where: filter.where };
      const [event] = (await getOfSession(this.store.value, "/api/events", query)).rows;
      if (!event) say("No event after the playhead passes the filter");
      else if (await this.seekTo(event) !== false) this.store.set({ selected: event.seq });
    } catch (error) {
      showError(error);
    }
  }
}
