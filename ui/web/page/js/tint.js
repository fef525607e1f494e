// The colour of a torrent where only its place tells it apart: on the board, in the ring, in the shares. Never the only sign of anything.

const hues = new Map();

export function tint(infoHash) {
  let made = hues.get(infoHash);
  if (made === undefined) {
    made = String(parseInt(infoHash.slice(0, 6), 16) % 360);
    hues.set(infoHash, made);
  }
  return made;
}
