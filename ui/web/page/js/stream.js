// The client's events: a snapshot, then differences. A connection that breaks is made again, and meanwhile the page says so.

const RETRY_SECONDS = [1, 2, 4, 8, 15];                 // when the browser itself has given up (an answer that is no stream)

export class Stream {
  #store;
  #peersOf = "";
  #source = null;
  #failures = 0;
  #timer = 0;

  constructor(store) {
    this.#store = store;
    window.addEventListener("online", () => this.#open());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && store.connection.state !== "live") this.#open();
    });
  }

  start() {
    this.#open();
  }

  // The torrent whose peers are looked at, "" for none
  lookAtPeersOf(infoHash) {
    if (infoHash === this.#peersOf) return;
    this.#peersOf = infoHash;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), 120);  // who walks down the list with the arrow keys looks at the last one
  }

  #open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    const source = new EventSource(this.#peersOf ? `/api/events?peers=${this.#peersOf}` : "/api/events");
    this.#source = source;
    source.addEventListener("snapshot", (event) => this.#take(source, () => this.#store.snapshot(JSON.parse(event.data))));
    source.addEventListener("difference", (event) => this.#take(source, () => this.#store.difference(JSON.parse(event.data))));
    source.addEventListener("error", () => this.#broken(source));
  }

  #take(source, apply) {
    if (source !== this.#source) return;
    this.#failures = 0;
    apply();
    this.#store.tell("live");
  }

  #broken(source) {
    if (source !== this.#source) return;
    this.#store.tell("broken", this.#store.connection.reason);
    if (source.readyState !== EventSource.CLOSED) return;             // the browser tries again by itself
    const wait = RETRY_SECONDS[Math.min(this.#failures, RETRY_SECONDS.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#askWhy(), 1000 * wait);
  }

  // EventSource does not say what it was answered; a plain request does.
  async #askWhy() {
    try {
      const answer = await fetch("/api/client", { cache: "no-store" });
      if (answer.status === 401) {
        this.#store.tell("logged_out");
        return;
      }
      if (!answer.ok) this.#store.tell("broken", (await answer.json().catch(() => ({}))).error ?? "");
    } catch {
      this.#store.tell("broken", "");
    }
    this.#open();
  }
}
