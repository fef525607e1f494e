// States and flags in words and glyphs: the shape comes before the colour.

import { NONE, countdown } from "./format.js";

export const PEER_STATES = ["connected", "handshaking", "connecting", "queued", "failed"];
export const GLYPH = { queued: "○", connecting: "◔", handshaking: "◑", connected: "●", failed: "✕" };
export const PEER_WORD = { queued: "Queued", connecting: "Connecting…", handshaking: "Handshaking…", connected: "Connected", failed: "Failed" };
export const PEER_ORDER = Object.fromEntries(PEER_STATES.map((state, order) => [state, order]));

export const TORRENT_WORD = { stopped: "Stopped", checking: "Checking", metadata: "Getting metadata", downloading: "Downloading", seeding: "Seeding", error: "Error" };

// [letters, meaning] of the column Flags
export const FLAGS = [
  ["D", "we are interested, and the peer gives"], ["d", "we are interested, and the peer does not give yet"],
  ["U", "the peer is interested, and we give"], ["u", "the peer is interested, and we do not give yet"],
  ["O", "optimistic unchoke: it gets a try"], ["S", "snubbed: it was asked and sends nothing"], ["I", "incoming: it dialled us"],
  ["E", "encrypted"], ["X", "told by other peers (PEX)"], ["H", "found in the DHT"],
];

export const OUTCOME_WORD = {
  connected: "connected", refused: "refused", timed_out: "timed out", unreachable: "unreachable", handshake_failed: "handshake failed",
  cancelled: "cancelled", local_busy: "this machine was busy",
};

export function flagsInWords(flags) {
  return [...flags].map((letter) => FLAGS.find(([known]) => known === letter)).filter(Boolean).map(([letter, word]) => `${letter}: ${word}`).join("\n");
}

export function inWords(text) {
  return text ? OUTCOME_WORD[text] ?? text.replaceAll("_", " ") : NONE;
}

// "12 connected, 3 connecting, 40 queued"
export function countsInWords(counts) {
  return PEER_STATES.filter((state) => counts?.[state]).map((state) => `${counts[state]} ${state}`).join(", ") || "no peers";
}

// Which glyph stands before a torrent
export function torrentGlyph(row) {
  const counts = row.peers_by_state ?? {};
  if (row.state === "error") return "failed";
  if (row.state === "stopped") return "stopped";
  if (row.state === "checking") return "checking";
  if (counts.connected) return "connected";
  if (counts.handshaking) return "handshaking";
  if (counts.connecting) return "connecting";
  if (row.state === "seeding") return "seeding";
  return "queued";
}

// Why a torrent does not connect, with a countdown where the client told until when
export function whyLine(row, left) {
  if (row.error) return row.error;
  if (row.state === "checking") return row.num_pieces ? `checking what is on disk: ${row.pieces_checked} of ${row.num_pieces} pieces` : "checking what is on disk";
  if (row.why) return left > 0 && !/\d+ s|\d+:\d\d/.test(row.why) ? `${row.why}, for ${countdown(left)}` : row.why;
  if (row.tracker_error && !row.peers_by_state?.connected) return `tracker: ${row.tracker_error}`;
  return "";
}
