"""Whatever trackers, peers and daemon say, the swarm's records, counts and heaps agree and its promises hold."""

import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol.daemon_messages import CONNECTED, DUPLICATE_PEER, IDLE, LOCAL_BUSY, NO_ROUTE, OUTCOMES, OWN_ADDRESS
from protocol.peer_address import PeerAddress
from scheduler.swarm import Swarm
from scheduler.swarm_peer import CONNECTING, FAILED, HANDSHAKING, QUEUED

MAX_PEERS = 8                                           # small, so that the table is full most of the time
IPS = ("80.0.0.1", "80.0.0.2", "127.0.0.1", "2001:db8::1")
ADDRESSES = st.builds(PeerAddress, st.sampled_from(IPS), st.integers(0, 3))
SOURCES = st.sampled_from(["tracker", "pex", "manual"])
REASONS = st.sampled_from(["", "end of file", DUPLICATE_PEER, OWN_ADDRESS, NO_ROUTE, IDLE])


class SwarmMachine(RuleBasedStateMachine):
    """The user of a swarm as TorrentActor is one: it ends what it started, and reports each end once."""

    @initialize(seed=st.integers(0, 3))
    def start(self, seed):
        self.swarm = Swarm(random.Random(seed), MAX_PEERS)
        self.now = 0.0
        self.attempts, self.connections, self.knocking = [], [], []
        self.banned, self.own = set(), set()
        self.dials = []                                 # (address, moment)

    @rule(seconds=st.sampled_from([0.0, 1.0, 2.0, 20.0, 4_000.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(source=SOURCES, addresses=st.lists(ADDRESSES, max_size=12))
    def addresses_come(self, source, addresses):
        before = self.swarm.num_candidates
        assert self.swarm.add(source, addresses, self.now) == self.swarm.num_candidates - before

    @rule()
    def dial(self):
        self.swarm.wake(self.now)
        peer = self.swarm.best_candidate()
        assert (peer is None) == (self.swarm.num_candidates == 0)
        if peer is not None:
            candidates = [other for other in self.swarm if other.state == QUEUED]
            assert peer.candidate_rank() == min(other.candidate_rank() for other in candidates)
            assert peer.address not in self.own and peer.address.port != 0
            assert peer.address.ip == "127.0.0.1" or peer.address.ip not in self.banned
            self.swarm.attempt_started(peer, self.now, 10.0)
            self.attempts.append(peer)
            self.dials = [(address, moment) for address, moment in self.dials if moment > self.now - 10] + [(peer.address, self.now)]
            assert sum(address == peer.address for address, _ in self.dials) < 10, "single-digit attempts in 10 s, ever"

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES), reason=REASONS)
    def attempt_goes_on(self, data, outcome, reason):
        peer = data.draw(st.sampled_from(self.attempts))
        if peer.state == CONNECTING and outcome == CONNECTED:
            self.swarm.handshake_started(peer, self.now, 10.0)
            return
        self.attempts.remove(peer)
        if outcome == CONNECTED:
            self.swarm.connected(peer, "", self.now)
            self.connections.append(peer)
        else:
            self.swarm.attempt_failed(peer, outcome, reason, self.now)
            if reason == OWN_ADDRESS and outcome not in ("cancelled", LOCAL_BUSY):
                self.own.add(peer.address)

    @rule(address=ADDRESSES)
    def somebody_dials_us(self, address):
        peer = self.swarm.incoming(address, self.now, 10.0)
        if peer is not None:
            assert peer.state == HANDSHAKING
            self.knocking.append(peer)

    @precondition(lambda self: self.knocking)
    @rule(data=st.data())
    def handshake_is_complete(self, data):
        peer = data.draw(st.sampled_from(self.knocking))
        self.knocking.remove(peer)
        self.swarm.connected(peer, "", self.now)
        self.connections.append(peer)

    @precondition(lambda self: self.connections)
    @rule(data=st.data(), port=st.integers(-1, 4))
    def peer_tells_its_port(self, data, port):
        self.swarm.named(data.draw(st.sampled_from(self.connections)), "name", port)

    @precondition(lambda self: self.connections or self.knocking)
    @rule(data=st.data(), seconds=st.sampled_from([0.0, 29.0, 30.0]), reason=REASONS, blame=st.booleans())
    def disconnect(self, data, seconds, reason, blame):
        peer = data.draw(st.sampled_from(self.connections + self.knocking))
        (self.connections if peer in self.connections else self.knocking).remove(peer)
        self.swarm.disconnected(peer, self.now, reason, seconds=seconds, downloaded=1, uploaded=1, blame=blame)
        assert peer.state in (QUEUED, FAILED) or self.swarm.get(peer.address) is not peer

    @rule(address=ADDRESSES)
    def ban(self, address):
        self.swarm.ban(address, f"bad data from {address}", self.now)
        self.banned.add(address.ip)

    @rule(address=ADDRESSES)
    def we_listen(self, address):
        self.swarm.set_own([address], self.now)
        self.own.add(address)

    @invariant()
    def records_counts_and_heaps_agree(self):
        if hasattr(self, "swarm"):
            self.swarm.check_invariants()
            busy = {peer for peer in self.swarm if peer.is_busy}
            assert busy == {*self.attempts, *self.connections, *self.knocking}


TestSwarm = SwarmMachine.TestCase
