// What the pointer on the timeline is over: the time, the events of that moment by type, gaps and notes.

import { colourName } from "./colours.js";
import { byId, el } from "./dom.js";
import { clock, count, utc } from "./format.js";

const NEAR_PX = 6;
const MOST_TYPES = 8;
let shown = "";

/**
 * Show or hide the tip.
 * @param {import("./timeline.js").Timeline} timeline
 */
export function showTip(timeline) {
  const tip = byId("tip");
  const { pointer, data } = timeline;
  const key = pointer && data ? `${Math.round(pointer.x)} ${data.from_ns} ${data.to_ns}` : "";
  if (key === shown) return;
  shown = key;
  tip.hidden = !key;
  if (!key) return;
  tip.replaceChildren(...lines(timeline));
  const width = tip.offsetWidth;
  const left = pointer.x + 14 + width > timeline.track.clientWidth ? pointer.x - 14 - width : pointer.x + 14;
  tip.style.left = `${Math.max(2, left)}px`;
}

function* lines(timeline) {
  const { pointer, data, store } = timeline;
  yield el("div", {}, el("b", { text: clock(pointer.ns) }), el("span", { text: utc(store.value.state?.began_at, pointer.ns).slice(11) }));
  const bin = Math.floor((pointer.ns - data.from_ns) / data.bin_ns);
  const here = data.types.map(({ type, counts }) => [type, counts[bin] ?? 0]).filter(([, found]) => found > 0);
  here.sort((one, other) => other[1] - one[1]);
  for (const [type, found] of here.slice(0, MOST_TYPES)) {
    const dot = el("span", { class: "dot" });
    dot.style.setProperty("--dot", `var(${colourName(type)})`);
    yield el("div", {}, dot, el("span", { text: type }), el("span", { text: count(found) }));
  }
  if (here.length > MOST_TYPES) yield el("div", { text: `and ${here.length - MOST_TYPES} more types` });
  const gap = data.gaps.find(({ from_ns, to_ns }) => pointer.ns >= from_ns && pointer.ns <= to_ns);
  if (gap) yield el("div", { class: "note", text: `gap of ${clock(gap.to_ns - gap.from_ns)}: ${gap.cause ?? "unknown"}` });
  const nearNs = (NEAR_PX / timeline.width) * (timeline.shown.to - timeline.shown.from);
  for (const note of data.notes.filter(({ elapsed_ns }) => Math.abs(elapsed_ns - pointer.ns) < nearNs)) {
    yield el("div", { class: "note", text: `⚑ ${note.text}` });
  }
}
