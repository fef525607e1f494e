"""The dialer of a simulated daemon: so many connects under way, twice as many that wait, beyond that local_busy.

A dial is a SYN that is sent again as Linux does it, a router that may drop it, and a peer that answers, refuses, or does neither.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from daemon.dial_obstacles import DESCRIPTORS, LOOK_AGAIN_SECONDS, NETWORK, NETWORK_TEXT
from protocol import daemon_messages as dm
from protocol.peer_address import PeerAddress
from tests.simulation import network as net
from tests.simulation.network import Network, SimulatedPeer
from tests.simulation.router import Flow
from tests.simulation.world import DueCall, World

SYN_MOMENTS = (0.0, 1.0, 3.0, 7.0, 15.0)                # Linux sends a SYN again so long after the first
LONGEST_TIMEOUT = 30.0
HANDSHAKE_SECONDS = 10.0


class SimulatedDial:
    """From the engine's message to its outcome."""

    def __init__(self, order: dm.Dial, peer: SimulatedPeer, began: float) -> None:
        self.order, self.peer, self.began = order, peer, began
        self.is_under_way = False                       # False: it waits for one that is
        self.is_handshaking = False
        self.timeout = min(order.timeout, LONGEST_TIMEOUT)
        self.sent_at = 0.0                              # moment of the first SYN
        self.flow: Flow | None = None
        self.deadline: DueCall | None = None            # of TCP's answer
        self.timers: list[DueCall] = []                 # the others


