// What the page knows, in one place: whoever changes it calls set, whoever shows it subscribes to a part.

/** @typedef {{types: string[], text: string, where: string}} Filter */

export class Store {
  #listeners = new Set();

  /** @param {Object<string, *>} value What is known at first. */
  constructor(value) {
    this.value = value;
  }

  /**
   * Take changes over, then tell all who watch.
   * @param {Object<string, *>} changes
   */
  set(changes) {
    this.value = { ...this.value, ...changes };
    for (const listener of [...this.#listeners]) listener(this.value);
  }

  /**
   * Call `show` with a part now and whenever it differs from before (as JSON, if it is an object).
   * @template T
   * @param {(value: Object<string, *>) => T} pick
   * @param {(part: T) => void} show
   */
  watch(pick, show) {
    let before;
    const listener = (value) => {
      const part = pick(value);
      const key = part !== null && typeof part === "object" ? JSON.stringify(part) : part;
      if (key === before) return;
      before = key;
      show(part);
    };
    this.#listeners.add(listener);
    listener(this.value);
  }
}
