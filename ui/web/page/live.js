"use strict";
// A list of the torrents that follows /api/events: a snapshot, then differences.
const torrents = new Map();

function draw() {
  const rows = [...torrents.values()].map((torrent) => {
    const row = document.createElement("li");
    const percent = torrent.total_bytes ? Math.floor((1000 * torrent.verified_bytes) / torrent.total_bytes) / 10 : 0;
    row.textContent = `${torrent.name}: ${percent} %, ${torrent.error || torrent.why || torrent.state}`;
    return row;
  });
  document.getElementById("torrents").replaceChildren(...rows);
  document.getElementById("summary").textContent = `${torrents.size} torrents`;
}

const events = new EventSource("/api/events");
events.addEventListener("snapshot", (event) => {
  torrents.clear();
  for (const torrent of JSON.parse(event.data).torrents) torrents.set(torrent.info_hash, torrent);
  draw();
});
events.addEventListener("difference", (event) => {
  const difference = JSON.parse(event.data);
  for (const change of difference.torrents || []) {
    torrents.set(change.info_hash, Object.assign(torrents.get(change.info_hash) || {}, change));
  }
  for (const infoHash of difference.removed || []) torrents.delete(infoHash);
  draw();
});
events.addEventListener("error", () => {
  document.getElementById("summary").textContent = "the connection to the client broke; trying again …";
});
