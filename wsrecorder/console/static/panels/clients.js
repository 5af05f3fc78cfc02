// Who listens to the replay: how far each lags behind, and a button that lets it go.

import { get, post } from "../api.js";
import { el } from "../dom.js";
import { bytes, count, milliseconds } from "../format.js";
import { say, showError } from "../toast.js";

const EVERY_MS = 1_000;
const BUFFER_BYTES = 16 * 1024 ** 2; // the endpoint's default; a client beyond it is closed

/**
 * Make the panel.
 * @param {import("../store.js").Store} store
 * @returns {import("../tabs.js").Panel}
 */
export function makeClientsPanel(store) {
  const root = el("div", { class: "panel" });
  const shown = new Map(); // number -> the element

  async function refresh() {
    const { clients } = await get("/api/clients");
    const here = new Set(clients.map(({ number }) => number));
    for (const [number, element] of shown) {
      if (here.has(number)) continue;
      element.remove();
      shown.delete(number);
    }
    root.querySelector(".empty")?.remove();
    for (const client of clients) show(client);
    if (!clients.length) root.append(el("p", { class: "empty", text: nobody(store.value.state) }));
  }

  function show(client) {
    let element = shown.get(client.number);
    if (!element) {
      const button = el("button", { class: "small", type: "button", text: "Disconnect", "aria-label": `Disconnect client ${client.number}`, on: { click: () => disconnect(client.number) } });
      element = el("article", { class: "client", "aria-label": `Client ${client.number}` },
        el("header", {}, el("b", { text: `Client ${client.number}` }), el("span", { text: [client.address, client.query].filter(Boolean).join(" ") }), el("fieldset", { class: "live" }, button)), el("dl"));
      shown.set(client.number, element);
      root.append(element);
    }
    element.querySelector("dl").replaceChildren(...figures(client));
  }

  async function disconnect(number) {
    try {
      await post(`/api/clients/${number}/disconnect`, { code: 1000, reason: "" });
      say(`Client ${number} was disconnected`);
      await refresh();
    } catch (error) {
      showError(error);
    }
  }
  return { name: "clients", title: "Clients", ofReplay: true, root, refresh, everyMs: EVERY_MS };
}

function nobody(state) {
  return state?.url ? `Nobody is connected.\nPoint the frontend at ${state.url}` : "A session that is only looked at has no clients.\nwsrec replay serves it.";
}

function figures(client) {
  const stalled = client.stalls ? `${count(client.stalls)} · ${milliseconds(client.stalled_ms)}` : "none";
  const pairs = [
    ["frames", count(client.frames_sent)], ["sent", bytes(client.bytes_sent)], ["ping", milliseconds(client.latency_ms)], ["here for", `${Math.round(client.connected_s)} s`],
    ["buffer", bytes(client.buffered_bytes)], ["stalls", stalled], ["heard", count(client.inbound_frames)], ["playback", client.playback ?? "–"],
  ];
  const share = Math.min(1, client.buffered_bytes / BUFFER_BYTES);
  const bar = el("i", { class: share > 0.5 ? "high" : "" });
  bar.style.width = `${share * 100}%`;
  const meter = el("div", { class: "meter", role: "meter", "aria-label": "Buffer", "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(Math.round(share * 100)) }, bar);
  return [...pairs.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))), meter];
}
