// One row of the table: seven cells that are made once and filled anew as the table moves under them.

import { colourName } from "./colours.js";
import { el, setText } from "./dom.js";
import { bytes, clock, timeOfDay } from "./format.js";

const GLYPHS = { open: "▲", close: "▼", gap: "▨", note: "⚑" };

/** A row that shows one event after the other. */
export class Row {
  #seen = {};

  constructor() {
    const cell = (name) => el("span", { role: "gridcell", class: `c-${name}` });
    this.mark = cell("mark");
    this.seq = cell("seq");
    this.time = cell("time");
    this.dot = el("span", { class: "dot" });
    this.type = el("span");
    this.conn = cell("conn");
    this.size = cell("size");
    this.preview = cell("preview");
    const type = el("span", { role: "gridcell", class: "c-type" }, this.dot, this.type);
    this.element = el("div", { class: "row", role: "row" }, this.mark, this.seq, this.time, type, this.conn, this.size, this.preview);
  }

  #once(name, value, write) {
    if (this.#seen[name] === value) return;
    this.#seen[name] = value;
    write(value);
  }

  /**
   * Show an event.
   * @param {number} index of the row
   * @param {number} top CSS pixels
   * @param {Object|undefined} event undefined while it is not here
   * @param {{isSelected: boolean, isPlayhead: boolean, isFuture: boolean, inUtc: boolean}} how
   */
  show(index, top, event, how) {
    this.#once("top", top, () => (this.element.style.transform = `translateY(${top}px)`));
    this.#once("index", index, () => {
      this.element.setAttribute("aria-rowindex", String(index + 2)); // the first is the head
      this.element.id = `row-${index}`;
    });
    this.index = index;
    this.#once("class", classes(event, how), (names) => (this.element.className = names));
    this.#once("selected", how.isSelected, (is) => this.element.setAttribute("aria-selected", String(is)));
    this.#once("mark", glyph(event, how), ([text, title]) => {
      setText(this.mark, text);
      this.mark.title = title;
    });
    const key = event ? `${event.seq} ${how.inUtc}` : "";
    this.#once("event", key, () => this.#fill(event, how.inUtc));
  }

  #fill(event, inUtc) {
    if (!event) {
      this.element.setAttribute("aria-busy", "true");
      return;
    }
    this.element.removeAttribute("aria-busy");
    const isMessage = event.kind === "message";
    setText(this.seq, String(event.seq));
    setText(this.time, inUtc ? timeOfDay(event.received_at) : clock(event.elapsed_ns));
    setText(this.type, (event.direction === "out" ? "↑ " : "") + (isMessage ? (event.type ?? "no type") : event.kind));
    this.dot.style.setProperty("--dot", isMessage ? `var(${colourName(event.type ?? "")})` : "transparent");
    setText(this.conn, String(event.conn));
    setText(this.size, isMessage ? bytes(event.size) : "");
    setText(this.preview, event.preview ?? "");
  }
}

function classes(event, { isSelected, isPlayhead, isFuture }) {
  const names = ["row"];
  if (!event) names.push("pending");
  else {
    if (event.kind !== "message") names.push("mark");
    if (event.kind === "gap") names.push("gap");
    if (event.after_gap) names.push("after-gap");
    if (event.out_of_order) names.push("out-of-order");
  }
  if (isSelected) names.push("selected");
  if (isPlayhead) names.push("playhead");
  if (isFuture) names.push("future");
  return names.join(" ");
}

const NOTHING = ["", ""];
const MARKS = {
  playhead: ["▶", "the playhead is here"],
  gap: ["⚠", "first after a gap: events before it are missing"],
  order: ["⇅", "out of order: its sender’s clock is behind that of the event before"],
};
const KINDS = Object.fromEntries(Object.entries(GLYPHS).map(([kind, text]) => [kind, [text, kind]]));

function glyph(event, { isPlayhead }) {
  if (isPlayhead) return MARKS.playhead;
  if (!event) return NOTHING;
  if (event.after_gap) return MARKS.gap;
  if (event.out_of_order) return MARKS.order;
  return KINDS[event.kind] ?? NOTHING;
}
