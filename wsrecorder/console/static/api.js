// Calls of the server. Every failure is an ApiError with what happened and what to do.

export class ApiError extends Error {
  /**
   * @param {string} message What happened.
   * @param {string} hint What to do.
   * @param {number} status HTTP status; 0 when the server did not answer.
   */
  constructor(message, hint, status) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("wsrec does not answer", "is it still running? the page comes back by itself", 0);
  }
  const body = await answer.json().catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  if (answer.ok) return body;
  throw new ApiError(body?.message ?? `the server answered ${answer.status}`, body?.hint ?? "", answer.status);
}

/**
 * Return a path with a query; what is null, undefined or "" is left out.
 * @param {string} path
 * @param {Object<string, string|number|null|undefined>} query
 * @returns {string}
 */
export function withQuery(path, query) {
  const said = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Ask for something.
 * @param {string} path
 * @param {Object<string, string|number|null|undefined>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<*>} the answer
 */
export function get(path, query = {}, signal = undefined) {
  return call(withQuery(path, query), { signal });
}

/**
 * Have something done.
 * @param {string} path
 * @param {Object<string, *>} [body]
 * @returns {Promise<*>} the answer
 */
export function post(path, body = {}) {
  return call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}
