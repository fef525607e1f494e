// The lower half: one torrent under seven tabs.

import { api } from "./api.js";
import { byId, element, isolated, plain, sentence, setText } from "./elements.js";
import { NONE, bytes, clockTime, exactBytes, percent, rate, seconds, whole } from "./format.js";
import { listenToTabs } from "./keyboard.js";
import { attempt } from "./notices.js";
import { drawFacts } from "./peers.js";
import { drawChart } from "./chart.js";
import { recall, remember } from "./remembered.js";
import { drawPieces } from "./pieces.js";
import { GLYPH, PEER_WORD } from "./words.js";

export const TABS = ["peers", "pieces", "files", "trackers", "speed", "log", "about"];
const REFRESH_SECONDS = { files: 3, trackers: 3, about: 30, pieces: 3 };
const FILE_PRIORITIES = ["high", "normal", "low", "skip"];
const MAX_LOG_LINES = 200;

export class Details {
  constructor(store, peers, rates, steps) {
    this.#store = store;
    this.#peers = peers;
    this.#rates = rates;
    this.#steps = steps;
    this.#mark = listenToTabs(byId("tabs"), (name) => this.showTab(name));
    byId("log-filter").addEventListener("input", () => this.#drawLog());
    this.showTab(TABS.includes(recall("tab", "")) ? recall("tab", "") : "peers");
  }

  #store; #peers; #rates; #steps; #mark;
  #tab = "peers";
  #infoHash = "";
  #loaded = { key: "", at: -Infinity };                 // what was asked for last

  get infoHash() {
    return this.#infoHash;
  }

  show(infoHash) {
    if (infoHash === this.#infoHash) return;
    this.#infoHash = infoHash;
    this.#peers.show(infoHash);
    for (const id of ["file-list", "tracker-list", "about-facts"]) byId(id).replaceChildren();
    this.draw();
  }

  showTab(name) {
    this.#tab = name;
    remember("tab", name);
    this.#mark(name);
    this.draw();
  }

  draw() {
    const torrent = this.#store.torrents.get(this.#infoHash);
    byId("details").classList.toggle("is-empty", !torrent);
    byId("details-empty").hidden = Boolean(torrent);
    byId("panels").hidden = !torrent;
    setText(byId("details-name"), torrent ? plain(torrent.name) : "");
    if (!torrent) return;
    if (this.#tab === "peers") this.#peers.draw();
    else if (this.#tab === "pieces") drawPieces(byId("pieces-host"), torrent);
    else if (this.#tab === "speed") this.#drawSpeed(torrent);
    else if (this.#tab === "log") this.#drawLog();
    this.#refresh();
  }

  // What does not come with the events is asked for while it is looked at
  async #refresh() {
    const pause = REFRESH_SECONDS[this.#tab], key = `${this.#tab} ${this.#infoHash}`, now = performance.now() / 1000;
    if (!pause || (this.#loaded.key === key && now - this.#loaded.at < pause) || this.#store.connection.state !== "live") return;
    this.#loaded = { key, at: now };
    const [infoHash, tab] = [this.#infoHash, this.#tab];
    try {
      const value = tab === "files" ? await api.files(infoHash) : tab === "trackers" ? await api.trackers(infoHash) : tab === "about" ? await api.torrent(infoHash) : null;
      if (infoHash !== this.#infoHash || tab !== this.#tab || value === null) return;
      if (tab === "files") this.#drawFiles(value.files ?? []);
      else if (tab === "trackers") this.#drawTrackers(value);
      else this.#drawAbout(value);
    } catch (error) {
      const host = { files: "file-list", trackers: "tracker-list", about: "about-facts" }[tab];
      if (host && infoHash === this.#infoHash) byId(host).replaceChildren(sentence(plain(error.message), { class: "sentence is-error" }));
    }
  }

  // ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #drawFiles(files) {
    const host = byId("file-list"), torrent = this.#store.torrents.get(this.#infoHash);
    const head = element("thead", {}, element("tr", {}, ...["Name", "Size", "%", "Priority"].map((title, place) => element("th", { scope: "col", class: place && place < 3 ? "is-end" : null }, title))));
    const isWhole = torrent && torrent.verified_bytes >= torrent.total_bytes;
    const rows = files.map((file) => {
      const done = file.verified ?? file.verified_bytes ?? (isWhole ? file.length : NaN);
      return element("tr", {}, element("th", { scope: "row" }, isolated(file.path)), element("td", { class: "is-end", title: exactBytes(file.length) }, bytes(file.length)),
        element("td", { class: "is-end" }, file.length === 0 ? "100" : percent(done, file.length)), element("td", {}, this.#priorityOf(file)));
    });
    if (host.contains(document.activeElement)) return;                // somebody chooses right now
    host.replaceChildren(element("table", { class: "plain" }, head, element("tbody", {}, ...rows)));
  }

  #priorityOf(file) {
    if (file.priority === undefined) return NONE;
    const name = typeof file.priority === "number" ? FILE_PRIORITIES[3 - Math.min(3, file.priority)] : file.priority;
    const choices = FILE_PRIORITIES.includes(name) ? FILE_PRIORITIES : [...FILE_PRIORITIES, name];
    const select = element("select", { "aria-label": `Priority of ${plain(file.path)}` }, ...choices.map((value) => element("option", { value }, value)));
    select.value = name;
    select.addEventListener("change", async () => {
      await attempt("Could not change it", () => api.setFiles(this.#infoHash, { priorities: { [file.index]: select.value } }));
      select.blur();
      this.#loaded.key = "";
    });
    return select;
  }

  // ── trackers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #drawTrackers({ trackers, tiers = [], error = "" }) {
    const rows = trackers ?? tiers.flatMap((tier, place) => tier.map((url) => ({ url, tier: place + 1 })));
    const host = byId("tracker-list");
    if (!rows.length) {
      host.replaceChildren(sentence("This torrent names no tracker. Its peers come from other peers, or by hand: see Peers."));
      return;
    }
    const known = [["Tier", (row) => whole(row.tier)], ["Tracker", (row) => isolated(row.url)], ["State", (row) => row.state], ["Last error", (row) => row.error],
      ["Next announce", (row) => (Number.isFinite(row.next_in ?? row.next_announce_in) ? `in ${seconds(row.next_in ?? row.next_announce_in)}` : undefined)],
      ["Peers", (row) => row.peers ?? row.num_peers], ["Seeds", (row) => row.seeds ?? row.num_seeds]];
    const columns = known.filter(([, value]) => rows.some((row) => value(row) !== undefined && value(row) !== NONE));
    const table = element("table", { class: "plain" }, element("thead", {}, element("tr", {}, ...columns.map(([title]) => element("th", { scope: "col" }, title)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...columns.map(([, value]) => {
        const shown = value(row);
        return element("td", {}, shown instanceof Node ? shown : plain(shown ?? NONE) || NONE);
      })))));
    host.replaceChildren(table, ...(error ? [sentence(`The last answer was an error: ${plain(error)}`, { class: "sentence is-error" })] : []));
  }

  // ── about ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #drawAbout(row) {
    const lines = [
      ["Name", plain(row.name)], ["Info hash", row.info_hash], ["Folder", plain(row.folder)], ["Size", `${bytes(row.total_bytes)} (${exactBytes(row.total_bytes)}) in ${whole(row.num_files)} files`],
      ["Pieces", `${whole(row.num_pieces)} of ${bytes(row.piece_length)}`], ["Priority", row.priority], ["Private", row.private ? "yes: only its trackers name peers" : "no"],
      ["Came from", plain(row.source)], ["Comment", plain(row.comment)], ["Made by", plain(row.created_by)],
      ["Made", row.creation_date ? clockTime(new Date(1000 * row.creation_date)) : ""], ["Web seeds", (row.web_seeds ?? []).map(plain).join(", ")],
      ["This run", `${bytes(row.downloaded)} downloaded, ${bytes(row.uploaded)} uploaded, ${bytes(row.wasted)} wasted`],
    ];
    const host = byId("about-facts");
    if (host.firstElementChild?.tagName === "P") host.replaceChildren();
    drawFacts(host, lines.map(([term, value]) => [term, value || NONE]));
  }

  // ── speed and log ────────────────────────────────────────────────────────────────────────────────────────────────────

  #drawSpeed(torrent) {
    const kept = this.#rates.of(this.#infoHash);
    drawChart(byId("chart"), kept);
    const average = (list) => (list.length ? list.reduce((sum, value) => sum + value, 0) / list.length : 0);
    const highest = (list) => list.reduce((most, value) => Math.max(most, value), 0);
    setText(byId("speed-words"), kept.down.length < 2 ? "Rates appear here as soon as this torrent moves data; this page keeps an hour of them while it is open."
      : `Now ▼ ${rate(torrent.download_rate)}, ▲ ${rate(torrent.upload_rate)}. In ${seconds(kept.down.length * kept.stepSeconds)}: average ▼ ${rate(average(kept.down))}, `
        + `▲ ${rate(average(kept.up))}; most ▼ ${rate(highest(kept.down))}, ▲ ${rate(highest(kept.up))}.`);
  }

  #drawLog() {
    const wanted = byId("log-filter").value.trim().toLowerCase(), host = byId("log-lines");
    const lines = this.#steps.of(this.#infoHash).filter((step) => !wanted || `${step.peer} ${step.to} ${step.reason}`.toLowerCase().includes(wanted)).slice(-MAX_LOG_LINES).reverse();
    byId("log-empty").hidden = lines.length > 0;
    const key = `${this.#infoHash} ${wanted} ${lines[0]?.at.getTime()} ${lines.length}`;
    if (host.dataset.key === key) return;
    host.dataset.key = key;
    host.replaceChildren(...lines.map((step) => element("li", { title: clockTime(step.at) }, element("time", {}, step.at.toLocaleTimeString()),
      element("span", { class: "peer" }, step.peer), element("span", { class: `is-${step.to}` }, `${GLYPH[step.from]} → ${GLYPH[step.to]} ${PEER_WORD[step.to]}`),
      element("span", {}, plain(step.reason ? `${step.reason}, attempt ${step.attempt}` : `attempt ${step.attempt}`)))));
  }
}

