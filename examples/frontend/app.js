/** Shows what the store knows, at most once a frame of the screen, however fast messages come. */

import { Feed } from "./feed.js";
import { readSettings } from "./settings.js";
import { Store } from "./store.js";

const settings = readSettings(location.search);
const store = new Store();
const feeds = [];
let isDrawing = false;

const told = { onMessage: (data) => { store.take(data); draw(); }, onChange: draw };
for (let number = 0; number < settings.sockets; number += 1) feeds.push(new Feed(settings, told));
setInterval(draw, 1000); // a feed grows stale by nothing coming
show("url", settings.url);

function draw() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    showConnection();
    showCounts();
    showEngine();
    showRows("orders", "order", [...store.orders.open.values()], ["id", "symbol", "side", "qty", "price", "status"]);
    showRows("positions", "position", [...store.positions.open.values()], ["id", "symbol", "side", "qty", "entry", "stop"]);
    showRows("signals", "signal", store.signals.toReversed(), ["symbol", "side", "strategy", "entry", "confidence"]);
    showRows("messages", "message", store.messages.toReversed().map(asRow), ["time", "type", "size"]);
  });
}

function showConnection() {
  // Of two sockets the one that is worse off: who looks wants to know.
  const state = ["waiting", "connecting", "open"].find((each) => feeds.some((feed) => feed.state === each)) ?? "connecting";
  const waits = feeds.map((feed) => feed.retryMs ?? 0);
  badge("connection", state, state === "waiting" ? `closed, again in ${Math.max(...waits) / 1000} s` : state);
  show("opened", sum(feeds.map((feed) => feed.opened)));
  show("reconnects", sum(feeds.map((feed) => Math.max(0, feed.opened - 1))));
  show("closes", feeds.flatMap((feed) => feed.closes).join(", ") || "none");
}

function showCounts() {
  show("received", store.received);
  show("dropped", store.dropped);
  show("kept", store.messages.length);
  show("types", [...store.byType].sort((a, b) => b[1] - a[1]).map(([type, count]) => `${type} ${count}`).join(", "));
  const freshness = store.heartbeatMs === null ? "unknown" : store.isStale(Date.now()) ? "stale" : "fresh";
  badge("freshness", freshness, freshness === "unknown" ? "no heartbeat yet" : freshness);
}

function showEngine() {
  show("engine-state", store.engine.state ?? "unknown");
  show("engine-reason", store.engine.reason ?? "");
}

function asRow({ ts, type, size }) {
  const sentAt = new Date(Number.isInteger(ts) ? ts : NaN); // out of range it is no date either
  return { time: Number.isNaN(sentAt.getTime()) ? "" : sentAt.toISOString().slice(11, 23), type, size };
}

/** Fills a table; payloads are shown as text, never as HTML. */
function showRows(table, row, entries, columns) {
  show(`${row}-count`, entries.length);
  find(table).tBodies[0].replaceChildren(
    ...entries.map((entry) => {
      const line = document.createElement("tr");
      line.dataset.testid = row;
      for (const column of columns) {
        const cell = line.insertCell();
        cell.dataset.column = column;
        cell.textContent = entry[column] ?? "";
      }
      return line;
    }),
  );
}

function badge(id, state, text) {
  find(id).dataset.state = state;
  show(id, text);
}

function show(id, value) {
  const element = find(id);
  if (element.textContent !== String(value)) element.textContent = value; // else it would be read out again
}

function find(id) {
  return document.querySelector(`[data-testid="${id}"]`);
}

function sum(numbers) {
  return numbers.reduce((total, each) => total + each, 0);
}
