"""FeedStreams: what each viewer of the web process is sent, from what UIFeed says changed."""

import json

import pytest

from actors import messages as m
from actors.feed_streams import FeedStreams
from actors.snapshots import ConnectionView, DialView, DisplayPeer, FeedDifference, PeerDifference, SwarmPeerView

A, B = b"a" * 20, b"b" * 20
ME = "the actor of the web link"


def peer(port: int, connection: ConnectionView | None = None) -> DisplayPeer:
    return DisplayPeer(
        f"192.0.2.1:{port}", "192.0.2.1", port, "connected" if connection else "queued", 0.0, None, 0, "", connection,
        SwarmPeerView("tracker", 0, 0, "", None, "", "", 3_000, 400),
    )


class World:
    """Streams, what was sent: (number, name, id, data), and what the feed was told."""

    def __init__(self) -> None:
        self.sent, self.told = [], []
        self.streams = FeedStreams(
            lambda number, name, event_id, body: self.sent.append((number, name, event_id, json.loads(body))), self.told.append, ME,
        )

    def show(self, number: int = 1, from_version: int = 0, to_version: int = 1, **parts) -> tuple[str, str, dict]:
        """Let the feed tell a difference; return name, id and data of the event."""
        self.sent.clear()
        self.streams.difference(FeedDifference(number, from_version, to_version, now=5.0, **parts))
        [(told_number, name, event_id, data)] = self.sent
        assert told_number == number
        return name, event_id, data


def test_a_viewer_is_a_subscriber_of_the_feed():
    world = World()
    world.streams.open(1, [A], "")
    world.streams.taken(1)
    world.streams.close(1)
    world.streams.taken(1)                              # late: it is gone
    assert world.told == [m.Subscribe(ME, 1, (A,), 0), m.FeedTaken(ME, 1), m.Unsubscribe(ME, 1)]


def test_the_first_event_is_a_snapshot_that_names_every_part():
    world = World()
    world.streams.open(1, [], "")
    name, _, data = world.show(torrents=({"info_hash": A, "name": "x"},), queue={"next_up": (A,), "half_open": 1})
    assert name == "snapshot"
    assert data == {
        "version": 1, "now": 5.0, "torrents": [{"info_hash": A.hex(), "name": "x"}], "removed": [], "queue": {"next_up": [A.hex()], "half_open": 1},
        "peers": {},
    }


def test_a_difference_holds_what_changed_and_nothing_else():
    world = World()
    world.streams.open(1, [], "")
    name, _, data = world.show(from_version=1, to_version=2, torrents=({"info_hash": A, "verified_bytes": 50},), removed=(B,))
    assert name == "difference"
    assert data == {"version": 2, "now": 5.0, "torrents": [{"info_hash": A.hex(), "verified_bytes": 50}], "removed": [B.hex()]}


def test_slots_of_the_half_open_board_name_their_torrent_in_hex():
    world = World()
    world.streams.open(1, [], "")
    _, _, data = world.show(queue={"dials": (DialView(7, A, "192.0.2.1:1", "connecting", 4.0, 14.0),)})
    assert data["queue"]["dials"] == [
        {"grant_id": 7, "info_hash": A.hex(), "peer": "192.0.2.1:1", "state": "connecting", "since_at": 4.0, "until_at": 14.0},
    ]


def test_of_a_peer_of_which_only_the_figures_changed_only_these_are_sent():
    world = World()
    world.streams.open(1, [A], "")
    moving = peer(2, ConnectionView("rqbit 9", 0.5, 100, 20, 3_000, 400, "DU", 7, False))
    _, _, data = world.show(from_version=1, to_version=2, peers={A: PeerDifference(1, 2, (peer(1),), (moving,), ("192.0.2.1:3",))})
    rows = data["peers"][A.hex()]
    assert [row["key"] for row in rows["changed"]] == ["192.0.2.1:1"] and rows["removed"] == ["192.0.2.1:3"] and "whole" not in rows
    assert rows["figures"] == [["192.0.2.1:2", 0.5, 100, 20, 3_000, 400, "DU", 7, 3_000, 400]]


def test_who_comes_back_with_his_last_event_goes_on_from_there():
    world = World()
    world.streams.open(1, [A], "")
    _, event_id, _ = world.show(to_version=17)
    world.streams.close(1)
    world.streams.open(2, [A], event_id)
    assert world.told[-1] == m.Subscribe(ME, 2, (A,), 17)


@pytest.mark.parametrize("change", [
    lambda event_id: event_id[:-1], lambda event_id: "0" + event_id, lambda event_id: event_id.replace("-17-", "-18-x"), lambda event_id: "",
    lambda event_id: "-" * 50, lambda event_id: "x-" + "9" * 5_000, lambda event_id: "x-²-y",
])
def test_any_other_id_means_nothing(change):
    world = World()
    world.streams.open(1, [A], "")
    _, event_id, _ = world.show(to_version=17)
    world.streams.open(2, [A], change(event_id))
    world.streams.open(3, [B], event_id)                # other peers than before
    assert [message.from_version for message in world.told] == [0, 0, 0]
    other_run = World()
    other_run.streams.open(1, [A], event_id)
    assert other_run.told[0].from_version == 0


def test_the_death_of_the_web_process_ends_all_its_subscriptions_and_what_is_under_way_goes_nowhere():
    world = World()
    world.streams.open(1, [], "")
    world.streams.open(2, [], "")
    world.streams.close_all()
    assert world.told[-2:] == [m.Unsubscribe(ME, 1), m.Unsubscribe(ME, 2)]
    world.streams.difference(FeedDifference(1, 0, 1, 5.0))
    assert world.sent == []
