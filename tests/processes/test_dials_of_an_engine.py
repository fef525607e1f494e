"""Every connection goes through the broker's one ledger: peers by hand, incoming ones, stops, our own address, a lost network."""

import re

import gevent
import pytest

from actors import messages as m
from actors.engine import Engine
from protocol.metainfo import parse_metainfo
from protocol.peer_address import PeerAddress
from scheduler.settings import settings_from
from tests.daemon.loop_tools import deaf_address, free_port
from tests.processes.evenswarm_process import EvenswarmProcess, EventDidNotCome
from tests.processes.fake_peer import FakePeer, stop_all
from tests.processes.namespaces import CANNOT_ISOLATE, ISOLATED, bring_network_back, take_network
from tests.processes.test_incoming_peers import Leech
from tests.processes.torrent_files import make_torrent


@pytest.fixture
def torrent(tmp_path):
    return make_torrent(tmp_path, 500_000)


def order_of(torrent, folder, peers) -> m.AddTorrent:
    return m.AddTorrent(parse_metainfo(torrent.path.read_bytes(), torrent.path.name), str(folder), torrent.path.name, tuple(peers))


def running(**settings) -> Engine:
    return Engine(settings_from({"listen_host": "127.0.0.1", "offline": True, **settings}))


def queue_stats(engine):
    return engine.broker.ask(m.GetConnectionQueueStats(), timeout=5)


def wait_until(holds, what: str, always=lambda: None):
    """Look again and again, with a deadline; `always` is looked at each time."""
    with gevent.Timeout(20, EventDidNotCome(what)):
        while not holds():
            always()
            gevent.sleep(0.01)


def rows(engine, torrent) -> list:
    actor = engine.session._actor_weakref()._torrents[torrent.info_hash].actor
    return list(actor.ask(m.GetTorrentSnapshot(), timeout=5).peers)


def state_of(engine, torrent) -> str:
    actor = engine.session._actor_weakref()._torrents[torrent.info_hash].actor
    return actor.ask(m.GetTorrentSnapshot(with_peers=False), timeout=5).state


# ── one ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_peers_by_hand_and_peers_that_dial_us_share_the_global_limit_of_which_a_part_is_kept_for_incoming(tmp_path, torrent):
    peers = [FakePeer(torrent.info_hash, torrent.data, torrent.piece_length, mute=True, ip=f"127.0.3.{number}").start() for number in range(1, 9)]
    with running(global_connection_limit=5, incoming_reserve=0.4) as engine:
        port = engine.addresses[0].port

        def limit_holds():
            stats = queue_stats(engine)
            assert stats.connected + stats.half_open + stats.leases <= 5
            assert stats.incoming <= 2

        engine.add(order_of(torrent, tmp_path, [PeerAddress(peer.ip, peer.port) for peer in peers]))
        wait_until(lambda: queue_stats(engine).connected == 3, "three of the peers by hand", limit_holds)
        leeches = []
        for number in range(4):
            leeches.append(gevent.spawn(Leech, port, torrent.info_hash, b"-XX0000-%012d" % number, f"127.0.4.{number + 1}"))
            limit_holds()
        wait_until(lambda: queue_stats(engine).incoming == 2, "two incoming peers", limit_holds)
        answers = [len(leech.get(timeout=20).handshake) for leech in leeches]
        assert sorted(answers) == [0, 0, 68, 68]        # two got no answer but the end
        stats = queue_stats(engine)
        assert (stats.connected, stats.connected_total) == (5, 3)
        for leech in leeches:
            leech.value.close()
        wait_until(lambda: queue_stats(engine).incoming == 0, "the places of those who left", limit_holds)
        assert queue_stats(engine).connected == 3       # what is kept for incoming ones is kept
    stop_all(peers)


def test_peers_by_hand_wait_for_their_turn_like_all_others(tmp_path, torrent):
    """With a limit of 5 dials a second and a burst of 10 the log shows a grant for each dial, and never more of them."""
    port = free_port()
    peers = [argument for number in range(1, 31) for argument in ("--peer", f"127.0.5.{number}:{port}")]
    arguments = (str(torrent.path), "--dir", str(tmp_path / "ours"), *peers, "--listen", "127.0.0.1:0", "--offline", "--profile", "weak-router")
    with EvenswarmProcess(tmp_path, "download", *arguments) as client:
        def all_were_dialled():
            return len({event["peer"] for event in client.named("connect_started")}) == 30

        wait_until(all_were_dialled, "a dial of each of the thirty peers")
        started = client.named("connect_started")
        granted = {event["grant_id"] for event in client.named("slot_granted")}
    assert all(event["grant_id"] in granted for event in started)
    moments = [event["monotonic"] for event in started]
    for first, begin in enumerate(moments):
        for last, end in enumerate(moments[first:], first):
            assert last - first + 1 <= 10 + 5 * (end - begin + 0.1), "10 + 5 a second; a tenth for the way from grant to log"


def test_an_idle_connection_makes_room_for_a_torrent_that_downloads(tmp_path, torrent):
    (tmp_path / torrent.name).write_bytes(torrent.data)
    other = make_torrent(tmp_path, 100_000, name="other.bin")
    peer = FakePeer(other.info_hash, other.data, other.piece_length).start()
    with running(global_connection_limit=3, incoming_reserve=0.0, idle_seconds=0.1) as engine:
        engine.add(order_of(torrent, tmp_path, []))
        wait_until(lambda: state_of(engine, torrent) == "seeding", "the first torrent seeds")
        leeches = [Leech(engine.addresses[0].port, torrent.info_hash, b"-XX0000-%012d" % number, f"127.0.4.{number + 1}") for number in range(3)]
        wait_until(lambda: queue_stats(engine).incoming == 3, "every place is taken by somebody who wants nothing")
        engine.add(order_of(other, tmp_path, [PeerAddress(peer.ip, peer.port)]))
        wait_until(lambda: state_of(engine, other) == "seeding", "the other torrent found a place and downloaded")
        assert queue_stats(engine).incoming == 2, "one had to go, the others stay"
        for leech in leeches:
            leech.close()
    stop_all([peer])


