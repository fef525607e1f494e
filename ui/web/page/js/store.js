// The state of the page: what the client's events said last. Changed only here; everything else draws it.

const byKey = new Map();

// Seconds of this page's monotonic clock
export function now() {
  return performance.now() / 1000;
}

export class Store extends EventTarget {
  torrents = new Map();                                 // info hash → row
  queue = {};
  peers = new Map();                                    // info hash → key → row
  hasSnapshot = false;
  connection = { state: "connecting", since: now(), reason: "" };
  #ahead = Infinity;                                    // our clock less the engine's; the least that was seen has the least delay in it

  snapshot(event) {
    this.#ahead = Infinity;                             // perhaps another run of the client
    this.#tellTime(event);
    this.torrents = new Map(event.torrents.map((row) => [row.info_hash, this.#stamped({}, row)]));
    this.queue = this.#stamped({}, event.queue ?? {});
    this.peers = new Map();
    this.#takePeers(event.peers ?? {});
    this.hasSnapshot = true;
    this.#changed();
  }

  difference(event) {
    this.#tellTime(event);
    for (const change of event.torrents ?? []) {
      this.torrents.set(change.info_hash, this.#stamped(this.torrents.get(change.info_hash) ?? {}, change));
    }
    for (const infoHash of event.removed ?? []) {
      this.torrents.delete(infoHash);
      this.peers.delete(infoHash);
    }
    if (event.queue) this.queue = this.#stamped(this.queue, event.queue);
    this.#takePeers(event.peers ?? {});
    this.#changed();
  }

  tell(state, reason = "") {
    if (this.connection.state === state && this.connection.reason === reason) return;
    const since = this.connection.state === state ? this.connection.since : now();
    this.connection = { state, since, reason };
    this.dispatchEvent(new Event("connection"));
  }

  peersOf(infoHash) {
    return this.peers.get(infoHash) ?? byKey;
  }

  // Seconds that something lasts, of an engine's moment; falls back to what was told with the row.
  since(row) {
    const moment = this.#local(row.since_at);
    return moment !== null ? Math.max(0, now() - moment) : Number.isFinite(row.since) ? row.since + now() - row.toldAt : NaN;
  }

  until(row) {
    const moment = this.#local(row.until_at);
    if (moment !== null) return moment - now();
    return Number.isFinite(row.until) ? row.until - (now() - row.toldAt) : NaN;
  }

  // An engine's moment on our clock, in seconds from now (negative: it was); NaN when it cannot be known.
  fromNow(moment) {
    const local = this.#local(moment);
    return local === null ? NaN : local - now();
  }

  #local(moment) {
    return Number.isFinite(moment) && moment !== 0 && Number.isFinite(this.#ahead) ? moment + this.#ahead : null;
  }

  #tellTime(event) {
    if (Number.isFinite(event.now)) this.#ahead = Math.min(this.#ahead, now() - event.now);
  }

  #stamped(had, change) {
    return Object.assign(had, change, { toldAt: now() });
  }

  #takePeers(peers) {
    for (const [infoHash, part] of Object.entries(peers)) {
      const rows = this.peers.get(infoHash) ?? new Map();
      const before = part.whole ? new Map() : rows;     // whole: these are all
      for (const key of part.removed ?? []) before.delete(key);
      for (const row of part.changed ?? []) {
        const change = this.#stamped({ ...row }, {});
        const had = rows.get(row.key);
        if (had && (had.state !== row.state || had.attempt !== row.attempt)) {
          this.dispatchEvent(new CustomEvent("transition", { detail: { infoHash, from: had, to: change } }));
        }
        before.set(row.key, change);
      }
      for (const figures of part.figures ?? []) this.#takeFigures(before, figures);
      this.peers.set(infoHash, before);
    }
  }

  #takeFigures(rows, [key, progress, download_rate, upload_rate, downloaded, uploaded, flags, num_requests, everDownloaded, everUploaded]) {
    const row = rows.get(key);
    if (!row?.connection) return;
    const connection = { ...row.connection, progress, download_rate, upload_rate, downloaded, uploaded, flags, num_requests };
    const swarm_peer = { ...row.swarm_peer, downloaded: everDownloaded, uploaded: everUploaded };
    rows.set(key, this.#stamped({ ...row, connection, swarm_peer }, {}));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