class SimulatedDialer:
    """`send` takes messages for the engine, `soon(seconds, call)` calls later unless the process has ended.

    Called are `began(dial)`, `connected(dial)` when it is a connection, `happened(what, info_hash, peer, number)` for each outcome, and
    `obstructed(obstacle, reason)` for what keeps it from dialling, with '' when that is over.
    """

    def __init__(
        self, world: World, network: Network, max_under_way: int, *, send: Callable[[Any], None],
        soon: Callable[[float, Callable[[], None]], None], began: Callable[[SimulatedDial], None],
        connected: Callable[[SimulatedDial], None], happened: Callable[..., None], obstructed: Callable[[str, str], None],
    ) -> None:
        self.world, self.network = world, network
        self.max_under_way, self.max_pending = max_under_way, 2 * max_under_way
        self.says_busy = False                          # each dial: the machine's own table of flows is full
        self.has_descriptors = True
        self.dials: dict[int, SimulatedDial] = {}       # by grant id: waiting, connecting, handshaking
        self._pending: deque[SimulatedDial] = deque()
        self._num_connecting = 0
        self._obstacles: set[str] = set()
        self._send, self._soon, self._began, self._connected, self._on_event, self._on_obstacle = (
            send, soon, began, connected, happened, obstructed,
        )

    def die(self) -> None:
        """Its process ends."""
        for dial in self.dials.values():
            self.end_timers(dial)
        self.dials, self._pending, self._num_connecting = {}, deque(), 0
        for obstacle in sorted(self._obstacles):
            self._obstacle_ended(obstacle)

    def num_dials(self, info_hash: bytes) -> int:
        """Dials and handshakes under way, waiting ones too, of one torrent."""
        return sum(dial.order.info_hash == info_hash for dial in self.dials.values())

    def dial(self, order: dm.Dial) -> None:
        dial = SimulatedDial(order, self.network.peer_at(PeerAddress(order.ip, order.port)), self.world.now)
        self.dials[order.grant_id] = dial
        self._began(dial)
        if self._num_connecting < self.max_under_way:
            self._connect(dial)
        elif len(self._pending) < self.max_pending:
            self._pending.append(dial)
        else:
            self._end(dial, dm.LOCAL_BUSY, "too many dials wait already")

    def _connect(self, dial: SimulatedDial) -> None:
        if self.says_busy or not self.has_descriptors:
            if not self.has_descriptors:
                self._obstacle_came(DESCRIPTORS, "too many open files", lambda: self.has_descriptors)
            self._end(dial, dm.LOCAL_BUSY, "this machine can open no connection now")
            return
        if not self.network.is_up:
            self._network_is_lost()
            if dial.order.grant_id in self.dials:
                self._end(dial, dm.UNREACHABLE, dm.NO_ROUTE)
            return
        dial.is_under_way, dial.sent_at = True, self.world.now
        self._num_connecting += 1
        dial.peer.num_dialled += 1
        if dial.peer.kind == net.UNREACHABLE:
            self._after(dial, dial.peer.round_trip, lambda: self._answered_by_nobody(dial, dm.UNREACHABLE, "host unreachable"))
        self._set_deadline(dial)
        self._send_syn(dial, 0)

    def _set_deadline(self, dial: SimulatedDial) -> None:
        if dial.deadline is not None:
            dial.deadline.kill()
        dial.deadline = self.world.later(dial.sent_at + dial.timeout - self.world.now, lambda: self._timed_out(dial))

    def _timed_out(self, dial: SimulatedDial) -> None:
        if self.network.is_up:
            self._end(dial, dm.TIMED_OUT, f"no answer within {dial.timeout:g} s")
        else:
            self._network_is_lost()

    def change_timeouts(self, order: dm.ChangeDialTimeouts) -> None:
        for dial in [dial for dial in self.dials.values() if dial.order.info_hash == order.info_hash]:
            dial.timeout = min(order.timeout, LONGEST_TIMEOUT)
            if dial.is_under_way and not dial.is_handshaking:
                self._set_deadline(dial)

    def _send_syn(self, dial: SimulatedDial, number: int) -> None:
        """Send it, and again until something answers; the first one that finds room in the router arrives."""
        router, is_first = self.network.router, dial.flow is None
        if is_first:
            dial.flow = router.open(self.world.now)
            if dial.flow is not None:
                self._arrived(dial)
        elif not dial.flow.answered:
            router.sent_again(dial.flow, self.world.now)
        if number + 1 < len(SYN_MOMENTS):
            self._after(dial, SYN_MOMENTS[number + 1] - SYN_MOMENTS[number], lambda: self._send_syn(dial, number + 1))

    def _arrived(self, dial: SimulatedDial) -> None:
        if dial.peer.kind == net.REFUSES:
            self._after(dial, dial.peer.round_trip, lambda: self._answered_by_nobody(dial, dm.REFUSED, "connection refused"))
        elif dial.peer.kind not in (net.DEAD, net.UNREACHABLE):
            self._after(dial, dial.peer.round_trip, lambda: self._tcp_connected(dial))

    def _answered_by_nobody(self, dial: SimulatedDial, outcome: str, reason: str) -> None:
        if dial.flow is not None:
            self.network.router.refused(dial.flow, self.world.now)
        self._end(dial, outcome, reason)

    def _tcp_connected(self, dial: SimulatedDial) -> None:
        self.end_timers(dial)
        self.network.router.answered(dial.flow)
        dial.is_handshaking = True
        self._num_connecting -= 1
        self._send(dm.Dialled(dial.order.info_hash, dial.order.grant_id, self.world.now - dial.sent_at))
        if dial.peer.kind == net.SILENT:
            self._after(dial, HANDSHAKE_SECONDS, lambda: self._end(dial, dm.HANDSHAKE_FAILED, "no handshake within 10 s"))
        else:
            self._after(dial, dial.peer.round_trip, lambda: self._hand_over(dial))
        self._connect_next()

    def _hand_over(self, dial: SimulatedDial) -> None:
        self.end_timers(dial)
        del self.dials[dial.order.grant_id]
        self._connected(dial)

    def _end(self, dial: SimulatedDial, outcome: str, reason: str) -> None:
        order = dial.order
        self.end_timers(dial)
        del self.dials[order.grant_id]
        if dial.is_handshaking:
            self.network.router.closed(dial.flow, self.world.now)
        elif dial.is_under_way:
            self._num_connecting -= 1
        self._on_event(outcome, order.info_hash, str(dial.peer.address), order.grant_id)
        self._send(dm.DialFailed(order.info_hash, order.grant_id, outcome, reason, self.world.now - dial.began))
        self._connect_next()

    def cancel(self, info_hash: bytes) -> None:
        mine = [dial for dial in self.dials.values() if dial.order.info_hash == info_hash]
        self._pending = deque(dial for dial in self._pending if dial not in mine)
        for dial in mine:
            self._end(dial, dm.CANCELLED, "cancelled")

    def _connect_next(self) -> None:
        while self._pending and self._num_connecting < self.max_under_way:
            self._connect(self._pending.popleft())

    def _after(self, dial: SimulatedDial, seconds: float, call: Callable[[], None]) -> None:
        dial.timers.append(self.world.later(seconds, call))

    @staticmethod
    def end_timers(dial: SimulatedDial) -> None:
        for timer in (*dial.timers, *filter(None, [dial.deadline])):
            timer.kill()
        dial.timers.clear()

    # ── obstacles ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _network_is_lost(self) -> None:
        """No route to anybody: what is under way ends, by nobody's fault."""
        self._obstacle_came(NETWORK, NETWORK_TEXT, lambda: self.network.is_up)
        for other in [other for other in self.dials.values() if other.is_under_way and not other.is_handshaking]:
            if other.order.grant_id in self.dials:      # one that waited for its place may have found this out before
                self._end(other, dm.CANCELLED, "the network was lost")

    def _obstacle_came(self, obstacle: str, reason: str, is_gone: Callable[[], bool]) -> None:
        """Tell it once, and look each second whether it is gone."""
        if obstacle in self._obstacles:
            return
        self._obstacles.add(obstacle)
        self._on_obstacle(obstacle, reason)

        def look_again() -> None:
            if is_gone():
                self._obstacle_ended(obstacle)
            elif obstacle in self._obstacles:
                self._soon(LOOK_AGAIN_SECONDS, look_again)

        self._soon(LOOK_AGAIN_SECONDS, look_again)

    def _obstacle_ended(self, obstacle: str) -> None:
        self._obstacles.discard(obstacle)
        self._on_obstacle(obstacle, "")
