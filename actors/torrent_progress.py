"""TorrentProgress: which pieces a torrent has, and how many bytes came and went."""

from collections.abc import Iterable
from typing import Final

from actors import messages as m
from protocol import daemon_messages as dm
from protocol.bitfield import Bitfield
from protocol.piece_layout import PieceLayout

LEFT_UNKNOWN_BYTES: Final = 1 << 14                     # what libtorrent says as long as it has no metadata


class TorrentProgress:
    """What the daemon found out; the engine keeps it when a daemon dies.

    A piece is verified when its hash was right and it is written, and durable when it was synced to disk since. Only durable ones
    are given to the next daemon as known.
    """

    def __init__(self, layout: PieceLayout) -> None:
        self._layout = layout
        self._verified = Bitfield(layout.num_pieces)
        self._durable = Bitfield(layout.num_pieces)
        self._of_earlier_daemons = (0, 0, 0)            # downloaded, uploaded, wasted
        self._stats: dm.TorrentStats | None = None      # of this daemon
        self.verified_bytes = 0
        self.pieces_checked = 0                         # while a check runs
        self._wanted: Bitfield | None = None            # None: all pieces
        self._num_unverified = self._num_not_durable = 0    # of the wanted ones, when that are not all
        self._wanted_bytes = self._wanted_verified_bytes = 0

    def know(self, order: m.AddTorrent) -> None:
        """The metadata is here: so many pieces there are, and we have none of them yet."""
        self._layout, self._wanted = order.metainfo.info.layout, None
        self._set_pieces(Bitfield(self._layout.num_pieces).to_bytes())

    def select(self, wanted: Bitfield) -> None:
        """Only these pieces count for being complete from now on."""
        self._wanted = None if wanted.is_complete else wanted
        self._count_wanted()

    def _count_wanted(self) -> None:
        if self._wanted is not None:
            unverified = [piece_index for piece_index in self._wanted if piece_index not in self._verified]
            self._num_unverified = len(unverified)
            self._num_not_durable = sum(piece_index not in self._durable for piece_index in self._wanted)
            self._wanted_bytes = sum(map(self._layout.piece_size, self._wanted))
            self._wanted_verified_bytes = self._wanted_bytes - sum(map(self._layout.piece_size, unverified))

    # ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    def checked(self, verified: bytes) -> None:
        """All that is on disk was hashed. Raises RemoteProtocolError when `verified` is no bitfield of this torrent."""
        self._set_pieces(verified)
        self.pieces_checked = 0

    def remembered(self, durable: bytes) -> None:
        """So far it was when this client ended. Raises RemoteProtocolError when that is no bitfield of this torrent."""
        self._set_pieces(durable)

    def pieces_verified(self, piece_indices: Iterable[int]) -> None:
        """These are right and written. Raises RemoteProtocolError for an index that is not in the torrent."""
        for piece_index in piece_indices:
            piece_index = self._layout.check_piece(piece_index)
            if self._verified.add(piece_index):
                self.verified_bytes += self._layout.piece_size(piece_index)
                if self._wanted is not None and piece_index in self._wanted:
                    self._num_unverified -= 1
                    self._wanted_verified_bytes += self._layout.piece_size(piece_index)

    def pieces_durable(self, piece_indices: Iterable[int]) -> None:
        """These are synced to disk. Raises RemoteProtocolError for an index that is not in the torrent."""
        for piece_index in piece_indices:
            is_new = self._durable.add(self._layout.check_piece(piece_index))
            if is_new and self._wanted is not None and piece_index in self._wanted:
                self._num_not_durable -= 1

    def daemon_lost(self) -> None:
        """What was not durable is not known any more; what was transferred stays transferred."""
        self._of_earlier_daemons = (self.downloaded, self.uploaded, self.wasted)
        self._stats = None
        self._set_pieces(self._durable.to_bytes())

    def _set_pieces(self, pieces: bytes) -> None:
        self._verified = Bitfield.from_bytes(pieces, self._layout.num_pieces)
        self._durable = self._verified.copy()
        self.verified_bytes = sum(map(self._layout.piece_size, self._verified))
        self._count_wanted()

    @property
    def num_verified(self) -> int:
        """Pieces that are right and written."""
        return self._verified.count

    @property
    def is_complete(self) -> bool:
        """Tell whether every wanted piece is verified: nothing is left to download."""
        return (self._verified.is_complete if self._wanted is None else not self._num_unverified) and self._layout.num_pieces > 0

    @property
    def is_durable(self) -> bool:
        """Tell whether every wanted piece is also synced to disk."""
        return (self._durable.is_complete if self._wanted is None else not self._num_not_durable) and self._layout.num_pieces > 0

    @property
    def left(self) -> int:
        """Bytes that we lack of the whole torrent, as trackers are told: with less than all we are no seed (BEP 3, 21). More than none while nobody knows: to a seed no seeds are named."""
        if not self._layout.num_pieces:
            return LEFT_UNKNOWN_BYTES
        return self._layout.total_length - self.verified_bytes

    @property
    def wanted_bytes(self) -> int:
        """Of the wanted pieces."""
        return self._layout.total_length if self._wanted is None else self._wanted_bytes

    @property
    def wanted_verified_bytes(self) -> int:
        """Of the wanted pieces."""
        return self.verified_bytes if self._wanted is None else self._wanted_verified_bytes

    def durable_pieces(self) -> bytes:
        """Return the bitfield of what the next daemon need not check; empty when that is nothing."""
        return self._durable.to_bytes() if self._durable.count else b""

    # ── transfer ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def stats(self, stats: dm.TorrentStats) -> None:
        """The daemon's latest figures."""
        self._stats = stats

    def at_rest(self) -> None:
        """No connections: the rates are zero, whatever was said last."""
        if self._stats is not None:
            self._stats = dm.TorrentStats(
                self._stats.info_hash, self._stats.downloaded, self._stats.uploaded, self._stats.wasted, 0, 0, [],
            )

    @property
    def downloaded(self) -> int:
        """Payload bytes of this run."""
        return self._of_earlier_daemons[0] + (self._stats.downloaded if self._stats else 0)

    @property
    def uploaded(self) -> int:
        """Payload bytes of this run."""
        return self._of_earlier_daemons[1] + (self._stats.uploaded if self._stats else 0)

    @property
    def wasted(self) -> int:
        """Payload bytes of this run that were thrown away."""
        return self._of_earlier_daemons[2] + (self._stats.wasted if self._stats else 0)

    @property
    def download_rate(self) -> int:
        """Bytes per second."""
        return self._stats.download_rate if self._stats else 0

    @property
    def upload_rate(self) -> int:
        """Bytes per second."""
        return self._stats.upload_rate if self._stats else 0
