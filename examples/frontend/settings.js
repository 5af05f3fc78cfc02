/**
 * What the page's address asks for: `?ws=ws://localhost:8000/ws/&delay=0.05&retry=fixed&sockets=2`.
 *
 * A project built by Vite or Next reads `ws` from its environment instead; docs/frontend.md has the line.
 */

const DEFAULT_URL = "ws://localhost:8000/ws/";
const LONGEST = 30; // of the first delay: 1, 2, 4 … 30 s

/**
 * @param {string} query The page's `location.search`.
 * @returns {{url: string, delayMs: number, longestMs: number, isFixed: boolean, sockets: number}}
 */
export function readSettings(query) {
  const asked = new URLSearchParams(query);
  const isFixed = asked.get("retry") === "fixed";
  const delayMs = 1000 * positive(asked.get("delay"), isFixed ? 5 : 1);
  return {
    url: asked.get("ws") || DEFAULT_URL,
    delayMs,
    longestMs: isFixed ? delayMs : LONGEST * delayMs,
    isFixed,
    sockets: asked.get("sockets") === "2" ? 2 : 1,
  };
}

function positive(text, otherwise) {
  const number = Number(text);
  return text !== null && Number.isFinite(number) && number > 0 ? number : otherwise;
}
