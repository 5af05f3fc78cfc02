// The keyboard, as in the terminal.

import { byId, isTyping } from "./dom.js";

/**
 * Listen to the keys of the page.
 * @param {import("./controls.js").Controls} controls
 * @param {() => void} openHelp
 */
export function listenToKeys(controls, openHelp) {
  const verbs = {
    " ": () => controls.toggle(),
    ArrowLeft: () => controls.step(-1),
    ArrowRight: () => controls.step(1),
    ArrowUp: () => controls.changeSpeed(1),
    ArrowDown: () => controls.changeSpeed(-1),
    "[": () => controls.seekBy(-10),
    "]": () => controls.seekBy(10),
    n: () => controls.nextMatch(),
    r: () => controls.ask("restart"),
    f: () => byId("follow").click(),
    "/": () => byId("text").focus(),
    "?": openHelp,
  };
  // A button that was clicked lets go of the keyboard: the next space is meant for the playback.
  document.addEventListener("click", (event) => {
    if (event.detail > 0 && !byId("help").open) event.target.closest("button")?.blur();
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (isTyping(event.target) || !(event.key in verbs)) return;
    // Space and Enter are a button's own, unless it is a button of the transport, which space would press twice.
    if (event.key === " " && event.target.closest?.("button, [role=tab], input, [role=treeitem]")) return;
    if (event.key.startsWith("Arrow") && event.target.closest?.("[role=tablist], [role=separator], .payload, .panel")) return;
    event.preventDefault();
    verbs[event.key]();
  });
}
