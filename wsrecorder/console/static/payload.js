// One event: its facts, and its payload as a tree or raw. Large integers and NaN stand as they were sent.

import { colourName } from "./colours.js";
import { el } from "./dom.js";
import { bytes, clock, milliseconds, utc } from "./format.js";
import { readJson } from "./json_read.js";
import { makeTree } from "./json_tree.js";
import { chosenPlayback } from "./playhead.js";
import { getOfSession } from "./session.js";
import { say, showError } from "./toast.js";

const MOST_BYTES = 4_096;

/**
 * Make the panel of the selected event.
 * @param {import("./store.js").Store} store
 * @param {import("./controls.js").Controls} controls
 * @returns {import("./tabs.js").Panel}
 */
export function makePayloadPanel(store, controls) {
  const root = el("div", { class: "panel flex" });
  let shown = null;
  let of = null; // session of the one shown
  let request = null;
  let asTree = true;

  const draw = () => root.replaceChildren(...(shown ? filled() : [el("p", { class: "empty over", text: "Choose an event in the table\nto see what it carried" })]));

  function filled() {
    const seek = el("button", { class: "small", type: "button", text: "Seek here", on: { click: () => controls.seekTo(shown) } });
    seek.disabled = store.value.state?.mode !== "open" && !chosenPlayback(store.value);
    const copy = el("button", { class: "small", type: "button", text: "Copy", on: { click: () => copyText(shown) } });
    const choices = [["Tree", true], ["Raw", false]].map(([text, tree]) => el("button", {
      class: "small", type: "button", text, "aria-pressed": String(asTree === tree),
      on: { click: () => { asTree = tree; draw(); } },
    }));
    const actions = el("div", { class: "actions" }, seek, copy, el("div", { class: "segmented", role: "group", "aria-label": "Payload as" }, ...choices));
    return [facts(shown), actions, el("div", { class: "payload", tabindex: "0", "aria-label": "Payload" }, ...content(shown, asTree))];
  }

  store.watch(({ selected, link, session }) => [selected, link === "live", session], async ([seq, isLive, session]) => {
    if (seq === null || (shown?.seq === seq && of === session)) return;
    if (!isLive) return;
    request?.abort();
    request = new AbortController();
    try {
      shown = await getOfSession(store.value, `/api/events/${seq}`, {}, request.signal);
      of = session;
      draw();
    } catch (error) {
      showError(error);
    }
  });
  draw();
  return { name: "event", title: "Event", root };
}

function facts(event) {
  const dot = el("span", { class: "dot" });
  dot.style.setProperty("--dot", event.kind === "message" ? `var(${colourName(event.type ?? "")})` : "transparent");
  const pairs = [["elapsed", clock(event.elapsed_ns, 6)], ["size", bytes(event.size)], ["received", utc(event.received_at, 0)]];
  if (event.sent_at) {
    pairs.push(["raw latency", milliseconds(Date.parse(event.received_at) - Date.parse(event.sent_at))]);
    pairs.push(["sent", utc(event.sent_at, 0)]);
  }
  const title = event.kind === "message" ? (event.type ?? "no type") : event.kind;
  return el("div", { class: "facts" },
    el("h2", {}, dot, title, el("small", { text: `#${event.seq}` })),
    el("dl", {}, ...pairs.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value, title: value })])));
}

function rawText(event) {
  if (event.text !== null && event.text !== undefined) return event.text;
  if (event.binary_base64) return hexDump(event.binary_base64);
  return typeof event.detail === "object" && event.detail !== null ? JSON.stringify(event.detail) : (event.detail ?? "");
}

function content(event, asTree) {
  const text = rawText(event);
  const raw = () => el("pre", { class: "raw", text });
  if (!asTree || event.binary_base64) return [raw()];
  try {
    return [makeTree(readJson(text))];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [el("p", { class: "hint", text: `Not JSON, ${error.message}. As it came:` }), raw()];
  }
}

function hexDump(base64) {
  const data = atob(base64);
  const lines = [];
  for (let at = 0; at < Math.min(data.length, MOST_BYTES); at += 16) {
    const part = [...data.slice(at, at + 16)].map((char) => char.charCodeAt(0));
    const hex = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const said = part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${said}`);
  }
  if (data.length > MOST_BYTES) lines.push(`… ${data.length - MOST_BYTES} more bytes`);
  return lines.join("\n");
}

async function copyText(event) {
  try {
    await navigator.clipboard.writeText(event.binary_base64 ?? rawText(event));
    say(event.binary_base64 ? "Copied, as base64" : "Copied");
  } catch {
    showError(Object.assign(new Error("the browser does not let the page copy"), { hint: "select the text under Raw and copy it by hand" }));
  }
}
