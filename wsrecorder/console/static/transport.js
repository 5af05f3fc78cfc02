// The transport bar: buttons to verbs, and what the playback says of itself.

import { byId, el, setText } from "./dom.js";
import { clock, count, factor, short, utc } from "./format.js";
import { chosenPlayback, positionNow } from "./playhead.js";
import { say, showError } from "./toast.js";

/**
 * Bring the transport bar to life.
 * @param {import("./store.js").Store} store
 * @param {import("./controls.js").Controls} controls
 * @returns {{tick: () => number}} `tick` shows the position of this moment and returns it
 */
export function makeTransport(store, controls) {
  const bar = byId("transport");
  const click = (id, act) => byId(id).addEventListener("click", act);
  click("play", () => controls.toggle());
  click("restart", () => controls.ask("restart"));
  click("back", () => controls.step(-1));
  click("forward", () => controls.step(1));
  click("slower", () => controls.changeSpeed(-1));
  click("faster", () => controls.changeSpeed(1));
  click("max", () => controls.ask("speed", { speed: "max" }));
  listenToSpeed(store, controls);
  listenToLoop(store, controls, click);

  store.watch(({ state, link, playback }) => [state?.mode, link, chosenPlayback({ state, playback })], ([mode, link, playback]) => {
    bar.disabled = link !== "live" || (mode !== "open" && !playback);
    bar.dataset.status = playback?.status ?? "";
    const isPlaying = playback?.status === "playing";
    byId("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    showSpeed(playback);
    showMeasured(playback);
    byId("loop").setAttribute("aria-pressed", String(Boolean(playback?.loop)));
  });
  store.watch(({ state }) => state && [state.end_ns, state.clients, state.mode], () => {
    const { state } = store.value;
    setText(byId("length"), state ? clock(state.end_ns, 0) : "–");
    setText(byId("clients-count"), state?.mode === "replay" ? count(state.clients) : "–");
  });
  store.watch(({ state }) => state && [state.sessions.map(({ url, messages }) => [url, messages]), state.began_at], () => {
    const { state } = store.value;
    const sessions = state?.sessions ?? [];
    setText(byId("feed"), sessions.map(({ url }) => url).filter(Boolean).join(", ") || "–");
    setText(byId("began"), state ? utc(state.began_at, 0).slice(0, 19) : "–");
    setText(byId("messages"), count(sessions.reduce((sum, { messages }) => sum + messages, 0)));
  });
  return { tick: () => showPosition(store) };
}

function showPosition(store) {
  const positionNs = positionNow(store.value, performance.now());
  setText(byId("elapsed"), clock(positionNs));
  setText(byId("utc"), `${utc(store.value.state?.began_at, positionNs)} UTC`);
  return positionNs;
}

function showSpeed(playback) {
  const field = byId("speed");
  if (document.activeElement !== field) field.value = playback ? factor(playback.speed) : "–";
  byId("max").setAttribute("aria-pressed", String(playback?.speed === "max"));
}

function showMeasured(playback) {
  setText(byId("achieved"), factor(playback?.achieved_speed));
  const late = playback?.lateness_ms;
  setText(byId("lateness"), late?.count ? `${short(late.p50)} · ${short(late.p99)} ms` : "–");
  setText(byId("frames"), count(playback?.frames_sent));
}

function listenToSpeed(store, controls) {
  const field = byId("speed");
  const back = () => showSpeed(chosenPlayback(store.value));
  field.addEventListener("focus", () => field.select());
  field.addEventListener("blur", back);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Escape") field.blur();
    if (event.key !== "Enter") return;
    const said = field.value.trim().replace(/[x×]$/i, "").replace(",", ".");
    const speed = said === "max" ? "max" : Number(said);
    if (speed !== "max" && !(speed >= 0.1 && speed <= 1000)) {
      showError(Object.assign(new Error(`${field.value} is no speed`), { hint: "a number from 0.1 to 1000, or max" }));
      return;
    }
    controls.ask("speed", { speed }).then(() => field.blur());
  });
}

function listenToLoop(store, controls, click) {
  const set = ({ from, to }) => {
    store.set({ mark: { from, to } });
    return controls.ask("loop", { from_ns: Math.round(from), to_ns: Math.round(to) });
  };
  const edge = (change) => () => {
    const { state, mark } = store.value;
    const loop = chosenPlayback(store.value)?.loop;
    const now = loop ? { from: loop[0], to: loop[1] } : (mark ?? { from: state.start_ns, to: state.end_ns });
    const next = { ...now, ...change(positionNow(store.value, performance.now())) };
    if (next.from < next.to) set(next);
    else say("A must lie before B");
  };
  click("loop-a", edge((ns) => ({ from: ns })));
  click("loop-b", edge((ns) => ({ to: ns })));
  click("loop", () => {
    const { state, mark } = store.value;
    if (chosenPlayback(store.value)?.loop) controls.ask("loop", { off: true });
    else set(mark ?? { from: state.start_ns, to: state.end_ns });
  });
}

/**
 * Offer a choice where there are several playbacks: one a client, or one a key.
 * @param {import("./store.js").Store} store
 */
export function makePlaybackChoice(store) {
  const choice = byId("playback");
  choice.addEventListener("change", () => store.set({ playback: choice.value }));
  store.watch(({ state }) => (state?.playbacks ?? []).map(({ name }) => name), (names) => {
    byId("playback-label").hidden = names.length < 2;
    choice.replaceChildren(...names.map((name) => el("option", { value: name, text: name })));
    choice.value = chosenPlayback(store.value)?.name ?? "";
  });
}
