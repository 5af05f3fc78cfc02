// Of several sessions that are replayed as one, the page looks into one. Its events tell their times since it began;
// the page counts from the beginning of the earliest. Here, and only here, the one becomes the other.

import { get, post, withQuery } from "./api.js";
import { byId, el } from "./dom.js";

const TIMES = new Set(["elapsed_ns", "from_ns", "to_ns", "at_ns"]);

/**
 * Return the session that is looked into.
 * @param {Object} value of the store
 * @returns {{id: string, offset_ns: number}|undefined}
 */
export function chosenSession({ state, session }) {
  return state?.sessions.find(({ id }) => id === session) ?? state?.sessions[0];
}

function asked(value, query) {
  const { id, offset_ns: offset = 0 } = chosenSession(value) ?? {};
  if (offset) {
    for (const name of TIMES) if (typeof query[name] === "number") query[name] = Math.max(0, query[name] - offset);
    if (query.to_ns !== undefined && query.to_ns !== null) query.to_ns = Math.max(query.to_ns, (query.from_ns ?? 0) + 1);
  }
  return { ...query, session: value.state.sessions.length > 1 ? id : null };
}

function shifted(found, offset) {
  if (!offset || found === null || typeof found !== "object") return found;
  if (Array.isArray(found)) return found.map((each) => shifted(each, offset));
  return Object.fromEntries(Object.entries(found).map(([name, each]) => [name, TIMES.has(name) ? each + offset : shifted(each, offset)]));
}

/**
 * Ask for something of the session; times are those of the page.
 * @param {Object} value of the store
 * @param {string} path
 * @param {Object} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<*>} the answer
 */
export async function getOfSession(value, path, query = {}, signal = undefined) {
  return shifted(await get(path, asked(value, { ...query }), signal), chosenSession(value)?.offset_ns);
}

/**
 * Have something written beside the session.
 * @param {Object} value of the store
 * @param {string} path
 * @param {Object} body
 * @returns {Promise<*>} the answer
 */
export function postToSession(value, path, body) {
  const { session, ...said } = asked(value, { ...body });
  return post(withQuery(path, { session }), said);
}

/**
 * Return the address of something of the session.
 * @param {Object} value of the store
 * @param {string} path
 * @param {Object} query
 * @returns {string}
 */
export function addressOfSession(value, path, query) {
  return withQuery(path, asked(value, { ...query }));
}

/**
 * Offer a choice where there are several sessions.
 * @param {import("./store.js").Store} store
 */
export function makeSessionChoice(store) {
  const choice = byId("session-choice");
  choice.addEventListener("change", () => store.set({ session: choice.value, selected: null }));
  store.watch(({ state }) => (state?.sessions ?? []).map(({ id, name }) => [id, name]), (sessions) => {
    byId("session-label").hidden = sessions.length < 2;
    const names = sessions.map(([, name]) => name);
    const isOne = (name) => name && names.indexOf(name) === names.lastIndexOf(name);
    choice.replaceChildren(...sessions.map(([id, name]) => el("option", { value: id, title: id, text: isOne(name) ? name : id })));
    choice.value = chosenSession(store.value)?.id ?? "";
  });
}
