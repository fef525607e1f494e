"""Metadata from several peers at once: who is asked for what, what becomes of a whole, who is convicted."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.limits import MAX_KEPT_METADATA_BYTES, MAX_METAINFO_BYTES, MAX_UNREQUESTED_METADATA, METADATA_PIECE_BYTES
from protocol.metadata_messages import metadata_piece
from scheduler.metadata_download import ANSWER_SECONDS, FIRST_PAUSE_SECONDS, PIPELINE, TURN_SECONDS, MetadataDownload

METADATA = random.Random(5).randbytes(9 * METADATA_PIECE_BYTES + 100)
HASH = hashlib.sha1(METADATA).digest()
WRONG = bytes(METADATA_PIECE_BYTES)


def download(*peers: str, size: int = len(METADATA)) -> MetadataDownload:
    new = MetadataDownload(HASH)
    for peer in peers:
        new.peer_offers(peer, size)
    return new


def answer(new: MetadataDownload, peer: str, piece_index: int, now: float = 0.0, wrong: bool = False):
    piece = metadata_piece(METADATA, piece_index)
    data = bytes(len(piece.data)) if wrong else piece.data
    return new.received(peer, piece_index, piece.total_size, data, now)


def run(new: MetadataDownload, now: float = 0.0, liars: tuple[str, ...] = (), silent: tuple[str, ...] = (), asked=()):
    """Answer everything that is asked (`asked`: already) until a whole is judged or nothing is asked."""
    while asked := [*asked, *new.requests(now)]:
        for peer, piece_index in asked:
            if peer not in silent and (judged := answer(new, peer, piece_index, now, wrong=peer in liars and piece_index % 3 == 1)):
                return judged
        asked = ()
    return None


def test_several_peers_are_asked_at_once_each_for_other_pieces():
    asked = download("a", "b").requests(0.0)
    assert [peer for peer, _ in asked] == ["a", "b"] * PIPELINE
    assert sorted(piece_index for _, piece_index in asked) == list(range(2 * PIPELINE))


def test_a_whole_with_the_right_hash_is_the_metadata():
    judged = run(download("a", "b"))
    assert (judged.metadata, judged.num_senders, judged.liars) == (METADATA, 2, frozenset())


def test_the_last_pieces_are_asked_for_a_second_time_elsewhere_so_a_silent_peer_holds_nothing_up():
    assert run(download("silent", "b"), silent=("silent",)).metadata == METADATA


def test_a_peer_that_does_not_answer_is_set_aside_and_asked_again_later():
    new = download("a")
    new.requests(0.0)
    assert new.requests(ANSWER_SECONDS) == []
    assert new.requests(ANSWER_SECONDS + FIRST_PAUSE_SECONDS)


def test_what_a_peer_rejects_is_asked_of_another():
    new = download("a", "b")
    asked = new.requests(0.0)
    piece_index = next(piece_index for peer, piece_index in asked if peer == "a")
    new.rejected("a", piece_index, 0.0)
    for peer, asked_for in asked:
        if peer == "b":
            answer(new, "b", asked_for)
    assert ("b", piece_index) in new.requests(0.0)


def test_what_a_peer_that_left_was_asked_for_is_asked_of_others():
    new = download("a", "b")
    asked = [(peer, piece_index) for peer, piece_index in new.requests(0.0) if peer == "b"]
    new.peer_left("a")
    assert run(new, asked=asked).metadata == METADATA


def test_each_length_that_somebody_says_is_fetched_by_itself():
    new = download("a")
    new.peer_offers("inventor", METADATA_PIECE_BYTES)
    asked = new.requests(0.0)
    judged = new.received("inventor", 0, METADATA_PIECE_BYTES, WRONG, 0.0)
    assert (judged.metadata, judged.liars) == (None, {"inventor"})
    assert run(new, asked=[pair for pair in asked if pair[0] == "a"], silent=("inventor",)).metadata == METADATA


def test_one_sender_of_a_wrong_whole_is_convicted_at_once():
    judged = run(download("liar"), liars=("liar",))
    assert (judged.metadata, judged.liars) == (None, {"liar"})


def test_of_several_senders_the_liar_is_found_by_fetching_from_one_alone():
    new = download("honest", "liar", "other")
    judged = run(new, liars=("liar",))
    assert (judged.metadata, judged.liars) == (None, frozenset())
    asked = new.requests(0.0)
    assert len({peer for peer, _ in asked}) == 1
    judged = run(new, liars=("liar",), asked=asked)
    assert (judged.metadata, judged.num_senders, judged.liars) == (METADATA, 1, {"liar"})


def test_who_sent_a_piece_that_differs_from_the_right_one_is_convicted_when_that_is_known():
    new = download("honest", "liar")
    run(new, liars=("liar",))
    judged = run(new, liars=("liar",))
    assert judged.liars == {"liar"}
    assert judged.metadata == METADATA


def test_a_peer_that_is_slow_on_purpose_is_passed_over_when_its_turn_is_up():
    size = 200 * METADATA_PIECE_BYTES
    new = download("liar", "slow", size=size)
    while not (asked := new.requests(0.0)) or len({peer for peer, _ in asked}) > 1 or new.progress[0]:
        for peer, piece_index in asked:
            new.received(peer, piece_index, size, WRONG, 0.0)
    ((alone, _), *_), now = asked, 0.0
    while now < TURN_SECONDS - 2:                       # one piece in each 2 seconds: never silent for long
        now += 2.0
        new.received(alone, asked.pop(0)[1], size, WRONG, now)
        asked += (more := new.requests(now))
        assert {peer for peer, _ in more} == {alone}
    assert alone not in {peer for peer, _ in new.requests(TURN_SECONDS)}


def test_a_peer_that_says_two_lengths_is_refused():
    new = download("a")
    with pytest.raises(RemoteProtocolError, match="said 147556 before"):
        new.peer_offers("a", 5)
    new.requests(0.0)
    with pytest.raises(RemoteProtocolError, match="said 147556 before"):
        new.received("a", 0, 5, b"12345", 0.0)


def test_metadata_without_end_is_refused():
    new = download("a")
    with pytest.raises(RemoteProtocolError, match="nobody had asked for"):
        for _ in range(MAX_UNREQUESTED_METADATA + 1):
            answer(new, "a", 0)
    with pytest.raises(RemoteProtocolError, match="never offered"):
        answer(new, "stranger", 0)


def test_an_answer_that_comes_too_late_is_no_fault():
    new = download("a")
    asked = new.requests(0.0)
    new.requests(ANSWER_SECONDS)
    for _ in range(MAX_UNREQUESTED_METADATA):
        answer(new, "a", 5, ANSWER_SECONDS)
    for _ in asked:
        answer(new, "a", 0, ANSWER_SECONDS)


def test_what_is_kept_is_bounded_whatever_lengths_peers_claim():
    new, most = MetadataDownload(HASH), 0
    for number in range(5):
        new.peer_offers(number, MAX_METAINFO_BYTES - number * METADATA_PIECE_BYTES)
    for _ in range(5_000):
        for peer, piece_index in new.requests(0.0):
            if new.received(peer, piece_index, MAX_METAINFO_BYTES - peer * METADATA_PIECE_BYTES, WRONG, 0.0):
                new.peer_left(peer)
        most = max(most, new.kept_bytes)
    assert MAX_METAINFO_BYTES < most <= MAX_KEPT_METADATA_BYTES + 5 * PIPELINE * METADATA_PIECE_BYTES


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 3), st.integers(0, 5), st.integers(1, 7))
def test_the_metadata_comes_whoever_lies_is_silent_or_refuses_and_no_honest_peer_is_convicted(seed, num_honest, num_bad, num_pieces):
    rng = random.Random(seed)
    metadata = rng.randbytes((num_pieces - 1) * METADATA_PIECE_BYTES + rng.randint(1, METADATA_PIECE_BYTES))
    new, now = MetadataDownload(hashlib.sha1(metadata).digest()), 0.0
    behaviour = {f"honest {number}": "honest" for number in range(num_honest)}
    behaviour |= {f"bad {number}": rng.choice(("lies", "lies once", "silent", "rejects", "flaky")) for number in range(num_bad)}
    for peer in rng.sample(sorted(behaviour), len(behaviour)):
        new.peer_offers(peer, len(metadata))
    while now < 3_600:
        asked = new.requests(now)
        rng.shuffle(asked)
        for peer, piece_index in asked:
            if not new.offers(peer):
                continue
            kind, judged = behaviour[peer], None
            piece = metadata_piece(metadata, piece_index)
            if kind == "rejects" or (kind == "flaky" and rng.random() < 0.5):
                new.rejected(peer, piece_index, now)
            elif kind != "silent":
                lies = kind == "lies" or (kind == "lies once" and rng.random() < 0.3)
                judged = new.received(peer, piece_index, len(metadata), bytes(len(piece.data)) if lies else piece.data, now)
            if judged is not None:
                assert all(behaviour[liar] in ("lies", "lies once") for liar in judged.liars)
                if judged.metadata is not None:
                    assert judged.metadata == metadata
                    return
                for liar in judged.liars:
                    new.peer_left(liar)
        now += 0.5
    raise AssertionError("it never came")
