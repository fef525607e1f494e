// The page: puts its parts together and draws them, at most twice a second and never for nothing.

import { Adding } from "./add.js";
import { Details, TABS } from "./details.js";
import { askToRemove, listenToDialogs } from "./dialogs.js";
import { byId, setAttribute, setText } from "./elements.js";
import { rate, seconds, whole } from "./format.js";
import { Rates, Steps } from "./history.js";
import { listenToKeys } from "./keyboard.js";
import { closeMenu } from "./menu.js";
import { Peers } from "./peers.js";
import { recall, remember } from "./remembered.js";
import { SettingsDialog } from "./settings.js";
import { Store, now } from "./store.js";
import { Stream } from "./stream.js";
import { Torrents } from "./torrents.js";
import { Turns } from "./turns.js";

const DRAW_MILLISECONDS = 500;                          // countdowns go on between two events
const SPLIT = { least: 15, most: 85, step: 5 };         // percent of the height that the list has

const store = new Store(), stream = new Stream(store), rates = new Rates(), steps = new Steps();
const peers = new Peers(store);
const details = new Details(store, peers, rates, steps);
const torrents = new Torrents(store, { open: openDetails, remove: (rows) => askToRemove(rows, () => torrents.focus()) });
const turns = new Turns(store, selectTorrent);
const adding = new Adding((infoHash) => infoHash && wantSelected(infoHash));
const settings = new SettingsDialog((values) => turns.showSettings(values));
let wanted = "";                                        // a torrent that was added and is to be selected when it is there

function selectTorrent(infoHash, peer) {
  if (!store.torrents.has(infoHash)) return;
  torrents.filter.value = "";
  byId("state-filter").value = "";
  torrents.draw();
  torrents.table.activate(infoHash);
  if (peer) details.showTab("peers");
}

function wantSelected(infoHash) {
  wanted = infoHash;
  draw();
}

function openDetails() {
  document.body.classList.add("has-sheet");
  byId("details").classList.remove("is-closed");
  if (details.infoHash) byId("tabs").querySelector("[aria-selected=true]").focus();
}

function closeDetails() {
  document.body.classList.remove("has-sheet");
  torrents.focus();
}

function looksAtPeers() {
  stream.lookAtPeersOf(details.infoHash);
}

function draw() {
  if (document.hidden) return;
  if (wanted && store.torrents.has(wanted)) {
    const infoHash = wanted;
    wanted = "";
    selectTorrent(infoHash);
  }
  drawHeader();
  turns.draw();
  torrents.draw();
  details.draw();
}

function drawHeader() {
  let down = 0, up = 0;
  const counts = {};
  for (const row of store.torrents.values()) {
    down += row.download_rate;
    up += row.upload_rate;
    for (const [state, count] of Object.entries(row.peers_by_state ?? {})) counts[state] = (counts[state] ?? 0) + count;
  }
  setText(byId("rate-down"), rate(down));
  setText(byId("rate-up"), rate(up));
  setText(byId("peer-summary"), store.hasSnapshot ? `${whole(counts.connected ?? 0)} connected · ${whole((counts.connecting ?? 0) + (counts.handshaking ?? 0))} connecting · ${whole(counts.queued ?? 0)} queued` : "");
  document.title = down || up ? `▼ ${rate(down)} ▲ ${rate(up)} · Evenswarm` : "Evenswarm";
}

function drawConnection() {
  const { state, since, reason } = store.connection, banner = byId("connection");
  const words = {
    connecting: "Connecting to the client …",
    live: "",
    broken: `The connection to the client broke ${seconds(now() - since)} ago; trying again. What is shown is as it was then.${reason ? ` (${reason})` : ""}`,
    logged_out: "You are logged out.",
  };
  const isShown = state !== "live" && (state !== "connecting" || now() - since > 1);
  banner.hidden = !isShown;
  setText(byId("connection-words"), isShown ? words[state] : "");
  byId("log-in").hidden = state !== "logged_out";
  setAttribute(document.body, "data-connection", state);
}

// ── the parts' wishes ────────────────────────────────────────────────────────────────────────────────────────────────────

let scheduled = 0;
store.addEventListener("change", () => {
  rates.take(store.torrents);
  scheduled ||= requestAnimationFrame(() => {
    scheduled = 0;
    draw();
  });
});
store.addEventListener("connection", () => {
  drawConnection();
  if (store.connection.state === "live") turns.loadSettings();
});
store.addEventListener("transition", (event) => steps.take(event.detail));
torrents.table.addEventListener("active", () => {
  details.show(torrents.table.active ?? "");
  looksAtPeers();
});
setInterval(() => {
  drawConnection();
  draw();
}, DRAW_MILLISECONDS);
document.addEventListener("visibilitychange", draw);

byId("add").addEventListener("click", () => adding.open());
byId("add-first").addEventListener("click", () => adding.open());
byId("open-settings").addEventListener("click", () => settings.open());
byId("open-keys").addEventListener("click", () => byId("keys-dialog").showModal());
byId("close-sheet").addEventListener("click", closeDetails);
byId("torrent-filter-clear").addEventListener("click", () => {
  torrents.filter.value = "";
  byId("state-filter").value = "";
  torrents.draw();
});

listenToDialogs();
listenToKeys({
  "/": () => torrents.filter.focus(), a: () => adding.open(), s: () => settings.open(), p: () => byId("pause").click(), t: () => torrents.focus(),
  "?": () => byId("keys-dialog").showModal(),
  Escape: () => {
    closeMenu();
    closeDetails();
  },
  ...Object.fromEntries(TABS.map((tab, place) => [String(place + 1), () => details.showTab(tab)])),
});
listenToSplit();
stream.start();

// ── the line between the two halves ──────────────────────────────────────────────────────────────────────────────────────

function listenToSplit() {
  const line = byId("split");
  const set = (share) => {
    const kept = Math.min(SPLIT.most, Math.max(SPLIT.least, Math.round(share)));
    document.body.style.setProperty("--split", `${kept}%`);
    line.setAttribute("aria-valuenow", String(kept));
    return kept;
  };
  let share = set(Number(recall("split", 45)) || 45);
  line.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    line.setPointerCapture(event.pointerId);
    const area = byId("halves").getBoundingClientRect();
    const move = (moved) => (share = set((100 * (moved.clientY - area.top)) / area.height));
    line.addEventListener("pointermove", move);
    line.addEventListener("pointerup", () => {
      line.removeEventListener("pointermove", move);
      remember("split", share);
    }, { once: true });
  });
  line.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -SPLIT.step, ArrowDown: SPLIT.step }[event.key];
    if (!step) return;
    event.preventDefault();
    share = set(share + step);
    remember("split", share);
  });
}
