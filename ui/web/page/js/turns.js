// Turns: the picture of the engine's idea. Tokens, the half-open board, who is next, what was granted in the last minute, and the controls.

import { api } from "./api.js";
import { Board } from "./board.js";
import { byId, element, plain, setAttribute, setClass, setText, setVariable, svg } from "./elements.js";
import { countdown, plural, seconds, whole } from "./format.js";
import { attempt } from "./notices.js";
import { tint } from "./tint.js";

const MAX_DOTS = 40;                                    // beyond, a dot is several tokens
const SPARK_BARS = 30, SPARK_SECONDS = 2;               // a minute
const MAX_SHARES = 40;
const MAX_RING = 20;

export class Turns {
  constructor(store, select) {
    this.#store = store;
    this.#select = select;
    this.board = new Board(byId("board"), byId("board-words"), store, select);
    byId("spark").append(...Array.from({ length: SPARK_BARS }, (_, place) => svg("rect", { x: place * 4, width: 3, y: 20, height: 0 })));
    byId("pause").addEventListener("click", () => this.#pause());
    byId("profile").addEventListener("change", (event) => this.#change({ profile: event.target.value }));
    for (const form of document.querySelectorAll(".tune")) form.addEventListener("submit", (event) => this.#tune(event));
    for (const input of document.querySelectorAll(".tune input")) input.addEventListener("change", () => input.form.requestSubmit());
  }

  #store; #select;
  #bars = [];                                           // [start of the bar, granted]
  #granted = null;

  // The numbers of the limits, read again after each change
  async loadSettings() {
    const answer = await api.settings().catch(() => null);
    if (answer) this.showSettings(answer.settings ?? answer);
  }

  showSettings(settings) {
    byId("profile").value = settings.profile;
    for (const input of document.querySelectorAll(".tune input")) {
      if (document.activeElement !== input && settings[input.name] !== undefined) input.value = settings[input.name];
    }
  }

  draw() {
    const { queue } = this.#store;
    this.board.draw();
    this.#drawTokens(queue);
    this.#drawRing(queue);
    this.#drawShares();
    this.#drawSpark(queue);
    setText(byId("half-open"), `${whole(queue.half_open)}/${whole(queue.half_open_limit)}`);
    const failed = queue.failed ?? {}, lag = this.#largestLag();
    const rows = {
      "count-connected": `${whole(queue.connected)} of ${whole(queue.global_limit)}`,
      "count-unanswered": queue.unanswered_limit ? `${whole(queue.unanswered)} of ${whole(queue.unanswered_limit)}` : whole(queue.unanswered),
      "count-waiting": `${plural(queue.pending ?? NaN, "request")}, longest ${seconds(queue.oldest_wait)}`,
      "count-lag": lag === null ? "–" : lag.toFixed(Math.abs(lag) < 9.95 ? 1 : 0),
      "count-refused": whole(failed.refused ?? 0), "count-timed-out": whole(failed.timed_out ?? 0), "count-busy": whole(failed.local_busy ?? 0),
      "count-granted": `${whole(queue.granted_last_minute)} a minute`,
    };
    for (const [id, text] of Object.entries(rows)) setText(byId(id), text);
    const isPaused = Boolean(queue.paused);
    const pause = byId("pause");
    setText(pause, isPaused ? "Resume" : "Pause");
    setAttribute(pause, "aria-pressed", String(isPaused));
    const slowed = queue.slowed_before !== null && queue.slowed_before < 60 && queue.slowed_by ? `slowed down: ${queue.slowed_by}` : "";
    setText(byId("turns-note"), plain(isPaused ? `paused: ${queue.paused}` : slowed));
    setClass(byId("turns"), "is-paused", isPaused);
  }

  #drawTokens(queue) {
    const host = byId("tokens"), burst = queue.burst ?? 0;
    const dots = Math.min(burst, MAX_DOTS), full = burst ? Math.floor(((queue.tokens ?? 0) / burst) * dots) : 0;
    while (host.children.length > dots) host.lastChild.remove();
    while (host.children.length < dots) host.append(element("i"));
    [...host.children].forEach((dot, place) => setClass(dot, "is-full", place < full));
    setText(byId("token-count"), `${Math.floor(queue.tokens ?? 0)}/${burst}`);
    setText(byId("rate-words"), queue.rate_per_second ? `${+queue.rate_per_second.toFixed(1)}/s, burst ${burst}` : queue.burst ? "unlimited" : "");
  }

  #drawRing(queue) {
    const host = byId("ring"), next = (queue.next_up ?? []).slice(0, MAX_RING);
    while (host.children.length > next.length) host.lastChild.remove();
    while (host.children.length < next.length) {
      const button = element("button", { type: "button", class: "chip", onclick: (event) => this.#select(event.currentTarget.dataset.hash) });
      host.append(element("li", {}, button));
    }
    next.forEach((infoHash, place) => {
      const button = host.children[place].firstChild, torrent = this.#store.torrents.get(infoHash), name = plain(torrent?.name ?? infoHash.slice(0, 8));
      if (button.dataset.hash !== infoHash) {
        button.dataset.hash = infoHash;
        setVariable(button, "--tint", tint(infoHash));
      }
      setText(button, shortName(name));
      const wait = torrent?.turn?.waiting_since_at ? -this.#store.fromNow(torrent.turn.waiting_since_at) : NaN;
      setAttribute(button, "title", Number.isFinite(wait) ? `${name}, waits for ${countdown(wait)}` : name);
    });
    byId("ring-empty").hidden = next.length > 0;
  }

  #drawShares() {
    const host = byId("shares");
    const parts = [...this.#store.torrents.values()].map((row) => [row.info_hash, row.turn?.granted_last_minute ?? 0, row.name])
      .filter(([, granted]) => granted > 0).sort((left, right) => (left[0] < right[0] ? -1 : 1)).slice(0, MAX_SHARES);
    while (host.children.length > parts.length) host.lastChild.remove();
    while (host.children.length < parts.length) host.append(element("span"));
    parts.forEach(([infoHash, granted, name], place) => {
      setVariable(host.children[place], "--part", String(granted));
      setVariable(host.children[place], "--tint", tint(infoHash));
      setAttribute(host.children[place], "title", `${plain(name)}: ${plural(granted, "connection")} granted in the last minute`);
    });
    setAttribute(host, "aria-label", parts.length ? `connections granted in the last minute, by torrent: ${parts.map(([, granted, name]) => `${plain(name)} ${granted}`).join(", ")}` : "no connection granted in the last minute");
  }

  #drawSpark(queue) {
    if (!Number.isFinite(queue.granted)) return;
    const start = Math.floor(performance.now() / 1000 / SPARK_SECONDS) * SPARK_SECONDS;
    const news = this.#granted === null || queue.granted < this.#granted ? 0 : queue.granted - this.#granted;
    this.#granted = queue.granted;
    if (this.#bars.at(-1)?.[0] === start) this.#bars.at(-1)[1] += news;
    else this.#bars.push([start, news]);
    while (this.#bars.length && this.#bars[0][0] <= start - SPARK_BARS * SPARK_SECONDS) this.#bars.shift();
    const by = new Map(this.#bars), highest = Math.max(1, ...by.values());
    [...byId("spark").children].forEach((bar, place) => {
      const count = by.get(start - (SPARK_BARS - 1 - place) * SPARK_SECONDS) ?? 0, height = Math.round((20 * count) / highest);
      setAttribute(bar, "y", 20 - height);
      setAttribute(bar, "height", height || "0");
    });
  }

  #largestLag() {
    let largest = null;
    for (const row of this.#store.torrents.values()) {
      if (Number.isFinite(row.turn?.lag) && (largest === null || row.turn.lag > largest)) largest = row.turn.lag;
    }
    return largest;
  }

  #pause() {
    const isPaused = Boolean(this.#store.queue.paused);
    attempt(isPaused ? "Could not resume" : "Could not pause", isPaused ? api.resume : api.pause);
  }

  #tune(event) {
    event.preventDefault();
    const input = event.target.querySelector("input");
    if (input.value !== "" && input.checkValidity()) this.#change({ [input.name]: Number(input.value) });
    else input.reportValidity();
  }

  #change(values) {
    attempt("Could not change it", async () => this.showSettings((await api.setSettings(values)).settings));
  }
}

// What a name is called where there is little room: without its ending, cut
function shortName(name) {
  const stem = name.replace(/\.(iso|img|bin|zip|tar|gz|xz|mkv|mp4|epub|pdf)$/i, "");
  return stem.length > 16 ? `${stem.slice(0, 15)}…` : stem;
}
