// The rows of a listing, fetched in chunks as they come into view and forgotten when they have not been seen for long.
//
// Scrolling fast passes many chunks: a request begins only when the view rests for a moment or nothing is under
// way, at most two are under way at once, and those for chunks out of view are aborted.

import { getOfSession } from "./session.js";

const CHUNK = 200;
const MOST_CHUNKS = 80;
const MOST_REQUESTS = 2;
const REST_MS = 40;

/** A window on a listing of events that may have millions of rows. */
export class Pages {
  total = 0;
  complete = true;
  #chunks = new Map(); // number -> rows, the least recently used first
  #requests = new Map(); // number -> AbortController
  #wanted = { from: 0, to: 0 };
  #timer = 0;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./store.js").Filter} filter
   * @param {{onRows: () => void, onError: (error: Error) => void}} told
   */
  constructor(store, filter, told) {
    this.store = store;
    this.query = { types: filter.types.join(","), text: filter.text, where: filter.where };
    this.told = told;
    this.closed = false;
  }

  /**
   * Return a row, or undefined while it is not here.
   * @param {number} index
   * @returns {Object|undefined}
   */
  row(index) {
    return this.#chunks.get(Math.floor(index / CHUNK))?.[index % CHUNK];
  }

  /**
   * Make sure that rows are here, or on their way.
   * @param {number} from index of the first
   * @param {number} to index after the last
   */
  want(from, to) {
    this.#wanted = { from: Math.max(0, from), to: Math.min(to, this.total) };
    for (const [number, request] of this.#requests) if (!this.#isWanted(number)) request.abort();
    if (!this.#timer) {
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        this.#fetchMissing();
      }, REST_MS);
    }
  }

  #isWanted(number) {
    return number * CHUNK < this.#wanted.to && (number + 1) * CHUNK > this.#wanted.from;
  }

  #fetchMissing() {
    const { from, to } = this.#wanted;
    for (let number = Math.floor(from / CHUNK); number * CHUNK < to; number += 1) {
      if (this.#requests.size >= MOST_REQUESTS) return; // the one that ends first looks again
      const first = Math.max(from, number * CHUNK);
      const last = Math.min(to, (number + 1) * CHUNK);
      let missing = false;
      for (let index = first; index < last && !missing; index += 1) missing = this.row(index) === undefined;
      if (missing && !this.#requests.has(number)) this.#fetch(number);
    }
  }

  async #fetch(number) {
    const request = new AbortController();
    this.#requests.set(number, request);
    let failed = false;
    try {
      this.take(await getOfSession(this.store.value, "/api/events", { ...this.query, first: number * CHUNK, rows: CHUNK }, request.signal));
    } catch (error) {
      failed = error.name !== "AbortError";
      if (failed && !this.closed) this.told.onError(error);
    }
    this.#requests.delete(number);
    if (!failed && !this.closed) this.#fetchMissing();
  }

  /**
   * Ask how many rows there are now, and have those around a place.
   * @param {Object} place `{first}`, `{at_ns}` or `{at_seq}`
   * @param {number} rows
   * @param {number} [before] rows before the place
   * @returns {Promise<{first: number, rows: Object[]}|null>} null when the listing was closed or could not be had
   */
  async look(place, rows, before = 0) {
    try {
      const found = await getOfSession(this.store.value, "/api/events", { ...this.query, ...place, rows, before });
      if (this.closed) return null;
      this.take(found);
      return found;
    } catch (error) {
      if (!this.closed) this.told.onError(error);
      return null;
    }
  }

  /** @param {{total: number, first: number, complete: boolean, rows: Object[]}} answer Take rows in. */
  take({ total, first, complete, rows }) {
    if (this.closed) return;
    this.total = total;
    this.complete = complete;
    rows.forEach((row, offset) => {
      const index = first + offset;
      const number = Math.floor(index / CHUNK);
      let chunk = this.#chunks.get(number);
      if (!chunk) this.#chunks.set(number, (chunk = new Array(CHUNK)));
      chunk[index % CHUNK] = row;
    });
    const touched = new Set(rows.map((_, offset) => Math.floor((first + offset) / CHUNK)));
    for (const number of touched) {
      const chunk = this.#chunks.get(number);
      this.#chunks.delete(number);
      this.#chunks.set(number, chunk);
    }
    for (const number of this.#chunks.keys()) {
      if (this.#chunks.size <= MOST_CHUNKS) break;
      if (!this.#isWanted(number)) this.#chunks.delete(number);
    }
    this.told.onRows();
  }

  /** Abort what is under way; nothing is told any more. */
  close() {
    this.closed = true;
    clearTimeout(this.#timer);
    for (const request of this.#requests.values()) request.abort();
  }
}
