"""StoreFacts: what waits to be written, the newest of each kind and torrent. So it is bounded by the number of torrents, however long
the disk takes.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from actors import messages as m

Fact = m.RememberTorrent | m.ForgetTorrent | m.RememberPieces | m.RememberTotals | m.RememberPeers | m.RememberSettings


class StoreFacts:
    """`add` facts; iterate them in an order in which they may be written."""

    def __init__(self) -> None:
        self._forgotten: dict[bytes, m.ForgetTorrent] = {}
        self._by_torrent: dict[type, dict[bytes, Any]] = {
            m.RememberTorrent: {}, m.RememberPieces: {}, m.RememberTotals: {}, m.RememberPeers: {},
        }
        self._settings: dict[str, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._forgotten or self._settings or any(self._by_torrent.values()))

    def __iter__(self) -> Iterator[Fact]:
        yield from self._forgotten.values()             # first: one of the same hash may have been added since
        for facts in self._by_torrent.values():
            yield from facts.values()
        if self._settings:
            yield m.RememberSettings(tuple(self._settings.items()))

    def add(self, fact: Fact) -> None:
        """It replaces what it is newer than."""
        match fact:
            case m.RememberSettings():
                self._settings |= dict(fact.values)
            case m.ForgetTorrent():
                self._forgotten[fact.info_hash] = fact
                for facts in self._by_torrent.values():
                    facts.pop(fact.info_hash, None)
            case m.RememberTorrent():
                self._by_torrent[m.RememberTorrent][fact.order.metainfo.info.info_hash] = fact
            case m.RememberPieces():
                self._by_torrent[m.RememberPieces][fact.info_hash] = self._with_files(fact)
            case _:
                self._by_torrent[type(fact)][fact.info_hash] = fact

    def _with_files(self, fact: m.RememberPieces) -> m.RememberPieces:
        """The states of files add up, unless it tells all of them."""
        earlier = self._by_torrent[m.RememberPieces].get(fact.info_hash)
        if earlier is None or fact.is_all:
            return fact
        states = {state.file_index: state for state in (*earlier.files, *fact.files)}
        return replace(fact, files=tuple(states.values()), is_all=earlier.is_all)

    def put_back(self, earlier: "StoreFacts") -> None:
        """These, which are older, could not be written."""
        newer = list(self)
        self.__init__()
        for fact in (*earlier, *newer):
            self.add(fact)
