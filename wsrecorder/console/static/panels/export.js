// A part of the session as a file: from A to B, by types and by expression.

import { el } from "../dom.js";
import { clock } from "../format.js";
import { chosenPlayback } from "../playhead.js";
import { addressOfSession, getOfSession } from "../session.js";
import { showError } from "../toast.js";

/**
 * Make the panel.
 * @param {import("../store.js").Store} store
 * @param {import("../timeline.js").Timeline} timeline
 * @returns {import("../tabs.js").Panel}
 */
export function makeExportPanel(store, timeline) {
  const field = (id, label, properties = {}) => {
    const input = el("input", { type: "text", id, autocomplete: "off", spellcheck: "false", ...properties });
    return [input, el("label", { class: properties.wide ? "wide" : "" }, label, input)];
  };
  const [from, fromLabel] = field("export-from", "From");
  const [to, toLabel] = field("export-to", "To");
  const [types, typesLabel] = field("export-types", "Types", { placeholder: "all", wide: true });
  const [where, whereLabel] = field("export-where", "SQL expression", { placeholder: "none", class: "mono", wide: true });
  const format = el("select", { id: "export-format" }, ...["jsonl", "csv", "parquet"].map((name) => el("option", { value: name, text: name })));
  const form = el("form", { "aria-label": "Export a selection" }, fromLabel, toLabel, typesLabel, whereLabel,
    el("label", {}, "Format", format), el("button", { class: "primary", type: "submit", text: "Download" }));
  const use = (text, act) => el("button", { class: "small", type: "button", text, on: { click: act } });
  const fill = (range) => {
    from.value = clock(range.from);
    to.value = clock(range.to);
  };
  const sources = el("div", { class: "group" },
    use("Whole session", () => fill(timeline.whole)), use("What the timeline shows", () => fill(timeline.shown)),
    use("Loop A–B", () => {
      const loop = chosenPlayback(store.value)?.loop;
      const range = loop ? { from: loop[0], to: loop[1] } : store.value.mark;
      if (range) fill(range);
      else showError(Object.assign(new Error("no loop is marked"), { hint: "shift-drag on the timeline marks one" }));
    }),
    use("Table’s filter", () => {
      types.value = store.value.filter.types.join(",");
      where.value = store.value.filter.where;
    }));
  sources.style.flexWrap = "wrap";
  sources.style.marginBottom = "12px";
  const root = el("div", { class: "panel" },
    el("p", { class: "lead", text: "The payloads go out as they were recorded, byte for byte. Take over:" }), sources, el("fieldset", { class: "live" }, form));

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const query = { from_ns: nsOf(from.value), to_ns: nsOf(to.value), types: types.value.replace(/\s+/g, ""), where: where.value.trim(), format: format.value };
      // What is wrong with a filter is told by a question after it: a download that is refused would only fail.
      await getOfSession(store.value, "/api/events", { types: query.types, where: query.where, rows: 0 });
      download(addressOfSession(store.value, "/api/export", query));
    } catch (error) {
      showError(error);
    }
  });
  return { name: "export", title: "Export", root };
}

function nsOf(text) {
  if (!text.trim()) return null;
  const found = /^(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)$/.exec(text.trim());
  if (!found) throw Object.assign(new Error(`${text} is no time`), { hint: "write it as 1:23.456, or in seconds" });
  const [, hours = 0, minutes = 0, seconds] = found;
  return Math.round((Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e9);
}

function download(path) {
  const link = el("a", { href: path, download: "" });
  document.body.append(link);
  link.click();
  link.remove();
}
