// A colour for each type, the same on every page and in every session for the types of a trading engine.

const KNOWN = {
  HEARTBEAT: 0, ENGINE_UPDATE: 1, FSM_TRANSITION: 3, SCAN_RESULT: 8, SIGNAL: 7,
  ORDER_PLACED: 9, ORDER_UPDATED: 2, ORDER_UPDATE: 2, ORDER_CANCELED: 13,
  POSITION_OPEN: 6, POSITION_UPDATE: 5, POSITION_CLOSE: 4, STOP_MOVED: 12, TAKE_PROFIT: 10, KILL_SWITCH: 11, ERROR: 11,
};
const FREE = [1, 7, 4, 8, 9, 3, 12, 10, 2, 5, 13, 6];
const given = new Map();

function hash(text) {
  let found = 2166136261;
  for (const char of text) found = Math.imul(found ^ char.codePointAt(0), 16777619);
  return found >>> 0;
}

/**
 * Return the CSS variable of a type's colour.
 * @param {string} type
 * @returns {string} such as `--t4`
 */
export function colourName(type) {
  if (type === "other") return "--other";
  if (type in KNOWN) return `--t${KNOWN[type]}`;
  if (!given.has(type)) {
    // By its name, so that it stays the same; the next free one where another unknown type has that colour.
    const start = hash(type) % FREE.length;
    const taken = new Set(given.values());
    const free = FREE.map((_, step) => FREE[(start + step) % FREE.length]).find((colour) => !taken.has(colour));
    given.set(type, free ?? FREE[start]);
  }
  return `--t${given.get(type)}`;
}

/**
 * Return the colours in force, by the names of their CSS variables.
 * @param {string[]} names
 * @returns {Object<string, string>}
 */
export function colours(names) {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(name).trim()]));
}

/**
 * Call something whenever the system changes between light and dark.
 * @param {() => void} redraw
 */
export function onScheme(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
