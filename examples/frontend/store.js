/**
 * What the page knows: the last 100 messages, and what they come to: the engine's state, open orders and positions,
 * the last signals.
 *
 * Messages are routed by their type; one that cannot be parsed is dropped and counted. An event tells of one order or
 * lists them all; a list replaces what was known, and what has ended does not come back by an event that is late.
 */

const KEPT_MESSAGES = 100;
const KEPT_SIGNALS = 20;
const KEPT_ENDED = 256;
const ENDED = new Set([
  "filled", "canceled", "cancelled", "rejected", "expired", "closed", "done", "failed", "liquidated",
]);

export class Store {
  constructor() {
    this.received = 0;
    this.dropped = 0;
    this.byType = new Map();
    this.messages = [];
    this.heartbeatMs = null;
    this.latencyMs = null;
    this.engine = { state: null, reason: null };
    this.orders = new Entities(readOrder);
    this.positions = new Entities(readPosition);
    this.signals = [];
  }

  /** Takes what a socket gave. */
  take(data) {
    this.received += 1;
    const message = parse(data);
    if (message === null) {
      this.dropped += 1;
      return;
    }
    this.byType.set(message.type, (this.byType.get(message.type) ?? 0) + 1);
    this.messages = [...this.messages, { ...message, size: data.length }].slice(-KEPT_MESSAGES);
    if (Object.hasOwn(ROUTES, message.type) && isObject(message.data)) ROUTES[message.type](this, message);
  }

  /** Whether the feed is stale: its last heartbeat is older than 30 s by its own stamp. */
  isStale(nowMs) {
    return this.heartbeatMs !== null && nowMs - this.heartbeatMs > 30_000;
  }
}

/** Those that are open, by id, in the order in which they became known. */
class Entities {
  constructor(read) {
    this.open = new Map();
    this.ended = new Set();
    this.read = read;
  }

  tell(entries, { isEnding = false, isAll = false } = {}) {
    const found = entries.filter(isObject).map((entry) => this.read(entry, isEnding)).filter((each) => each.id);
    if (isAll && found.length === entries.length) {
      this.open = new Map();
      this.ended = new Set();
    }
    for (const { hasEnded, ...facts } of found) {
      if (hasEnded) {
        this.open.delete(facts.id);
        this.ended.add(facts.id);
      } else if (!this.ended.has(facts.id)) {
        this.open.set(facts.id, merged(this.open.get(facts.id), facts));
      }
    }
    this.ended = new Set([...this.ended].slice(-KEPT_ENDED));
  }
}

const ROUTES = {
  HEARTBEAT(store, { ts, data }) {
    if (Number.isFinite(ts)) store.heartbeatMs = ts;
    store.latencyMs = data.latencyMs ?? null;
  },
  ENGINE_UPDATE(store, { data }) {
    if (!isWord(data.state)) return;
    const isSame = data.state.toLowerCase() === store.engine.state?.toLowerCase();
    store.engine = { state: data.state, reason: isSame ? store.engine.reason : null };
  },
  FSM_TRANSITION(store, { data }) {
    if (isWord(data.to_state)) store.engine = { state: data.to_state, reason: isWord(data.reason) ? data.reason : null };
  },
  SIGNAL(store, { data }) {
    store.signals = [...store.signals, ...listed(data, "signal", "signals")].slice(-KEPT_SIGNALS);
  },
  ORDER_PLACED: (store, { data }) => store.orders.tell(listed(data, "order", "orders")),
  ORDER_UPDATED: (store, { data }) => store.orders.tell(listed(data, "order", "orders")),
  ORDER_CANCELED: (store, { data }) => store.orders.tell(listed(data, "order", "orders"), { isEnding: true }),
  ORDER_UPDATE: (store, { data }) =>
    store.orders.tell(listed(data, "order", "orders"), { isAll: Array.isArray(data.orders) }),
  POSITION_OPEN: (store, { data }) => store.positions.tell(listed(data, "position", "positions")),
  POSITION_UPDATE: (store, { data }) =>
    store.positions.tell(listed(data, "position", "positions"), { isAll: Array.isArray(data.positions) }),
  POSITION_CLOSE: (store, { data }) => store.positions.tell(listed(data, "position", "positions"), { isEnding: true }),
  STOP_MOVED: (store, { data }) => store.positions.tell([{ id: data.position_id, sl: data.new_stop }]),
};

/** Returns an envelope, or null if this is none: no text, no JSON (a bare NaN, say), no type. */
function parse(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return isObject(message) && typeof message.type === "string" ? message : null;
  } catch {
    return null;
  }
}

function listed(data, one, many) {
  if (Array.isArray(data[many])) return data[many];
  return isObject(data[one]) ? [data[one]] : [];
}

function readOrder(entry, isCanceled) {
  const status = word(entry.status)?.toLowerCase() ?? (isCanceled ? "canceled" : null);
  return {
    id: idOf(entry.id), symbol: word(entry.symbol), side: word(entry.side)?.toLowerCase() ?? null,
    qty: number(entry.qty), price: number(entry.price), status, hasEnded: isCanceled || ENDED.has(status),
  };
}

function readPosition(entry, isClosed) {
  const status = word(entry.status)?.toLowerCase() ?? null;
  const closedAt = entry.closedAt ?? entry.timestamps?.closed_at ?? null;
  return {
    id: idOf(entry.id), symbol: word(entry.symbol), side: word(entry.side)?.toLowerCase() ?? null,
    qty: number(entry.size) ?? number(entry.qty), entry: number(entry.entry), stop: number(entry.sl),
    hasEnded: isClosed || closedAt !== null || ENDED.has(status),
  };
}

/** What is told anew counts, what is not told stays as it was known. */
function merged(known, told) {
  return Object.fromEntries(Object.entries(told).map(([name, value]) => [name, value ?? known?.[name] ?? null]));
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWord(value) {
  return typeof value === "string" && value !== "";
}

function word(value) {
  return isWord(value) ? value : null;
}

function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function idOf(value) {
  return Number.isInteger(value) ? String(value) : word(value);
}
