// Notes beside the session: write one at the playhead, go to one.

import { el } from "../dom.js";
import { clock } from "../format.js";
import { positionNow } from "../playhead.js";
import { getOfSession, postToSession } from "../session.js";
import { showError } from "../toast.js";

const EVERY_MS = 5_000;

/**
 * Make the panel.
 * @param {import("../store.js").Store} store
 * @param {import("../controls.js").Controls} controls
 * @returns {import("../tabs.js").Panel}
 */
export function makeNotesPanel(store, controls) {
  const text = el("input", { type: "text", maxlength: "2000", required: true, autocomplete: "off", id: "note-text" });
  const form = el("form", { "aria-label": "Add a note" },
    el("label", {}, "Note at the playhead", text), el("button", { class: "primary", type: "submit", text: "Add" }));
  const list = el("ul", { class: "items", "aria-label": "Notes" });
  const root = el("div", { class: "panel" }, el("fieldset", { class: "live" }, form), el("h2", { text: "Notes" }), list);
  let shown = "";

  async function refresh() {
    const answer = await getOfSession(store.value, "/api/notes");
    const notes = answer.notes ?? answer;
    const key = JSON.stringify(notes);
    if (key === shown) return;
    shown = key;
    store.set({ notesVersion: store.value.notesVersion + 1 });
    const rows = [...notes].sort((one, other) => one.elapsed_ns - other.elapsed_ns).map((note) => el("li", {},
      el("button", {
        class: "link", type: "button", text: clock(note.elapsed_ns), title: "Go there", on: { click: () => controls.seek(note.elapsed_ns) },
      }), el("span", { class: "what", text: note.text })));
    list.replaceChildren(...(rows.length ? rows : [el("p", { class: "empty", text: "No notes yet.\nThey are kept beside the session, never in what was recorded." })]));
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await postToSession(store.value, "/api/notes", { text: text.value, at_ns: Math.max(0, Math.round(positionNow(store.value, performance.now()))) });
      text.value = "";
      await refresh();
    } catch (error) {
      showError(error);
    }
  });
  return { name: "notes", title: "Notes", root, refresh, everyMs: EVERY_MS };
}
