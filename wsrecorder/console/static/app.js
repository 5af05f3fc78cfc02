// The page: it puts its parts together and moves what moves.

import { connect, makeTop } from "./connection.js";
import { Controls } from "./controls.js";
import { makeFilter } from "./filter.js";
import { makeFollow } from "./follow.js";
import { makeHelp } from "./help.js";
import { listenToKeys } from "./keys.js";
import { makeClientsPanel } from "./panels/clients.js";
import { makeExportPanel } from "./panels/export.js";
import { makeFaultsPanel } from "./panels/faults.js";
import { makeLatencyPanel } from "./panels/latency.js";
import { makeNotesPanel } from "./panels/notes.js";
import { makeStatePanel } from "./panels/state.js";
import { makePayloadPanel } from "./payload.js";
import { makeSessionChoice } from "./session.js";
import { makeSplitter } from "./splitter.js";
import { Store } from "./store.js";
import { Table } from "./table.js";
import { makeTabs } from "./tabs.js";
import { Timeline } from "./timeline.js";
import { makePlaybackChoice, makeTransport } from "./transport.js";

const ANNOUNCE_MS = 500;

const store = new Store({
  link: "loading", // loading, live, lost
  state: null, // what the server said last, and when
  receivedMs: 0,
  playback: null, // name of the chosen one
  session: null, // id of the chosen one
  cursorNs: null, // where a session that is only looked at is looked at
  mark: null, // {from, to} of the last loop
  types: [], // of the whole session, with their counts
  rareTypes: [], // that were seen in rows
  filter: { types: [], text: "", where: "" },
  selected: null, // seq
  follow: true,
  inUtc: false,
  panel: "state",
  notesVersion: 0,
});

const controls = new Controls(store);
makeSplitter();
makeTop(store);
makePlaybackChoice(store);
makeSessionChoice(store);
const transport = makeTransport(store, controls);
const timeline = new Timeline(store, controls);
const filter = makeFilter(store, controls);
const table = new Table(store, { onFilterError: filter.showFieldError });
const follow = makeFollow(store, table);
makeTabs(store, [
  makePayloadPanel(store, controls),
  makeStatePanel(store),
  makeNotesPanel(store, controls),
  makeClientsPanel(store),
  makeFaultsPanel(store),
  makeLatencyPanel(store),
  makeExportPanel(store, timeline),
]);
store.watch(({ selected }) => selected, (selected) => {
  if (selected !== null) store.set({ panel: "event" });
});
listenToKeys(controls, makeHelp(store));
connect(store);

let announcedMs = 0;
let shownNs = null;
function move(nowMs) {
  const positionNs = transport.tick();
  timeline.drawMoving();
  if (positionNs !== shownNs) {
    shownNs = positionNs;
    follow.tick(positionNs);
    table.fill();
  }
  if (nowMs - announcedMs > ANNOUNCE_MS) {
    announcedMs = nowMs;
    timeline.announce(positionNs);
  }
  requestAnimationFrame(move);
}
requestAnimationFrame(move);
