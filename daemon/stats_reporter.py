"""StatsReporter: the figures of one torrent and its connections, twice a second, from plain counters.

Nothing is counted for each block here: connections count bytes, the rates follow from two readings.
"""

from typing import Any, Final

from protocol import daemon_messages as dm

SMOOTHING_SECONDS: Final = 3.0                          # a rate follows a change within about this time
SHORTEST_SECONDS: Final = 0.1


class StatsReporter:
    """Of one torrent, which has `peers` and `send`."""

    def __init__(self, torrent: Any) -> None:
        self._torrent = torrent
        self._readings: dict[int, tuple[int, int]] = {} # downloaded and uploaded of each connection at the last measuring
        self._measured_at = 0.0
        self._of_departed = [0, 0, 0]                   # downloaded, uploaded, wasted
        self._wasted_pieces = 0
        self._last_report: dm.TorrentStats | None = None
        self.has_news = False                           # since the last report

    def wasted(self, num_bytes: int) -> None:
        """Blocks that were here and are thrown away."""
        self._wasted_pieces += num_bytes
        self.has_news = True

    def peer_left(self, peer: Any) -> None:
        """Its bytes stay in the sums."""
        self._readings.pop(peer.key, None)
        for index, value in enumerate((peer.downloaded, peer.uploaded, peer.requester.wasted)):
            self._of_departed[index] += value
        self.has_news = True

    def measure(self, now: float) -> None:
        """Renew the rates of all connections."""
        seconds = now - self._measured_at
        self._measured_at = now
        for peer in self._torrent.peers.values():
            downloaded, uploaded = peer.downloaded, peer.uploaded
            before = self._readings.get(peer.key)
            self._readings[peer.key] = downloaded, uploaded
            if before is None:
                self._first_rates(peer, now)
                continue
            weight = min(seconds / SMOOTHING_SECONDS, 1.0)
            peer.download_rate = _followed(peer.download_rate, (downloaded - before[0]) / seconds, weight)
            peer.upload_rate = _followed(peer.upload_rate, (uploaded - before[1]) / seconds, weight)

    def _first_rates(self, peer: Any, now: float) -> None:
        """Since it is here, if that is long enough to mean something."""
        seconds = now - peer.connected_at
        if seconds >= SHORTEST_SECONDS:
            peer.download_rate = peer.downloaded / seconds
            peer.upload_rate = peer.uploaded / seconds

    def report(self) -> None:
        """Tell the engine, if there is anything to tell."""
        torrent = self._torrent
        if not torrent.peers and not self.has_news:
            return
        self.has_news = False
        downloaded, uploaded, wasted = self._of_departed
        wasted += self._wasted_pieces
        download_rate = upload_rate = 0.0
        peers = []
        for peer in torrent.peers.values():
            downloaded += peer.downloaded
            uploaded += peer.uploaded
            wasted += peer.requester.wasted
            download_rate += peer.download_rate
            upload_rate += peer.upload_rate
            peers.append(dm.PeerStats(
                peer.key, peer.bitfield.count if peer.bitfield is not None else 0, int(peer.download_rate), int(peer.upload_rate),
                peer.downloaded, peer.uploaded, _flags(peer), peer.window.num_blocks,
            ))
        report = dm.TorrentStats(torrent.info_hash, downloaded, uploaded, wasted, int(download_rate), int(upload_rate), peers)
        if report != self._last_report:
            self._last_report = report
            torrent.send(report)


def _followed(rate: float, measured: float, weight: float) -> float:
    """The smoothed rate after one more measurement. Below a byte per second it is none."""
    rate = measured if rate == 0.0 else rate + (measured - rate) * weight
    return rate if rate >= 1.0 else 0.0


def _flags(peer: Any) -> str:
    """As spec §3 has them: interest and choke in both directions, optimistic, snubbed."""
    flags = ""
    if peer.am_interested:
        flags += "d" if peer.peer_choking else "D"
    if peer.peer_interested:
        flags += "u" if peer.am_choking else "U"
    return flags + ("O" if peer.is_optimistic else "") + ("S" if peer.requester.is_snubbed else "")
