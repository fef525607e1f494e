"""HalfOpenBoard: what each half-open slot is used for, to show. The ledger says which slots there are; this says what is in them."""

from actors import messages as m
from actors.snapshots import CONNECTING, HANDSHAKING, DialView
from scheduler import grant_ledger
from scheduler.grant_ledger import GrantLedger


class HalfOpenBoard:
    """As many dials as the ledger has half-open grants. Moments are those of the broker's clock."""

    def __init__(self, ledger: GrantLedger) -> None:
        self._ledger = ledger
        self._dials: dict[int, DialView] = {}           # by grant id, in the order in which they began

    def started(self, message: m.AttemptStarted, now: float) -> None:
        """A dial began; told to the ledger before."""
        grant = self._half_open(message.grant_id)
        if grant is not None:
            self._dials[message.grant_id] = DialView(
                message.grant_id, grant.info_hash, message.peer, CONNECTING, now, now + message.timeout,
            )

    def changed(self, message: m.AttemptChanged, now: float) -> None:
        """Its handshake began, or it has another timeout."""
        dial = self._dials.get(message.grant_id)
        if dial is not None:
            state, since = (HANDSHAKING, now) if message.is_handshaking else (dial.state, dial.since_at)
            self._dials[message.grant_id] = DialView(dial.grant_id, dial.info_hash, dial.peer, state, since, since + message.timeout)

    def ended(self, grant_id: int) -> None:
        """It led to a peer or to nothing."""
        self._dials.pop(grant_id, None)

    def dials(self) -> tuple[DialView, ...]:
        """Return what is in each slot."""
        for grant_id in [grant_id for grant_id in self._dials if self._half_open(grant_id) is None]:
            del self._dials[grant_id]                   # of a torrent that is gone
        return tuple(self._dials.values())

    def _half_open(self, grant_id: int) -> grant_ledger.Grant | None:
        grant = self._ledger.get(grant_id)
        return grant if grant is not None and grant.state is grant_ledger.HALF_OPEN else None
