"""Picker, pipelines and buffers together, in virtual time: how close a download comes to the sum of what its peers can send."""

import random

import pytest

from protocol.bitfield import Bitfield
from tests.scheduler.simulated_download import SimulatedDownload, SimulatedPeer

POOL_BLOCKS = 2_048                                     # 32 MiB, as by default
MIB = 64                                                # blocks
BLOCKS_A_PIECE = [1, 16, 64, 256, 1_024]                # 16 KiB to 16 MiB


def peers_with(*rates, delay=0.05):
    return [SimulatedPeer(number, rate, delay) for number, rate in enumerate(rates)]


def download(peers, blocks, total_blocks, **others):
    """Run it, and return it with `times_ideal`: how many times as long it took as the peers' lines together need."""
    run = SimulatedDownload(total_blocks // blocks, blocks, peers, POOL_BLOCKS // blocks, **others).run(1_000)
    assert run.seconds is not None, "it did not complete"
    run.picker.check_invariants()
    run.times_ideal = run.seconds / (run.num_blocks / sum(peer.rate for peer in peers))
    return run


@pytest.mark.parametrize("blocks", BLOCKS_A_PIECE)
@pytest.mark.parametrize(("num_peers", "rate"), [(1, 1_000), (5, 4 * MIB), (20, 5 * MIB), (50, 4 * MIB)])
def test_equal_peers_are_all_used_though_buffers_are_short(num_peers, rate, blocks):
    run = download(peers_with(*[rate] * num_peers), blocks, 24 * 1_024)
    assert run.times_ideal < 1.15
    assert run.wasted < 0.01 * run.num_blocks


@pytest.mark.parametrize(("blocks", "most"), [(1, 1.15), (16, 1.15), (64, 1.15), (256, 1.15), (1_024, 1.6)])
def test_peers_of_all_rates_are_used(blocks, most):
    """With two buffers in all, each of two pieces waits for its slowest peer."""
    run = download(peers_with(*range(10, 210, 10)), blocks, 24 * 1_024)
    assert run.times_ideal < most
    assert run.wasted < 0.01 * run.num_blocks


@pytest.mark.parametrize("blocks", [1, 16, 64, 256])
def test_slow_peers_do_not_hold_up_the_fast_ones(blocks):
    run = download(peers_with(*[10 * MIB] * 5, *[2] * 45), blocks, 24 * 1_024)
    assert run.times_ideal < 1.25


def test_a_peer_that_never_sends_delays_nothing_but_what_it_was_asked_for_first():
    run = download([*peers_with(1_000), SimulatedPeer("silent", 0)], 64, 4_096)
    assert run.times_ideal < 1.15


def test_peers_with_long_delays_are_used_to_the_full_after_slow_start():
    run = download(peers_with(*[MIB] * 10, delay=0.5), 64, 24 * 1_024)
    assert run.times_ideal < 1.15


def test_leeches_that_have_different_halves_and_one_seed_are_all_used():
    rng = random.Random(3)
    peers = [SimulatedPeer("seed", MIB)]
    for number in range(9):
        pieces = Bitfield(384)
        for piece_index in rng.sample(range(384), 192):
            pieces.add(piece_index)
        peers.append(SimulatedPeer(number, MIB, pieces=pieces))
    assert download(peers, 64, 384 * 64).times_ideal < 1.15


def test_peers_that_leave_cost_only_what_they_would_have_sent():
    peers = peers_with(*[MIB] * 10)
    for number, peer in enumerate(peers[:9]):
        peer.leaves_at = 1.0 + number
    run = download(peers, 64, 8_192)
    sent_by_the_others = sum(peer.leaves_at * MIB for peer in peers[:9])
    assert run.seconds < 1.2 * (8_192 - sent_by_the_others) / MIB
    assert run.wasted < 0.01 * run.num_blocks


def test_a_piece_that_one_of_many_spoils_again_and_again_comes_from_one_peer_and_is_finished():
    run = download(peers_with(*[MIB] * 10), 64, 4_096, bad=lambda key, *_: key == 3)
    assert all(3 in senders for _, senders in run.failures)
    assert len(run.failures) < 10
    shared_failures = [piece_index for piece_index, senders in run.failures if len(senders) > 1]
    assert len(shared_failures) == len(set(shared_failures))        # mixed once, never again
