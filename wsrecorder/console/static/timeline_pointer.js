// The pointer on the timeline: drag seeks, shift-drag (or the mode "mark") marks a loop, the wheel looks closer.

import { byId } from "./dom.js";
import { TIMES } from "./timeline_draw.js";

const DOUBLE_MS = 260;
const MOVED_PX = 4;
const EDGE_PX = 4;

/**
 * Listen to the pointer on a timeline.
 * @param {import("./timeline.js").Timeline} timeline
 */
export function listenToPointer(timeline) {
  const { track, store, controls } = timeline;
  let drag = null; // {kind: "seek" | "brush" | "pan", x, ns}
  let click = 0; // timer of a click that may become a double click

  const at = (event) => {
    const x = event.clientX - track.getBoundingClientRect().left;
    return { x, ns: timeline.nsAt(x) };
  };
  const onTimes = (event) => event.clientY > track.getBoundingClientRect().bottom - TIMES;
  // An edge of the loop that is near: it is dragged from the other one.
  const edgeNear = (x) => {
    const loop = timeline.loop;
    if (!loop) return null;
    const [a, b] = [Math.abs(timeline.xOf(loop.from) - x), Math.abs(timeline.xOf(loop.to) - x)];
    if (Math.min(a, b) > EDGE_PX) return null;
    return a < b ? loop.to : loop.from;
  };
  const marking = (event) => event.shiftKey || byId("brush").getAttribute("aria-pressed") === "true";

  track.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    if (event.button === 1) event.preventDefault(); // no automatic scrolling
    if (click) {
      clearTimeout(click);
      click = 0;
      timeline.dragged = null;
      timeline.fit();
      return;
    }
    track.setPointerCapture(event.pointerId);
    const place = at(event);
    const pans = event.button === 1 || (onTimes(event) && timeline.view !== null);
    const edge = pans ? null : edgeNear(place.x);
    drag = { kind: pans ? "pan" : marking(event) || edge !== null ? "brush" : "seek", ...place, ns: edge ?? place.ns };
    if (drag.kind === "seek" && (controls.ready || controls.looking)) timeline.dragged = place.ns;
    timeline.drawMoving();
  });

  track.addEventListener("pointermove", (event) => {
    const place = at(event);
    timeline.pointer = { ...place };
    if (!drag) track.style.cursor = edgeNear(place.x) !== null ? "ew-resize" : onTimes(event) && timeline.view ? "grab" : "";
    if (drag?.kind === "seek" && timeline.dragged !== null) timeline.dragged = place.ns;
    if (drag?.kind === "brush") {
      timeline.brush = { from: Math.min(drag.ns, place.ns), to: Math.max(drag.ns, place.ns), on: false };
    }
    if (drag?.kind === "pan") {
      const { from, to } = timeline.shown;
      timeline.pan(((drag.x - place.x) / timeline.width) * (to - from));
      drag.x = place.x;
    }
    timeline.drawMoving();
  });

  track.addEventListener("pointerup", (event) => {
    const done = drag;
    const { x, ns } = at(event);
    drag = null;
    if (done?.kind === "brush") {
      timeline.brush = null;
      if (Math.abs(x - done.x) > MOVED_PX) {
        const mark = { from: Math.min(done.ns, ns), to: Math.max(done.ns, ns) };
        store.set({ mark });
        controls.ask("loop", { from_ns: mark.from, to_ns: mark.to });
      }
      byId("brush").setAttribute("aria-pressed", "false");
    }
    if (done?.kind === "seek" && timeline.dragged !== null) {
      const seek = async () => {
        click = 0;
        await controls.seek(ns);
        timeline.dragged = null;
        timeline.drawMoving();
      };
      // A click waits a moment: were it the first half of a double click, clients would be sent about for nothing.
      if (Math.abs(x - done.x) > MOVED_PX) seek();
      else click = setTimeout(seek, DOUBLE_MS);
    }
    timeline.drawMoving();
  });

  track.addEventListener("pointercancel", () => {
    drag = null;
    timeline.dragged = timeline.brush = null;
    timeline.drawMoving();
  });
  track.addEventListener("pointerleave", () => {
    timeline.pointer = null;
    timeline.drawMoving();
  });
  track.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !drag) return;
    drag = null;
    timeline.dragged = timeline.brush = null;
    timeline.drawMoving();
  });
  track.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { from, to } = timeline.shown;
    const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
    if (Math.abs(sideways) > Math.abs(event.deltaY) || event.shiftKey) timeline.pan((sideways / timeline.width) * (to - from));
    else timeline.zoom(Math.exp(Math.min(Math.max(event.deltaY, -240), 240) / 320), at(event).ns);
  }, { passive: false });

  const brush = byId("brush");
  brush.addEventListener("click", () => brush.setAttribute("aria-pressed", String(brush.getAttribute("aria-pressed") !== "true")));
}
