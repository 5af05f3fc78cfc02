// The line between table and panels: drag it, or move it by keys.

import { byId } from "./dom.js";

const [LEAST, MOST, STEP] = [300, 900, 20];

/** Bring the line to life. The width is remembered by the browser. */
export function makeSplitter() {
  const [line, work] = [byId("splitter"), byId("work")];
  let width = Number(localStorage.getItem("wsrec.side")) || 430;

  function set(wanted) {
    const most = Math.min(MOST, work.clientWidth - 480);
    width = Math.round(Math.min(Math.max(wanted, LEAST), most));
    work.style.setProperty("--side", `${width}px`);
    line.setAttribute("aria-valuenow", String(width));
    localStorage.setItem("wsrec.side", String(width));
  }

  line.addEventListener("pointerdown", (event) => {
    line.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  line.addEventListener("pointermove", (event) => {
    if (line.hasPointerCapture(event.pointerId)) set(work.getBoundingClientRect().right - event.clientX - 4);
  });
  line.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: STEP, ArrowRight: -STEP }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    set(width + by);
  });
  line.addEventListener("dblclick", () => set(430));
  if (width !== 430) set(width);
}
