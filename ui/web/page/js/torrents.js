// The list of torrents: sorted, filtered, several selected at once, and why one of them does not connect.

import { api } from "./api.js";
import { byId, element, plain, setAttribute, setClass, setText, setVariable } from "./elements.js";
import { NONE, bytes, exactBytes, percent, rate, seconds, whole } from "./format.js";
import { showMenu } from "./menu.js";
import { attempt } from "./notices.js";
import { VirtualTable, textColumn } from "./virtual_table.js";
import { GLYPH, PEER_STATES, TORRENT_WORD, countsInWords, torrentGlyph, whyLine } from "./words.js";

const TORRENT_GLYPH = { ...GLYPH, stopped: "■", checking: "◌", seeding: "▲" };
const COUNT_STATES = PEER_STATES.filter((state) => state !== "handshaking");    // handshaking counts as connecting here, for want of room

export class Torrents {
  constructor(store, { open, remove }) {
    this.#store = store;
    this.#remove = remove;
    this.table = new VirtualTable(byId("torrents"), {
      name: "torrents", label: "Torrents", key: (row) => row.info_hash, sort: { key: "name", descending: false },
      columns: this.#columns(), drawRow: (made, row) => setClass(made, "is-idle", row.state === "stopped"),
    });
    this.table.addEventListener("open", () => this.active && open(this.active));
    this.table.addEventListener("menu", (event) => this.showActions(event.detail));
    this.table.grid.addEventListener("keydown", (event) => this.#typed(event));
    this.filter = byId("filter");
    this.filter.addEventListener("input", () => this.draw());
    this.filter.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.filter.value = "";
      if (event.key === "Escape" || event.key === "Enter" || event.key === "ArrowDown") {
        event.preventDefault();
        this.draw();
        this.focus();
      }
    });
    byId("torrent-columns").addEventListener("click", (event) => showMenu(event.currentTarget, columnItems(this.table), "Columns of the torrents"));
    byId("torrent-actions").addEventListener("click", (event) => this.showActions(event.currentTarget));
    for (const state of ["", ...Object.keys(TORRENT_WORD)]) byId("state-filter").append(element("option", { value: state }, TORRENT_WORD[state] ?? "All states"));
    byId("state-filter").addEventListener("change", () => this.draw());
  }

  #store; #remove;

  get active() {
    return this.#store.torrents.get(this.table.active) ?? null;
  }

  get chosen() {
    return [...this.table.selected].map((key) => this.#store.torrents.get(key)).filter(Boolean);
  }

  focus() {
    this.table.grid.focus();
    if (this.table.active === null && this.table.rows.length) this.table.activate(this.table.rows[0].info_hash);
  }

  draw() {
    const wanted = this.filter.value.trim().toLowerCase(), state = byId("state-filter").value;
    const all = [...this.#store.torrents.values()];
    const shown = all.filter((row) => (!state || row.state === state) && (!wanted || row.name.toLowerCase().includes(wanted) || row.info_hash.startsWith(wanted)));
    this.table.setRows(shown);
    const isEmpty = this.#store.hasSnapshot && !shown.length;
    byId("no-torrents").hidden = !isEmpty || all.length > 0;
    byId("nothing-found").hidden = !isEmpty || all.length === 0;
    setText(byId("torrent-count"), shown.length === all.length ? `${whole(all.length)} torrents` : `${whole(shown.length)} of ${whole(all.length)} torrents`);
    const chosen = this.table.selected.size;
    setText(byId("chosen-count"), chosen > 1 ? `${chosen} selected` : "");
    byId("torrent-actions").disabled = chosen === 0;
  }

  showActions(anchor) {
    const chosen = this.chosen;
    if (!chosen.length) return;
    const canStart = chosen.some((row) => row.state === "stopped" || row.state === "error");
    const canStop = chosen.some((row) => row.state !== "stopped");
    showMenu(anchor, [
      { text: "Start", disabled: !canStart, action: () => this.start(chosen) },
      { text: "Stop", disabled: !canStop, action: () => this.stop(chosen) },
      { separator: true },
      { text: "Ask the trackers now", action: () => this.#each("announce", chosen, api.announce) },
      { text: "Check the files again", action: () => this.#each("check", chosen, api.recheck) },
      { separator: true },
      { heading: "Priority of its turns" },
      ...["high", "normal", "low"].map((priority) => ({ text: priority[0].toUpperCase() + priority.slice(1), action: () => this.#each("set the priority of", chosen, (hash) => api.setPriority(hash, priority)) })),
      { separator: true },
      { text: "Copy the info hash", action: () => attempt("copy", () => navigator.clipboard.writeText(chosen.map((row) => row.info_hash).join("\n")), "copied") },
      { text: "Remove…", danger: true, action: () => this.#remove(chosen) },
    ], chosen.length === 1 ? `Actions for ${plain(chosen[0].name)}` : `Actions for ${chosen.length} torrents`);
  }

  start(rows) {
    return this.#each("start", rows.filter((row) => row.state === "stopped" || row.state === "error"), api.start);
  }

  stop(rows) {
    return this.#each("stop", rows.filter((row) => row.state !== "stopped"), api.stop);
  }

  #each(what, rows, action) {
    return Promise.all(rows.map((row) => attempt(`Could not ${what} ${row.name}`, () => action(row.info_hash))));
  }

  #typed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") {
      event.preventDefault();
      const chosen = this.chosen;
      if (chosen.some((row) => row.state === "stopped" || row.state === "error")) this.start(chosen);
      else this.stop(chosen);
    } else if (event.key === "Delete" && this.chosen.length) {
      event.preventDefault();
      this.#remove(this.chosen);
    }
  }

  #columns() {
    const number = (key, title, width, text, by, more = {}) => textColumn({ key, title, width, end: true, by, ...more }, text, more.tip);
    return [
      { key: "name", title: "Name", width: 260, grows: true, by: (row) => row.name, draw: drawName },
      number("size", "Size", 74, (row) => bytes(row.total_bytes), (row) => row.total_bytes, { tip: (row) => exactBytes(row.total_bytes) }),
      { key: "progress", title: "%", help: "How much is verified", width: 76, end: true, by: (row) => row.verified_bytes / (row.total_bytes || 1), draw: drawProgress },
      { key: "state", title: "State", width: 98, by: (row) => row.state, draw: (cell, row) => setText(cell, TORRENT_WORD[row.state] ?? row.state) },
      number("down", "Down", 82, (row) => rate(row.download_rate), (row) => row.download_rate),
      number("up", "Up", 82, (row) => rate(row.upload_rate), (row) => row.upload_rate),
      number("eta", "ETA", 70, (row) => seconds(eta(row)), (row) => -eta(row)),
      { key: "peers", title: "Peers ● ◔ ○ ✕", help: "Connected, connecting (with handshaking), queued, failed", width: 128, end: true, by: (row) => row.peers_by_state?.connected ?? 0, draw: drawCounts },
      number("ratio", "Ratio", 58, (row) => (row.downloaded > 0 ? (row.uploaded / row.downloaded).toFixed(2) : NONE), (row) => row.uploaded / (row.downloaded || Infinity), { help: "Uploaded to downloaded, in this run of the client" }),
      number("grants", "Turns", 58, (row) => whole(row.turn?.granted_last_minute), (row) => row.turn?.granted_last_minute ?? 0, { help: "Connections granted to it in the last minute" }),
      { key: "why", title: "Why it does not connect", width: 330, grows: true, by: (row) => row.why, draw: (cell, row) => this.#drawWhy(cell, row) },
      number("downloaded", "Downloaded", 92, (row) => bytes(row.downloaded), (row) => row.downloaded, { hidden: true }),
      number("uploaded", "Uploaded", 92, (row) => bytes(row.uploaded), (row) => row.uploaded, { hidden: true }),
      number("wasted", "Wasted", 80, (row) => bytes(row.wasted), (row) => row.wasted, { hidden: true, help: "Bytes that were received and are of no use" }),
      textColumn({ key: "hash", title: "Info hash", width: 300, hidden: true, by: (row) => row.info_hash }, (row) => row.info_hash),
    ];
  }

  #drawWhy(cell, row) {
    const text = plain(whyLine(row, this.#store.fromNow(row.why_until)));
    setText(cell, text);
    setAttribute(cell, "title", text);
    setClass(cell, "is-error", Boolean(row.error));
  }
}

function eta(row) {
  const left = row.total_bytes - row.verified_bytes;
  return left > 0 && row.download_rate > 0 ? left / row.download_rate : NaN;
}

function drawName(cell, row) {
  if (!cell.firstChild) cell.append(element("span", { class: "glyph" }), element("bdi", { class: "name" }));
  const [glyph, name] = cell.children, state = torrentGlyph(row), text = plain(row.name);
  setText(glyph, TORRENT_GLYPH[state]);
  setAttribute(glyph, "class", `glyph is-${state}`);
  setAttribute(glyph, "aria-hidden", "true");
  setText(name, text);
  setAttribute(cell, "title", text);
}

function drawProgress(cell, row) {
  if (!cell.firstChild) cell.append(element("span", { class: "bar", "aria-hidden": "true" }), element("span", { class: "figure" }));
  const isChecking = row.state === "checking" && row.num_pieces;
  const text = isChecking ? percent(row.pieces_checked, row.num_pieces) : percent(row.verified_bytes, row.total_bytes);
  setText(cell.lastChild, text);
  setVariable(cell.firstChild, "--part", String((parseFloat(text) || 0) / 100));
  setAttribute(cell, "title", `${exactBytes(row.verified_bytes)} of ${exactBytes(row.total_bytes)} verified`);
}

function drawCounts(cell, row) {
  if (!cell.firstChild) cell.append(...COUNT_STATES.map((state) => element("span", { class: `count is-${state}` })));
  const counts = row.peers_by_state ?? {};
  COUNT_STATES.forEach((state, place) => {
    const count = (counts[state] ?? 0) + (state === "connecting" ? counts.handshaking ?? 0 : 0);
    setText(cell.children[place], String(count));
    setClass(cell.children[place], "is-zero", count === 0);
  });
  const words = countsInWords(counts);
  setAttribute(cell, "title", words);
  setAttribute(cell, "aria-label", words);
}

// The items of a menu that sorts by columns, shows and hides them, and makes them wider or narrower
export function columnItems(table) {
  return [
    { heading: "Shown columns" },
    ...table.columns.map((column) => ({ text: column.title, checked: table.isShown(column.key), stays: true, action: () => table.show(column.key, !table.isShown(column.key)) })),
    { separator: true },
    { heading: "Sort by" },
    ...table.visibleColumns.map((column) => ({ text: column.title, action: () => table.sortBy(column.key, Boolean(column.end)) })),
  ];
}
