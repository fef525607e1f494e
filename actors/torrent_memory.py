"""TorrentMemory: what of one torrent outlives its daemon and this process, and how a daemon is given the torrent with that.

It tells the store of pieces when they are durable, with the state of their files at that moment; of bytes and peers now and then, and at
a stop. Without a store it still keeps the state of the files for the next daemon.
"""

from dataclasses import replace
from heapq import nlargest
from typing import Final

import pykka

from actors import messages as m
from actors.resume_data import NOTHING_KNOWN
from actors.torrent_progress import TorrentProgress
from actors.torrent_surroundings import TorrentSurroundings
from protocol import daemon_messages as dm
from protocol.limits import MAX_REMEMBERED_PEERS, METADATA_PART_BYTES
from protocol.peer_address import PeerAddress
from scheduler.file_selection import FileSelection, piece_wishes
from scheduler.swarm import Swarm
from scheduler.torrent_life import TorrentLife

TOTALS_SECONDS: Final = 5.0                             # so much of what came and went may be forgotten by a kill
PEERS_SECONDS: Final = 300.0


class TorrentMemory:
    """Between one torrent and the store, which may be None."""

    def __init__(
        self, around: TorrentSurroundings, order: m.AddTorrent, progress: TorrentProgress, life: TorrentLife, swarm: Swarm,
        store: pykka.ActorRef | None,
    ) -> None:
        self._around, self._order, self._progress, self._life, self._swarm, self._store = around, order, progress, life, swarm, store
        self._before = resume = order.resume or NOTHING_KNOWN
        self._files = {state.file_index: state for state in resume.files}
        self._seen_at = resume.recorded_at
        self._unsaid: dict[int, dm.FileState] = {}      # of _files, what the store does not know
        self._says_all = False                          # … which is all that there is
        self._told_pieces = (resume.verified, resume.is_settled)
        self._told_totals = (resume.downloaded, resume.uploaded, resume.wasted)
        self._totals_at = self._peers_at = around.clock()
        if resume.verified:
            progress.remembered(resume.verified)
        self._select()

    @property
    def _totals(self) -> tuple[int, int, int]:
        before, progress = self._before, self._progress
        return before.downloaded + progress.downloaded, before.uploaded + progress.uploaded, before.wasted + progress.wasted

    @property
    def peers(self) -> tuple[PeerAddress, ...]:
        """That it was connected to before this start."""
        return self._before.peers

    @property
    def downloaded(self) -> int:
        """Payload bytes, ever."""
        return self._totals[0]

    @property
    def uploaded(self) -> int:
        """Payload bytes, ever."""
        return self._totals[1]

    def know(self, order: m.AddTorrent) -> None:
        """Peers sent the metadata of a magnet link."""
        self._order = order
        self._select()

    def _select(self) -> None:
        info, selection = self._order.metainfo.info, self._order.selection
        if selection.priorities and selection.fits(len(info.files)):
            self._progress.select(piece_wishes(info.layout, info.files, selection).wanted())

    # ── for the daemon ───────────────────────────────────────────────────────────────────────────────────────────────────

    def give(self, *, with_pieces: bool) -> None:
        """Give the torrent to the daemon; `with_pieces`: what is durable need not be checked unless somebody changed its files."""
        info, tell = self._order.metainfo.info, self._around.to_daemon
        for offset in range(0, len(info.raw), METADATA_PART_BYTES):
            tell(dm.MetadataPart(info.info_hash, len(info.raw), offset, info.raw[offset:offset + METADATA_PART_BYTES]))
        verified = self._progress.durable_pieces() if with_pieces else b""
        if self._seen_at and with_pieces:
            tell(dm.KnownFiles(info.info_hash, self._seen_at, self._told_pieces[1], list(self._files.values())))
        chosen = self._order.selection
        tell(dm.AddTorrent(
            info.info_hash, self._order.source, self._order.folder, verified, chosen.priorities, chosen.sequential, chosen.first_last_first,
        ))

    def select(self, selection: FileSelection) -> None:
        """The user wants these files from now on; the daemon hears of it. Nothing happens when they are none of this torrent's."""
        info = self._order.metainfo.info
        if not selection.fits(len(info.files)):
            return
        self._order = replace(self._order, selection=selection)
        self._progress.select(piece_wishes(info.layout, info.files, selection).wanted())
        self.pieces_changed()                           # it may be settled no more
        self._around.to_daemon(dm.SetFilePriorities(info.info_hash, selection.priorities, selection.sequential, selection.first_last_first))
        self._around.log.info("files_chosen", wanted_bytes=self._progress.wanted_bytes, wanted_verified_bytes=self._progress.wanted_verified_bytes)

    def files_seen(self, message: dm.FilesSeen) -> None:
        """So the files look that the next news of pieces is about."""
        self._seen_at = message.seen_at
        states = {state.file_index: state for state in message.files}
        if message.is_all and not self._files.keys() <= states.keys():
            self._files, self._unsaid, self._says_all = states, states.copy(), True
        else:                                           # mostly nothing is new, and then nothing is to be said
            self._unsaid |= {file_index: state for file_index, state in states.items() if self._files.get(file_index) != state}
            self._files |= states

    # ── for the store ────────────────────────────────────────────────────────────────────────────────────────────────────

    def pieces_changed(self) -> None:
        """Other pieces are durable than before, or the torrent begins or ends to write."""
        life = self._life
        is_settled = self._progress.is_durable or (life.is_at_rest and not life.wanted if life.is_checked else self._told_pieces[1])
        told = (self._progress.durable_pieces(), is_settled)
        if told == self._told_pieces and not self._unsaid and not self._says_all:
            return
        self._told_pieces = told
        self._tell(m.RememberPieces(self._around.info_hash, told[0], self._seen_at, is_settled, tuple(self._unsaid.values()), self._says_all))
        self._unsaid, self._says_all = {}, False

    def time_passed(self) -> None:
        """Tell what changes all the time, if the last time is long ago."""
        now = self._around.clock()
        if now - self._totals_at >= TOTALS_SECONDS:
            self._totals_at = now
            self._tell_totals()
        if now - self._peers_at >= PEERS_SECONDS:
            self._peers_at = now
            self._tell_peers()

    def at_rest(self) -> None:
        """The torrent has stopped: tell everything."""
        self.pieces_changed()
        self._tell_totals()
        self._tell_peers()

    def _tell_totals(self) -> None:
        if self._totals != self._told_totals:
            self._told_totals = self._totals
            self._tell(m.RememberTotals(self._around.info_hash, *self._totals))

    def _tell_peers(self) -> None:
        reached = (peer for peer in self._swarm if peer.last_success is not None and not peer.barred)
        best = nlargest(MAX_REMEMBERED_PEERS, reached, key=lambda peer: peer.last_success)
        if best:                                        # those of last time are better than none
            self._tell(m.RememberPeers(self._around.info_hash, tuple(peer.address for peer in best)))

    def _tell(self, fact: object) -> None:
        if self._store is not None:
            self._around.post(self._store, fact)
