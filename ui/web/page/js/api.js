// Calls of the API (docs/api.md). What fails is an ApiError with the client's own sentence.

export class ApiError extends Error {
  constructor(sentence, status, kind) {
    super(sentence);
    this.status = status;
    this.kind = kind;
  }
}

async function call(method, path, body, contentType) {
  const options = { method, headers: {}, cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = contentType ?? "application/json";
    options.body = contentType ? body : JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ApiError("The client cannot be reached. Is it still running?", 0, "unreachable");
  }
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(value.error ?? `the client answered ${answer.status}`, answer.status, value.kind ?? "");
  return value;
}

const torrent = (infoHash, rest = "") => `/api/torrents/${infoHash}${rest}`;

export const api = {
  client: () => call("GET", "/api/client"),
  torrent: (infoHash) => call("GET", torrent(infoHash)),
  addTorrentFile: (data, options) => call("POST", `/api/torrents?${new URLSearchParams(options)}`, data, "application/x-bittorrent"),
  addLink: (body) => call("POST", "/api/torrents", body),
  start: (infoHash) => call("POST", torrent(infoHash, "/start")),
  stop: (infoHash) => call("POST", torrent(infoHash, "/stop")),
  recheck: (infoHash) => call("POST", torrent(infoHash, "/recheck")),
  announce: (infoHash) => call("POST", torrent(infoHash, "/announce")),
  remove: (infoHash, data) => call("DELETE", torrent(infoHash, `?data=${data}`)),
  setPriority: (infoHash, priority) => call("PATCH", torrent(infoHash), { priority }),
  move: (infoHash, folder) => call("POST", torrent(infoHash, "/move"), { folder }),
  files: (infoHash) => call("GET", torrent(infoHash, "/files")),
  setFiles: (infoHash, body) => call("PATCH", torrent(infoHash, "/files"), body),
  trackers: (infoHash) => call("GET", torrent(infoHash, "/trackers")),
  addPeers: (infoHash, peers) => call("POST", torrent(infoHash, "/peers"), { peers }),
  ban: (infoHash, peer) => call("POST", torrent(infoHash, "/peers/ban"), { peer }),
  unban: (infoHash, peer) => call("POST", torrent(infoHash, "/peers/unban"), { peer }),
  pause: () => call("POST", "/api/queue/pause", {}),
  resume: () => call("POST", "/api/queue/resume", {}),
  settings: () => call("GET", "/api/settings"),
  setSettings: (values) => call("PATCH", "/api/settings", values),
};
