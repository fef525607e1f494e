// The half-open board: a cell for each slot of the limit, a dial under way in it, filling as its timeout runs.
//
// A dial keeps its cell until it is over, then the cell shows its outcome for a moment and is free. Where the client does not tell the
// single dials, cells are filled by the torrents' counts, and by the rows of the torrent whose peers are looked at.

import { element, plain, setAttribute, setText, setVariable } from "./elements.js";
import { seconds } from "./format.js";
import { tint } from "./tint.js";
import { GLYPH, PEER_WORD } from "./words.js";

const MAX_CELLS = 120;
const BLINK_SECONDS = 0.9;

export class Board {
  constructor(host, words, store, select) {
    this.#host = host;
    this.#words = words;
    this.#store = store;
    host.addEventListener("click", (event) => this.#chosen(event.target.closest(".slot"), select));
    host.addEventListener("pointerover", (event) => this.#point([...host.children].indexOf(event.target.closest(".slot"))));
    host.addEventListener("pointerleave", () => this.#point(-1));
    host.addEventListener("blur", () => this.#point(-1));
    host.addEventListener("focus", () => this.#point(0));
    host.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) this.#point(Math.min(host.children.length - 1, Math.max(0, this.#at + step)));
      else if (event.key === "Enter") this.#chosen(host.children[this.#at], select);
      else return;
      event.preventDefault();
    });
  }

  #host; #words; #store;
  #slots = [];                                          // the dial in each cell, or what is left of one
  #at = -1;                                             // the cell that is looked at

  draw() {
    const limit = Math.min(MAX_CELLS, this.#store.queue.half_open_limit ?? 0);
    this.#place(this.#dials(), limit);
    const cells = Math.max(limit, this.#slots.length);
    while (this.#host.children.length > cells) this.#host.lastChild.remove();
    while (this.#host.children.length < cells) {
      this.#host.append(element("span", { class: "slot", role: "option", id: `slot-${this.#host.children.length}`, "aria-selected": "false" }));
    }
    [...this.#host.children].forEach((cell, place) => this.#drawCell(cell, this.#slots[place]));
    this.#say();
  }

  #drawCell(cell, dial) {
    if (!dial) {
      setAttribute(cell, "class", "slot");
      setText(cell, "");
      setAttribute(cell, "aria-label", "free");
      return;
    }
    setAttribute(cell, "class", `slot is-${dial.outcome || dial.state}${dial.outcome ? " is-over" : ""}`);
    setText(cell, dial.outcome ? GLYPH[dial.outcome] ?? "" : "");
    setVariable(cell, "--tint", tint(dial.info_hash));
    setVariable(cell, "--part", this.#part(dial).toFixed(2));
    setAttribute(cell, "aria-label", this.#wordsOf(dial));
  }

  #part(dial) {
    const lasted = this.#store.since(dial), left = this.#store.until(dial);
    return Number.isFinite(lasted) && Number.isFinite(left) && lasted + left > 0 ? Math.min(1, Math.max(0, lasted / (lasted + left))) : 0.5;
  }

  #wordsOf(dial) {
    const name = plain(this.#store.torrents.get(dial.info_hash)?.name ?? "a torrent");
    const lasted = this.#store.since(dial), left = this.#store.until(dial);
    const state = dial.outcome ? PEER_WORD[dial.outcome] ?? "over" : PEER_WORD[dial.state];
    return `${name}${dial.peer ? ` to ${dial.peer}` : ""}: ${state}${Number.isFinite(lasted) ? ` for ${seconds(lasted)}` : ""}${left > 0 && !dial.outcome ? `, gives up in ${seconds(left)}` : ""}`;
  }

  // ── which dial is in which cell ──────────────────────────────────────────────────────────────────────────────────────

  #place(dials, limit) {
    const alive = new Map(dials.map((dial) => [dial.id, dial])), now = performance.now() / 1000;
    this.#slots = this.#slots.map((slot) => {
      if (!slot) return null;
      if (alive.has(slot.id)) {
        const dial = alive.get(slot.id);
        alive.delete(slot.id);
        return dial;
      }
      if (slot.outcome) return slot.overAt + BLINK_SECONDS > now ? slot : null;
      return { ...slot, outcome: this.#outcomeOf(slot), overAt: now };
    });
    for (const dial of alive.values()) {
      let free = this.#slots.findIndex((slot) => !slot);
      if (free < 0 || free >= Math.max(limit, 1)) free = this.#slots.findIndex((slot) => slot?.outcome);
      if (free < 0) free = this.#slots.length;
      if (free < MAX_CELLS) this.#slots[free] = dial;
    }
    while (this.#slots.length > limit && !this.#slots.at(-1)) this.#slots.pop();
  }

  #outcomeOf(slot) {
    const state = slot.peer ? this.#store.peersOf(slot.info_hash).get(slot.peer)?.state : undefined;
    return state === "connected" || state === "failed" ? state : "gone";
  }

  #dials() {
    const { queue, torrents } = this.#store;
    const told = queue.dials;
    if (Array.isArray(told)) return told.map((dial) => ({ ...dial, id: dial.grant_id, toldAt: queue.toldAt }));
    const dials = [];
    for (const row of torrents.values()) {
      const counts = row.peers_by_state ?? {}, rows = [...this.#store.peersOf(row.info_hash).values()];
      for (const state of ["connecting", "handshaking"]) {
        const known = rows.filter((peer) => peer.state === state).slice(0, counts[state] ?? 0);
        dials.push(...known.map((peer) => ({ ...peer, id: `${row.info_hash} ${peer.key}`, info_hash: row.info_hash, peer: peer.key })));
        for (let place = known.length; place < (counts[state] ?? 0); place += 1) {
          dials.push({ id: `${row.info_hash} ${state} ${place}`, info_hash: row.info_hash, state, toldAt: NaN });
        }
      }
    }
    return dials;
  }

  // ── who looks ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #point(at) {
    this.#at = at;
    this.#say();
  }

  #say() {
    const dial = this.#slots[this.#at], cells = this.#host.children;
    [...cells].forEach((cell, place) => setAttribute(cell, "aria-selected", place === this.#at ? "true" : "false"));
    setAttribute(this.#host, "aria-activedescendant", this.#at >= 0 && cells[this.#at] ? cells[this.#at].id : null);
    setText(this.#words, dial ? this.#wordsOf(dial) : this.#at >= 0 && cells[this.#at] ? "a free slot" : "");
  }

  #chosen(cell, select) {
    const dial = this.#slots[[...this.#host.children].indexOf(cell)];
    if (dial) select(dial.info_hash, dial.peer);
  }
}
