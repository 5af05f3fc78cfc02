// Drawing the timeline: bars stacked by type, gaps hatched, marks above them, time below.

import { colourName, colours } from "./colours.js";
import { clock } from "./format.js";

/** Empty space at both sides, CSS pixels. */
export const PADDING = 10;
/** Height of the line of marks and of the line of times, CSS pixels. */
export const MARKS = 14;
export const TIMES = 18;

const STEPS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

function begin(canvas) {
  const ratio = devicePixelRatio || 1;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  return { context, width: canvas.width / ratio, height: canvas.height / ratio };
}

/**
 * Draw what stands still.
 * @param {import("./timeline.js").Timeline} timeline
 * @returns {number} events in the fullest bin that is shown
 */
export function drawDensity(timeline) {
  const { context, width, height } = begin(timeline.base);
  const found = colours(["--soft", "--line", "--grid", "--bad", "--warn", "--good"]);
  drawTimes(context, timeline, width, height, found);
  const { data } = timeline;
  if (!data) return 0;
  for (const gap of data.gaps) drawGap(context, timeline, gap, height, found["--bad"]);
  const most = drawBars(context, timeline, height);
  drawMarks(context, timeline, found);
  drawOverview(context, timeline, height, found);
  return most;
}

function drawTimes(context, timeline, width, height, found) {
  const { from, to } = timeline.shown;
  const wanted = (to - from) / 1e9 / Math.max(2, width / 110);
  const stepS = STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 86400) * 86400;
  const decimals = stepS >= 1 ? 0 : Math.ceil(-Math.log10(stepS));
  context.font = "10.5px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "center";
  for (let s = Math.ceil(from / 1e9 / stepS) * stepS; s <= to / 1e9; s += stepS) {
    const x = Math.round(timeline.xOf(s * 1e9)) + 0.5;
    context.fillStyle = found["--grid"];
    context.fillRect(x - 0.5, MARKS, 1, height - MARKS - TIMES);
    context.fillStyle = found["--soft"];
    const text = clock(Math.round(s * 1e9), decimals);
    const half = context.measureText(text).width / 2 + 2;
    context.fillText(text, Math.min(Math.max(x, half), width - half), height - TIMES / 2 - 1);
  }
  context.fillStyle = found["--line"];
  context.fillRect(PADDING, height - TIMES, width - 2 * PADDING, 1);
}

function drawBars(context, timeline, height) {
  const { data } = timeline;
  const sums = new Float64Array(data.bins);
  for (const { counts } of data.types) counts.forEach((count, bin) => (sums[bin] += count));
  const binNs = data.bin_ns;
  const left = (bin) => timeline.xOf(data.from_ns + bin * binNs);
  let most = 0;
  sums.forEach((sum, bin) => {
    if (left(bin + 1) > 0 && left(bin) < timeline.track.clientWidth) most = Math.max(most, sum);
  });
  if (!most) return 0;
  const floor = height - TIMES;
  const scale = (floor - MARKS - 2) / most;
  const wide = left(1) - left(0);
  const space = wide > 3 ? 1 : 0;
  const tops = new Float64Array(data.bins).fill(floor);
  const inForce = colours([...new Set(data.types.map(({ type }) => colourName(type)))]);
  context.save();
  context.beginPath();
  context.rect(PADDING, 0, timeline.width, height);
  context.clip();
  for (const { type, counts } of data.types) {
    context.fillStyle = inForce[colourName(type)];
    context.beginPath();
    counts.forEach((count, bin) => {
      if (!count) return;
      const tall = count * scale;
      tops[bin] -= tall;
      context.rect(left(bin), tops[bin], wide - space, tall);
    });
    context.fill();
  }
  context.restore();
  return most;
}

function drawGap(context, timeline, gap, height, colour) {
  const [from, to] = [timeline.xOf(gap.from_ns), timeline.xOf(gap.to_ns)];
  if (to < PADDING || from > PADDING + timeline.width) return;
  context.save();
  context.beginPath();
  context.rect(Math.max(PADDING, from), MARKS, Math.max(2, Math.min(to, PADDING + timeline.width) - Math.max(PADDING, from)), height - MARKS - TIMES);
  context.clip();
  context.globalAlpha = 0.12;
  context.fillStyle = colour;
  context.fill();
  context.globalAlpha = 0.75;
  context.strokeStyle = colour;
  context.beginPath();
  const first = Math.floor((Math.max(from, 0) - height) / 7) * 7;
  for (let x = first; x < Math.min(to, timeline.track.clientWidth); x += 7) {
    context.moveTo(x, height);
    context.lineTo(x + height, 0);
  }
  context.stroke();
  context.restore();
}

