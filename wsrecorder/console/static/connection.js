// Whether the server is there: the banner, what cannot be used meanwhile, the word at the top.

import { get } from "./api.js";
import { byId, setText } from "./dom.js";
import { chosenPlayback, isGrowing } from "./playhead.js";
import { followState } from "./stream.js";
import { say, showError } from "./toast.js";

/**
 * Keep what the page knows in step with the server.
 * @param {import("./store.js").Store} store
 */
export function connect(store) {
  let retryAtMs = 0;
  let refusal = null;
  const stream = followState({
    onState(state) {
      refusal = null;
      store.set({ link: "live", state, receivedMs: performance.now() });
    },
    onLost(atMs) {
      retryAtMs = atMs;
      if (store.value.link !== "lost") store.set({ link: "lost" });
      showBanner();
      // An event source does not say why it was refused; an ordinary call does (a token that is missing, say).
      get("/api/state").catch((error) => {
        refusal = error.status ? error : null;
        showBanner();
      });
    },
  });
  byId("banner-retry").addEventListener("click", () => stream.retry());

  function showBanner() {
    const isLost = store.value.link === "lost";
    byId("banner").hidden = !isLost;
    if (!isLost) return;
    const waitS = Math.max(0, Math.ceil((retryAtMs - performance.now()) / 1000));
    const when = waitS ? `Trying again in ${waitS} s.` : "Trying again…";
    setText(byId("banner-text"), refusal ? `${refusal.message}: ${refusal.hint}` : `wsrec does not answer. What you see is the last it said. ${when}`);
  }

  setInterval(showBanner, 500);
  store.watch(({ link }) => link, (link) => {
    document.documentElement.dataset.link = link;
    showBanner();
    for (const fields of document.querySelectorAll("fieldset.live:not(#transport)")) fields.disabled = link !== "live";
  });
  new MutationObserver(() => {
    for (const fields of document.querySelectorAll("fieldset.live:not(#transport)")) fields.disabled = store.value.link !== "live";
  }).observe(byId("panels"), { childList: true, subtree: true });
  showPlaybackErrors(store);
}

function showPlaybackErrors(store) {
  store.watch(({ state }) => (state?.playbacks ?? []).map(({ error }) => error).filter(Boolean), (errors) => {
    for (const { message, hint } of errors) showError(Object.assign(new Error(message), { hint }));
  });
}

/**
 * Show at the top what is played or looked at, and how that stands.
 * @param {import("./store.js").Store} store
 */
export function makeTop(store) {
  store.watch(({ state }) => state && [state.mode, state.url, state.sessions.map(({ id, name }) => [id, name])], (top) => {
    const { state } = store.value;
    if (!top || !state) return;
    document.documentElement.dataset.mode = state.mode;
    const names = state.sessions.map(({ name }) => name).join(" + ");
    setText(byId("session"), names || "no session");
    byId("session").title = state.sessions.map(({ id }) => id).join("\n");
    document.title = `${names} · wsrec`;
    byId("url").hidden = !state.url;
    setText(byId("url"), state.url ?? "");
  });
  byId("url").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(store.value.state.url);
      say("Copied: the address of the endpoint");
    } catch {
      showError(Object.assign(new Error("the browser does not let the page copy"), { hint: store.value.state.url }));
    }
  });
  store.watch(({ link, state, playback }) => [link, state?.mode, isGrowing(state), chosenPlayback({ state, playback })?.status], ([link, mode, grows, status]) => {
    const chip = byId("status");
    const looked = grows ? "recording" : "looking";
    const word = link === "live" ? (mode === "open" ? looked : (status ?? "waiting for a client")) : link;
    setText(chip, word);
    chip.dataset.status = word;
  });
  store.watch(({ state }) => state?.faults ?? [], (faults) => {
    byId("active-faults").hidden = !faults.length;
    setText(byId("active-faults"), `faults: ${faults.join(", ")}`);
    byId("active-faults").title = faults.join("\n");
  });
}
