// The Pieces tab: a map of all pieces. Until the client tells single pieces, how many are verified.

import { element, setText, setVariable } from "./elements.js";
import { bytes, percent, whole } from "./format.js";

export function drawPieces(host, torrent) {
  if (!host.firstChild) {
    host.append(element("div", { class: "piece-bar", "aria-hidden": "true" }), element("p", { class: "sentence" }), element("p", { class: "sentence is-soft" },
      "This version of the client does not tell the page which pieces these are, nor how many peers have each."));
  }
  const share = percent(torrent.verified_bytes, torrent.total_bytes);
  setVariable(host.firstChild, "--part", String((parseFloat(share) || 0) / 100));
  setText(host.children[1], torrent.state === "checking" ? `${whole(torrent.pieces_checked)} of ${whole(torrent.num_pieces)} pieces are checked.`
    : `${share} % is verified: ${bytes(torrent.verified_bytes)} of ${bytes(torrent.total_bytes)}, in ${whole(torrent.num_pieces)} pieces.`);
}
