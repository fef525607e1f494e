"""WaitingLine: the connections of all torrents that could request more if there were a buffer for a new piece."""

from typing import Any


class WaitingLine:
    """First come, first served; a requester has `fill`, and joins again, at the end, when that was not enough."""

    def __init__(self) -> None:
        self._line: dict[Any, None] = {}

    def join(self, requester: Any) -> None:
        """Ask this one again when a buffer is free. Who waits already keeps its place."""
        self._line.setdefault(requester)

    def leave(self, requester: Any) -> None:
        """Its connection is gone."""
        self._line.pop(requester, None)

    def buffer_is_free(self) -> None:
        """Ask one after the other until one finds no buffer any more."""
        for _ in range(len(self._line)):
            requester = next(iter(self._line), None)
            if requester is None:
                return
            del self._line[requester]
            requester.fill()
            if requester in self._line:
                return
