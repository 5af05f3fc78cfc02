// Messages at the edge of the page: an error with its hint stays until it is dismissed, a word of success goes by itself.

import { byId, el } from "./dom.js";

const MOST = 4;
const INFO_MS = 3_500;

/**
 * Show an error: its message and its hint.
 * @param {Error & {hint?: string}} error
 */
export function showError(error) {
  if (error.name === "AbortError") return;
  add("toast", error.message, error.hint ?? "");
}

/**
 * Say that something was done.
 * @param {string} message
 */
export function say(message) {
  const toast = add("toast info", message, "");
  setTimeout(() => toast.remove(), INFO_MS);
}

function add(kind, message, hint) {
  const all = byId("toasts");
  // The same thing twice is said once.
  for (const other of [...all.children]) if (other.dataset.message === message) other.remove();
  const close = el("button", { type: "button", "aria-label": "Dismiss", text: "✕", on: { click: () => toast.remove() } });
  const toast = el("div", { class: kind, "data-message": message }, el("p", { text: message }), close, el("small", { text: hint }));
  all.append(toast);
  while (all.children.length > MOST) all.firstElementChild.remove();
  return toast;
}
