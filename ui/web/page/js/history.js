// What this page saw since it was opened: rates over an hour, and the steps of the peers that were looked at. Bounded both.

const STEP_SECONDS = 5, POINTS = 720;                   // an hour
const MAX_STEPS = 500;                                  // lines of the log of one torrent
const MAX_LOGS = 20;                                    // torrents that have one

export class Rates {
  #of = new Map();                                      // info hash, "" for all → {down, up, first}
  #point = -1;

  take(torrents) {
    const point = Math.floor(performance.now() / 1000 / STEP_SECONDS);
    if (point === this.#point) return;
    this.#point = point;
    let down = 0, up = 0;
    for (const row of torrents.values()) {
      down += row.download_rate;
      up += row.upload_rate;
      if (row.download_rate || row.upload_rate || this.#of.has(row.info_hash)) this.#add(row.info_hash, row.download_rate, row.upload_rate);
    }
    this.#add("", down, up);
    for (const infoHash of this.#of.keys()) if (infoHash && !torrents.has(infoHash)) this.#of.delete(infoHash);
  }

  // {down, up}: newest last, as many as there are
  of(infoHash) {
    const kept = this.#of.get(infoHash);
    if (!kept) return { down: [], up: [], stepSeconds: STEP_SECONDS, points: POINTS };
    const count = Math.min(POINTS, this.#point - kept.first + 1), places = Array.from({ length: count }, (_, back) => (this.#point - count + 1 + back) % POINTS);
    return { down: places.map((place) => kept.down[place]), up: places.map((place) => kept.up[place]), stepSeconds: STEP_SECONDS, points: POINTS };
  }

  #add(infoHash, down, up) {
    let kept = this.#of.get(infoHash);
    if (!kept) this.#of.set(infoHash, (kept = { down: new Float32Array(POINTS), up: new Float32Array(POINTS), first: this.#point, last: this.#point }));
    for (let missed = Math.max(kept.last + 1, this.#point - POINTS + 1); missed < this.#point; missed += 1) kept.down[missed % POINTS] = kept.up[missed % POINTS] = 0;   // a page in the background sleeps
    kept.down[this.#point % POINTS] = down;
    kept.up[this.#point % POINTS] = up;
    kept.last = this.#point;
  }
}

export class Steps {
  #of = new Map();

  take({ infoHash, from, to }) {
    const kept = this.#of.get(infoHash) ?? [];
    this.#of.delete(infoHash);
    this.#of.set(infoHash, kept);                       // the last one used stays longest
    kept.push({ at: new Date(), peer: to.key, from: from.state, to: to.state, reason: to.reason, attempt: to.attempt });
    if (kept.length > MAX_STEPS) kept.shift();
    if (this.#of.size > MAX_LOGS) this.#of.delete(this.#of.keys().next().value);
  }

  of(infoHash) {
    return this.#of.get(infoHash) ?? [];
  }
}