# ── stop means stop ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_torrent_that_is_removed_ends_its_dials_and_holds_nothing_of_the_queue(tmp_path, torrent):
    with running(connect_timeout=60.0) as engine, deaf_address() as (ip, port):
        engine.add(order_of(torrent, tmp_path, [PeerAddress(ip, port)]))
        wait_until(lambda: queue_stats(engine).half_open == 1, "a dial under way")
        engine.session.tell(m.RemoveTorrent(torrent.info_hash))
        wait_until(lambda: not queue_stats(engine).torrents, "the end of the torrent")
        stats = queue_stats(engine)
        assert (stats.half_open, stats.leases, stats.pending, stats.connected) == (0, 0, 0, 0)
        assert stats.granted == stats.connected_total + sum(stats.failed.values()) + sum(stats.declined.values()) + stats.expired + stats.cancelled


def test_a_stop_with_dials_under_way_cancels_them_at_once_and_blames_nobody(tmp_path, torrent):
    with deaf_address() as (ip, port):
        arguments = (str(torrent.path), "--dir", str(tmp_path / "ours"), "--peer", f"{ip}:{port}", "--listen", "127.0.0.1:0", "--offline",
                     "--set", "connect_timeout=60")
        with EvenswarmProcess(tmp_path, "download", *arguments) as client:
            client.wait_for("connect_started")
            client.process.terminate()
            assert client.wait(20) == 130
    ended, = client.named("connect_failed")
    assert (ended["outcome"], ended["next_try"]) == ("cancelled", None)
    assert client.wait_for("torrent_stopped")["elapsed"] < 2    # it did not wait for the dial, nor give it up after 2 s
    assert not client.named("torrent_stop_overdue")


# ── timeouts ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_dials_that_hang_are_given_up_sooner_once_five_others_were_answered(tmp_path, torrent):
    other = make_torrent(tmp_path, 1_000_000, name="other.bin")
    answering = [FakePeer(other.info_hash, other.data, other.piece_length, mute=True, ip=f"127.0.3.{number}").start() for number in range(1, 6)]
    with deaf_address() as (ip, port):
        peers = [f"{peer.ip}:{peer.port}" for peer in answering]
        arguments = [str(torrent.path), str(other.path), "--dir", str(tmp_path / "ours"), "--offline", "--listen", "127.0.0.1:0"]
        for address in (f"{ip}:{port}", *peers):        # both torrents get all of them
            arguments += ["--peer", address]
        with EvenswarmProcess(tmp_path, "download", *arguments) as client:
            given_up = [client.wait_for("connect_failed", peer=f"{ip}:{port}", info_hash=each.info_hash.hex()) for each in (torrent, other)]
            first = client.wait_for("connect_started", peer=f"{ip}:{port}")
    assert first["timeout"] == 10.0
    assert {event["reason"] for event in given_up} == {"no answer within 3 s"}
    stop_all(answering)


# ── ourselves ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_address_of_our_own_that_we_did_not_know_is_dialled_once(tmp_path, torrent):
    with running(listen_host="0.0.0.0") as engine:
        own = [PeerAddress(f"127.0.6.{number}", engine.addresses[0].port) for number in (1, 2, 3)]
        engine.add(order_of(torrent, tmp_path, own))
        wait_until(lambda: {row.reason for row in rows(engine, torrent)} == {"our own address"}, "all three known as our own")
        actor = engine.session._actor_weakref()._torrents[torrent.info_hash].actor
        actor.tell(m.PeersFound("manual", tuple(own)))
        assert {(row.attempt, row.until, row.swarm_peer.failures) for row in rows(engine, torrent)} == {(1, None, 0)}
        assert queue_stats(engine).connected == 0


# ── the network ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(bool(CANNOT_ISOLATE), reason=CANNOT_ISOLATE)
def test_a_lost_network_pauses_connecting_with_its_reason_and_its_return_resumes_it_by_itself(tmp_path, torrent):
    peers = [argument for number in range(1, 41) for argument in ("--peer", f"127.0.5.{number}:9")]
    arguments = (str(torrent.path), "--dir", str(tmp_path / "ours"), *peers, "--listen", "127.0.0.1:0", "--offline", "--profile", "weak-router")
    with EvenswarmProcess(tmp_path, "download", *arguments, under=ISOLATED) as client:
        client.wait_for("connect_failed", outcome="refused")
        take_network(client.process.pid)
        reason = client.wait_for("connecting_paused")["reason"]
        assert re.match("the network is down", reason)
        bring_network_back(client.process.pid)
        client.wait_for("connecting_resumed", reason=reason)
        back = len(client.events)
        client.wait_for("connect_started", after=back)
        client.wait_for("connect_failed", after=back, outcome="refused")
        lost = client.named("connect_failed", reason="no_route")
        assert lost
        assert all(event["outcome"] == "unreachable" and event["next_try"] <= 2 for event in lost)     # no strike: the shortest wait
        for peer in {event["peer"] for event in lost}:
            client.wait_for("connect_started", after=back, peer=peer)
