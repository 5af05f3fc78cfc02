// Where the playhead stands between two words of the server, and which playback is looked at.

const MOST_AHEAD_MS = 1_200; // a server that falls silent must not be outrun

/**
 * Return the playback that the page controls, or null: none there, or a session that is only looked at.
 * @param {Object} value of the store
 * @returns {Object|null}
 */
export function chosenPlayback(value) {
  const playbacks = value.state?.playbacks ?? [];
  return playbacks.find((each) => each.name === value.playback) ?? playbacks[0] ?? null;
}

/**
 * Return whether one of the sessions is still being recorded.
 * @param {Object|null} state of the server
 * @returns {boolean}
 */
export function isGrowing(state) {
  return Boolean(state?.sessions.some((session) => session.state === "recording"));
}

/**
 * Return the position now, ns since the session began.
 * @param {Object} value of the store
 * @param {number} nowMs `performance.now()`
 * @returns {number}
 */
export function positionNow(value, nowMs) {
  const { state } = value;
  if (!state) return 0;
  const playback = chosenPlayback(value);
  if (!playback) return state.mode === "open" ? (value.cursorNs ?? state.end_ns) : state.start_ns;
  if (playback.status !== "playing" || value.link !== "live") return playback.position_ns;
  const speed = playback.speed === "max" ? 0 : playback.speed; // nobody can tell how far "max" has come
  const aheadMs = Math.min(Math.max(0, nowMs - value.receivedMs), MOST_AHEAD_MS);
  const end = playback.loop ? Math.max(playback.loop[1], playback.position_ns) : Math.max(state.end_ns, playback.position_ns);
  return Math.min(playback.position_ns + Math.round(aheadMs * 1e6 * speed), end);
}
