"""What keeps this machine from dialling: told once when it comes and once when it is gone, and never for one address only."""

import gevent
import pytest

from daemon import dial_obstacles
from daemon.dial_obstacles import NETWORK, NETWORK_TEXT, THE_INTERNET, DialObstacles
from daemon.raw_socket import has_route
from tests.daemon.loop_tools import Calls

V4, V6 = "80.0.0.1", "2a00::1"


class Routes:
    """The addresses that there is a route to; stands for the kernel's table."""

    def __init__(self, *addresses: str) -> None:
        self.to = set(addresses)


@pytest.fixture
def routes(monkeypatch):
    """A table of routes in place of the kernel's, and a look at it each 10 ms."""
    routes = Routes()
    monkeypatch.setattr(dial_obstacles, "has_route", lambda ip: ip in routes.to)
    monkeypatch.setattr(dial_obstacles, "LOOK_AGAIN_SECONDS", 0.01)
    return routes


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def obstacles(calls):
    obstacles = DialObstacles(gevent.get_hub().loop, calls.took("obstructed"))
    yield obstacles
    obstacles.close()


def test_without_any_route_the_network_is_lost_and_that_is_said_once(routes, calls, obstacles):
    assert obstacles.no_route(V4)
    assert not obstacles.no_route(V4) and not obstacles.no_route(V6)
    assert calls.all == [("obstructed", (NETWORK, NETWORK_TEXT))]


def test_it_is_said_when_the_network_is_back_and_nobody_looks_any_more(routes, calls, obstacles):
    obstacles.no_route(V4)
    calls.next("obstructed")
    routes.to.add(THE_INTERNET[0])
    assert calls.next("obstructed") == (NETWORK, "")
    assert obstacles._timer is None
    routes.to.clear()
    assert obstacles.no_route(V4)
    assert calls.next("obstructed") == (NETWORK, NETWORK_TEXT)


@pytest.mark.parametrize("others", [(THE_INTERNET[0],), (THE_INTERNET[1],)])
def test_a_machine_without_a_route_to_one_family_has_a_network(routes, calls, obstacles, others):
    routes.to.update(others)
    assert not obstacles.no_route(V6) and not obstacles.no_route(V4)
    assert calls.all == []


def test_a_network_without_a_way_to_the_internet_is_one_while_peers_in_it_can_be_reached(routes, calls, obstacles):
    routes.to.add("10.0.0.7")
    obstacles.found_route("10.0.0.7")
    assert not obstacles.no_route(V4)
    routes.to.clear()
    assert obstacles.no_route(V4)
    calls.next("obstructed")
    routes.to.add("10.0.0.7")
    assert calls.next("obstructed") == (NETWORK, "")


def test_two_obstacles_end_each_by_itself(routes, calls, obstacles, monkeypatch):
    has_descriptors = False
    monkeypatch.setattr(dial_obstacles, "_has_descriptors", lambda: has_descriptors)
    obstacles.no_route(V4)
    obstacles.no_descriptors("too many open files")
    obstacles.no_descriptors("too many open files")
    assert [calls.next("obstructed")[0] for _ in range(2)] == ["network", "descriptors"]
    routes.to.add(V4)
    obstacles.found_route(V4)
    assert calls.next("obstructed") == ("network", "")
    has_descriptors = True
    assert calls.next("obstructed") == ("descriptors", "")


def test_the_kernel_knows_a_route_to_this_machine():
    assert has_route("127.0.0.1")