function drawMarks(context, timeline, found) {
  const inside = (x) => x >= PADDING - 1 && x <= PADDING + timeline.width + 1;
  for (const { elapsed_ns, kind } of timeline.data.connections) {
    const x = timeline.xOf(elapsed_ns);
    if (!inside(x)) continue;
    const isOpen = kind === "open";
    context.fillStyle = isOpen ? found["--good"] : found["--bad"];
    context.beginPath(); // a triangle that points up where a connection opened, down where one closed
    context.moveTo(x - 4, isOpen ? 10 : 4);
    context.lineTo(x + 4, isOpen ? 10 : 4);
    context.lineTo(x, isOpen ? 4 : 10);
    context.fill();
  }
  for (const { elapsed_ns } of timeline.data.notes) {
    const x = Math.round(timeline.xOf(elapsed_ns));
    if (!inside(x)) continue;
    context.fillStyle = found["--warn"];
    context.fillRect(x, 2, 1.5, timeline.track.clientHeight - TIMES - 2);
    context.beginPath(); // a flag
    context.moveTo(x + 1, 2);
    context.lineTo(x + 10, 5.5);
    context.lineTo(x + 1, 9);
    context.fill();
  }
}

function drawOverview(context, timeline, height, found) {
  if (!timeline.view) return;
  const { from, to } = timeline.whole;
  const x = (ns) => PADDING + ((ns - from) / (to - from)) * timeline.width;
  context.fillStyle = found["--grid"];
  context.fillRect(PADDING, height - 3, timeline.width, 3);
  context.fillStyle = found["--soft"];
  context.fillRect(x(timeline.view.from), height - 3, Math.max(3, x(timeline.view.to) - x(timeline.view.from)), 3);
}

/**
 * Draw what moves: the loop, the pointer, the playhead.
 * @param {import("./timeline.js").Timeline} timeline
 * @param {{positionNs: number, loop: {from: number, to: number, on: boolean}|null}} what
 */
export function drawOverlay(timeline, { positionNs, loop }) {
  const { context, width, height } = begin(timeline.overlay);
  const found = colours(["--accent", "--accent-wash", "--accent-line", "--soft", "--on-accent"]);
  if (loop) drawLoop(context, timeline, loop, height, found);
  if (timeline.pointer) {
    context.fillStyle = found["--soft"];
    context.globalAlpha = 0.55;
    context.fillRect(Math.round(timeline.pointer.x), 0, 1, height - TIMES);
    context.globalAlpha = 1;
  }
  const x = timeline.xOf(positionNs);
  if (x < 0 || x > width) return;
  context.fillStyle = found["--accent"];
  context.fillRect(x - 0.75, 0, 1.5, height - TIMES);
  context.beginPath();
  context.moveTo(x - 5.5, 0);
  context.lineTo(x + 5.5, 0);
  context.lineTo(x + 5.5, 5);
  context.lineTo(x, 11);
  context.lineTo(x - 5.5, 5);
  context.fill();
}

function drawLoop(context, timeline, loop, height, found) {
  const [from, to] = [timeline.xOf(loop.from), timeline.xOf(loop.to)];
  context.fillStyle = found["--accent-wash"];
  context.fillRect(from, 0, to - from, height - TIMES);
  context.fillStyle = loop.on ? found["--accent"] : found["--accent-line"];
  for (const [x, way, letter] of [[from, 1, "A"], [to, -1, "B"]]) {
    context.fillRect(x - (way > 0 ? 0 : 1.5), 0, 1.5, height - TIMES);
    context.fillRect(way > 0 ? x : x - 13, height - TIMES - 14, 13, 14);
    context.save();
    context.fillStyle = found["--on-accent"];
    context.font = "600 10px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(letter, x + 6.5 * way, height - TIMES - 6.5);
    context.restore();
  }
}
