// The Peers tab: every peer that the client thinks of, in the states queued → connecting → handshaking → connected or failed.

import { api } from "./api.js";
import { byId, element, plain, setAttribute, setClass, setText, setVariable } from "./elements.js";
import { NONE, bytes, clockTime, countdown, exactBytes, exactTime, rate, seconds, span, whole } from "./format.js";
import { showMenu } from "./menu.js";
import { attempt } from "./notices.js";
import { recall, remember } from "./remembered.js";
import { columnItems } from "./torrents.js";
import { VirtualTable, textColumn } from "./virtual_table.js";
import { FLAGS, GLYPH, PEER_ORDER, PEER_WORD, countsInWords, flagsInWords, inWords } from "./words.js";

export const PHASES = ["waited", "connecting", "handshaking"];
const PHASE_WORD = { waited: "waited for a slot", connecting: "connecting", handshaking: "handshaking" };

export class Peers {
  constructor(store) {
    this.#store = store;
    this.table = new VirtualTable(byId("peer-table"), {
      name: "peers", label: "Peers", key: (row) => row.key, sort: { key: "state", descending: false }, columns: this.#columns(),
      drawRow: (made, row) => {
        setClass(made, "is-idle", row.state !== "connected" || Boolean(row.is_gone));
        setClass(made, "is-gone", Boolean(row.is_gone));
      },
    });
    this.table.addEventListener("open", () => this.#openDetail());
    this.table.addEventListener("active", () => this.#drawDetail());
    this.table.addEventListener("menu", (event) => this.#menu(event.detail));
    this.#all = byId("show-all-peers");
    this.#all.checked = recall("peers.all", true);
    this.#all.addEventListener("change", () => {
      remember("peers.all", this.#all.checked);
      this.draw();
    });
    byId("peer-columns").addEventListener("click", (event) => showMenu(event.currentTarget, columnItems(this.table), "Columns of the peers"));
    byId("flag-legend").append(...FLAGS.flatMap(([letter, word]) => [element("dt", {}, letter), element("dd", {}, word)]));
    byId("add-peer").addEventListener("submit", (event) => this.#add(event));
  }

  #store; #all;
  #infoHash = "";
  #isDetailOpen = false;

  show(infoHash) {
    if (infoHash === this.#infoHash) return;
    this.#infoHash = infoHash;
    this.#isDetailOpen = false;
    this.table.activate(null);
  }

  draw() {
    const rows = [...this.#store.peersOf(this.#infoHash).values()];
    const shown = this.#all.checked ? rows : rows.filter((row) => row.state === "connected" && !row.is_gone);
    this.table.setRows(shown);
    const counts = {};
    for (const row of rows) if (!row.is_gone) counts[row.state] = (counts[row.state] ?? 0) + 1;
    setText(byId("peer-counts"), countsInWords(counts));
    const empty = byId("no-peers"), torrent = this.#store.torrents.get(this.#infoHash);
    empty.hidden = shown.length > 0 || !torrent;
    if (!empty.hidden) {
      setText(empty, rows.length ? `None is connected. “Show all” shows the ${countsInWords(counts)}.`
        : torrent.state === "stopped" ? "This torrent is stopped. Start it (space) and its trackers name peers."
          : plain(torrent.why) || "No peers are known yet. Trackers are asked when the torrent starts; a peer can be added by hand above.");
    }
    this.#drawDetail();
  }

  // ── a row's detail ───────────────────────────────────────────────────────────────────────────────────────────────────

  #openDetail() {
    this.#isDetailOpen = true;
    this.#drawDetail();
    byId("peer-detail").querySelector("button")?.focus();
  }

  #drawDetail() {
    const host = byId("peer-detail"), row = this.#isDetailOpen ? this.table.row(this.table.active) : undefined;
    host.hidden = !row;
    if (!row) return;
    if (host.dataset.key !== row.key) {
      host.dataset.key = row.key;
      host.replaceChildren(...this.#detailParts(row.key));
    }
    const [, title, , facts, historyTitle, history] = host.children;
    setText(title, row.key);
    const left = this.#store.until(row), record = row.swarm_peer ?? {};
    const lines = [
      ["State", `${GLYPH[row.state]} ${PEER_WORD[row.state]} since ${seconds(this.#store.since(row))}`],
      row.state === "failed" && ["Reason", plain(row.reason || record.last_error) || NONE],
      row.state === "failed" && ["Next try", record.ban_reason ? `never: ${plain(record.ban_reason)}` : left > 0 ? `in ${countdown(left)}` : Number.isFinite(left) ? "when a slot is free" : NONE],
      (row.state === "connecting" || row.state === "handshaking") && ["Gives up", Number.isFinite(left) ? `in ${countdown(left)}` : NONE],
      row.state === "queued" && ["Place", row.place ? `${row.place} of this torrent's candidates` : NONE],
      ["Client", plain(row.connection?.client_name || record.client_name) || "?"],
      ["Source", plain(record.source) || NONE],
      ["Attempts", `${whole(record.attempts)}, failed in a row: ${whole(record.failures)}`],
      ["Downloaded", exactBytes(record.downloaded)], ["Uploaded", exactBytes(record.uploaded)],
      row.connection && ["Flags", row.connection.flags ? flagsInWords(row.connection.flags).replaceAll("\n", "; ") : NONE],
      ["Phases", PHASES.map((phase) => `${PHASE_WORD[phase]} ${span(this.#phase(row, phase))}`).join(", ")],
    ].filter(Boolean);
    drawFacts(facts, lines);
    const past = [...(row.history ?? [])].reverse();
    historyTitle.hidden = past.length === 0;
    while (history.children.length > past.length) history.lastChild.remove();
    while (history.children.length < past.length) history.append(element("li", {}, phaseBar(), element("span")));
    past.forEach((attempt_, place) => {
      const [bar, text] = history.children[place].children;
      drawPhases(bar, PHASES.map((phase) => attempt_[phase]), attempt_.outcome);
      const ago = -this.#store.fromNow(attempt_.ended_at);
      const which = attempt_.number ? `attempt ${attempt_.number}` : "it dialled us";
      setText(text, `${which}: ${inWords(attempt_.outcome)}${attempt_.reason && attempt_.reason !== attempt_.outcome ? ` (${plain(attempt_.reason)})` : ""}`
        + `${attempt_.connected ? `, connected for ${seconds(attempt_.connected)}` : ""}${Number.isFinite(ago) ? `, ${seconds(ago)} ago` : ""}`);
      setAttribute(text, "title", Number.isFinite(ago) ? clockTime(new Date(Date.now() - 1000 * ago)) : "");
    });
  }

  #detailParts(key) {
    const act = (text, action) => element("button", { type: "button", onclick: action }, text);
    const isBanned = Boolean(this.table.row(key)?.swarm_peer?.ban_reason);
    return [
      element("button", { type: "button", class: "quiet close", "aria-label": "Close the peer's detail", onclick: () => this.#closeDetail() }, "✕"),
      element("h3", {}, key),
      element("div", { class: "buttons" }, act("Copy address", () => this.#copy([key])),
        isBanned ? act("Unban", () => this.#ban([key], false)) : act("Ban", () => this.#ban([key], true))),
      element("dl", { class: "facts" }), element("h4", {}, "Earlier attempts"), element("ol", { class: "history" }),
    ];
  }

  #closeDetail() {
    this.#isDetailOpen = false;
    this.#drawDetail();
    this.table.grid.focus();
  }

  // ── what can be done ─────────────────────────────────────────────────────────────────────────────────────────────────

  #menu(anchor) {
    const keys = [...this.table.selected];
    if (!keys.length) return;
    const banned = keys.filter((key) => this.table.row(key)?.swarm_peer?.ban_reason);
    showMenu(anchor, [
      { text: "Show its history", action: () => this.#openDetail() },
      { text: keys.length === 1 ? "Copy the address" : `Copy ${keys.length} addresses`, action: () => this.#copy(keys) },
      { separator: true },
      { text: "Ban: never dial it again", danger: true, disabled: banned.length === keys.length, action: () => this.#ban(keys, true) },
      { text: "Unban", disabled: !banned.length, action: () => this.#ban(banned, false) },
    ], "Actions for peers");
  }

  #copy(keys) {
    attempt("Could not copy", () => navigator.clipboard.writeText(keys.join("\n")), keys.length === 1 ? `copied ${keys[0]}` : `copied ${keys.length} addresses`);
  }

  #ban(keys, isBan) {
    for (const key of keys) attempt(`Could not ${isBan ? "ban" : "unban"} ${key}`, () => (isBan ? api.ban : api.unban)(this.#infoHash, key), `${key} ${isBan ? "is banned" : "may be dialled again"}`);
    byId("peer-detail").dataset.key = "";
  }

  async #add(event) {
    event.preventDefault();
    const field = event.target.elements.peer, peers = field.value.split(/[\s,]+/).filter(Boolean);
    if (!peers.length || !this.#infoHash) return;
    if (await attempt("Could not add it", () => api.addPeers(this.#infoHash, peers), "added: it waits for its turn")) field.value = "";
  }

  // ── columns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #phase(row, phase) {
    const lasting = { queued: "waited", connecting: "connecting", handshaking: "handshaking" }[row.state];
    return (row[phase] ?? NaN) + (phase === lasting ? this.#store.since(row) || 0 : 0);
  }

  #columns() {
    const live = (row) => row.connection ?? {};
    const record = (row) => row.swarm_peer ?? {};
    const text = (key, title, width, value, more = {}) => textColumn({ key, title, width, by: more.by ?? value, ...more }, value, more.tip);
    const number = (key, title, width, value, by, more = {}) => text(key, title, width, value, { end: true, by, ...more });
    return [
      { key: "state", title: "State", width: 164, by: (row) => PEER_ORDER[row.state] * 1e6 + (row.place ?? 0), draw: (cell, row) => this.#drawState(cell, row) },
      text("address", "Address", 184, (row) => row.key),
      text("client", "Client", 132, (row) => plain(live(row).client_name || record(row).client_name) || "?", { tip: (row) => plain(live(row).client_name || record(row).client_name) }),
      number("percent", "%", 48, (row) => (row.connection ? share(live(row).progress) : NONE), (row) => live(row).progress),
      number("down", "Down", 80, (row) => rate(live(row).download_rate), (row) => live(row).download_rate),
      number("up", "Up", 80, (row) => rate(live(row).upload_rate), (row) => live(row).upload_rate),
      number("downloaded", "Downloaded", 100, (row) => (record(row).downloaded ? bytes(record(row).downloaded) : NONE), (row) => record(row).downloaded, { tip: (row) => exactBytes(record(row).downloaded) }),
      number("uploaded", "Uploaded", 84, (row) => (record(row).uploaded ? bytes(record(row).uploaded) : NONE), (row) => record(row).uploaded, { tip: (row) => exactBytes(record(row).uploaded) }),
      text("flags", "Flags", 56, (row) => live(row).flags || NONE, { tip: (row) => flagsInWords(live(row).flags ?? ""), help: "Every letter is explained under “Flags”" }),
      number("reqs", "Reqs", 46, (row) => (row.connection ? String(live(row).num_requests) : NONE), (row) => live(row).num_requests, { help: "Blocks that it was asked for and that are not here yet" }),
      text("source", "Source", 68, (row) => plain(record(row).source) || NONE, { help: "Who named it" }),
      number("attempts", "Tries", 44, (row) => whole(record(row).attempts), (row) => record(row).attempts, { help: "How often we dialled it" }),
      text("error", "Last error", 150, (row) => plain(record(row).ban_reason ? `banned: ${record(row).ban_reason}` : inWords(record(row).last_error)), { tip: (row) => plain(record(row).last_error) }),
      number("next", "Next try", 74, (row) => this.#nextTry(row), (row) => -this.#store.until(row), { tip: (row) => exactTime(this.#store.until(row)) }),
      number("place", "Place", 48, (row) => (row.place ? String(row.place) : NONE), (row) => row.place ?? 0, { help: "Among this torrent's candidates; 1 is dialled next" }),
      { key: "phases", title: "Phases", help: "Waited for a slot, connecting, handshaking: in proportion", width: 92, by: (row) => PHASES.reduce((sum, phase) => sum + (row[phase] ?? 0), 0), draw: (cell, row) => this.#drawPhases(cell, row) },
      text("encryption", "Encryption", 84, (row) => (!row.connection ? NONE : live(row).flags.includes("E") ? "encrypted" : "plain"), { hidden: true }),
      text("transport", "Transport", 72, (row) => plain(live(row).transport) || (row.connection ? "TCP" : NONE), { hidden: true }),
    ];
  }

  #nextTry(row) {
    return row.state !== "failed" || row.swarm_peer?.ban_reason ? NONE : Number.isFinite(this.#store.until(row)) ? countdown(this.#store.until(row)) : NONE;
  }

  #drawState(cell, row) {
    if (!cell.firstChild) cell.append(element("span", { class: "glyph", "aria-hidden": "true" }), element("span", { class: "word" }), element("span", { class: "for" }));
    const [glyph, word, lasts] = cell.children, since = this.#store.since(row);
    setText(glyph, GLYPH[row.state]);
    setAttribute(glyph, "class", `glyph is-${row.state}`);
    setText(word, row.is_gone ? "Gone" : PEER_WORD[row.state]);
    setText(lasts, row.state === "failed" ? "" : seconds(since));
    setAttribute(cell, "title", Number.isFinite(since) ? `since ${exactTime(-since)}${row.reason ? `: ${plain(row.reason)}` : ""}` : plain(row.reason));
  }

  #drawPhases(cell, row) {
    if (!cell.firstChild) cell.append(phaseBar());
    drawPhases(cell.firstChild, PHASES.map((phase) => this.#phase(row, phase)), row.state === "failed" ? "failed" : "");
    setAttribute(cell, "title", cell.firstChild.title);
  }
}

function share(progress) {
  return !Number.isFinite(progress) ? NONE : progress >= 1 ? "100" : (Math.floor(progress * 1000) / 10).toFixed(1);
}

// The three phases of an attempt, in proportion
function phaseBar() {
  return element("span", { class: "phases", role: "img" }, ...PHASES.map((phase) => element("span", { class: `phase is-${phase}` })));
}

function drawPhases(bar, times, outcome) {
  const total = times.reduce((sum, time) => sum + (time || 0), 0);
  const words = total > 0 ? PHASES.map((phase, place) => `${PHASE_WORD[phase]} ${span(times[place] || 0)}`).join(", ") : "no attempt yet";
  [...bar.children].forEach((part, place) => setVariable(part, "--part", total > 0 ? ((times[place] || 0) / total).toFixed(3) : "0"));
  setClass(bar, "has-failed", Boolean(outcome) && outcome !== "connected");
  setAttribute(bar, "title", words);
  setAttribute(bar, "aria-label", words);
}

// A definition list whose lines change in place
export function drawFacts(list, lines) {
  while (list.children.length > 2 * lines.length) list.lastChild.remove();
  lines.forEach(([term, value], place) => {
    if (!list.children[2 * place]) list.append(element("dt"), element("dd"));
    setText(list.children[2 * place], term);
    setText(list.children[2 * place + 1], value);
  });
}
