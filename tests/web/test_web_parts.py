"""The small parts of the web process and of the engine's end: tables of input and expected."""

import os

import pytest

from actors.download_roots import DownloadRoots
from actors.settings_values import converted_settings
from protocol import web_messages as wm
from protocol.body_parts import PartJoiner, cut_body
from protocol.errors import LocalProtocolError, SettingsError, StorageError
from protocol.limits import BODY_PART_BYTES, MAX_API_CALLS, MAX_WEB_SESSIONS
from ui.fetching.public_addresses import why_not_public
from ui.web.guard import is_our_name, why_cross_site
from ui.web.logins import FAILURE_SECONDS, FAILURES, FAILURES_OF_ALL, MAX_ADDRESSES, LoginLimit, Logins, network_of

CONFIGURE = wm.ConfigureWeb("127.0.0.1", 0, [], "secret words", "t" * 43, "one-time", "", "", [], False)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.255.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "198.18.0.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:1::", "x",
])
def test_nothing_is_fetched_from_this_machine_private_or_reserved_networks(address):
    assert why_not_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::"])
def test_public_addresses_may_be_fetched_from(address):
    assert why_not_public(address) == ""


@pytest.mark.parametrize(("headers", "is_refused"), [
    ({}, False), ({"Sec-Fetch-Site": "same-origin"}, False), ({"Sec-Fetch-Site": "cross-site"}, True), ({"Origin": "http://h:1"}, False),
    ({"Origin": "http://h"}, True), ({"Origin": "http://H:1"}, False), ({"Origin": "https://h:1"}, False), ({"Origin": "null"}, True),
    ({"Origin": "http://h:1.evil"}, True), ({"Origin": "http://x@h:1"}, True), ({"Origin": "http://[h:1"}, True), ({"Origin": ""}, True),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://evil"}, True),
])
def test_a_change_of_state_must_come_from_our_own_page_or_from_no_page(headers, is_refused):
    assert bool(why_cross_site("POST", {"Host": "h:1", **headers})) is is_refused
    assert why_cross_site("GET", {"Host": "h:1", **headers}) == ""


@pytest.mark.parametrize(("host", "is_ours"), [
    ("nas.local", True), ("NAS.local:8443", True), ("nas.local.", True), ("other.local", False), ("nas.local.evil", False), ("10.0.0.1", True), ("[::1]:1", True),
    ("127.0.0.1:99999", False), ("127.0.0.1:x", False), ("", False), (" 127.0.0.1", False),
])
def test_a_name_is_ours_when_it_was_given_or_cannot_be_bent(host, is_ours):
    assert is_our_name(host, frozenset({"nas.local"})) is is_ours


def test_an_address_may_fail_five_times_and_then_once_in_a_while():
    clock = Clock()
    limit = LoginLimit(clock)
    for _ in range(FAILURES):
        assert limit.wait("192.0.2.1") == 0
        limit.failed("192.0.2.1")
    assert limit.wait("192.0.2.1") == pytest.approx(FAILURE_SECONDS) and limit.wait("192.0.2.2") == 0
    clock.now += FAILURE_SECONDS
    assert limit.wait("192.0.2.1") == 0


def test_all_addresses_together_are_limited_and_remembered_in_bounded_memory():
    limit = LoginLimit(Clock())
    for number in range(FAILURES_OF_ALL):
        assert limit.wait(f"10.0.{number // 256}.{number % 256}") == 0
        limit.failed(f"10.0.{number // 256}.{number % 256}")
    assert limit.wait("192.0.2.1") > 0
    for number in range(2 * MAX_ADDRESSES):
        limit.failed(f"10.1.{number // 256}.{number % 256}")
    assert len(limit._full_at) == MAX_ADDRESSES


@pytest.mark.parametrize(("address", "network"), [
    ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64"), ("?", "?"),
])
def test_one_user_is_one_address_or_one_network_of_ipv6(address, network):
    assert network_of(address) == network


def test_a_login_token_works_once_and_an_empty_secret_never():
    told: list[wm.WebMessage] = []
    logins = Logins(CONFIGURE, told.append, Clock())
    assert not logins.use_login_token("") and not logins.use_login_token("one-timE")
    assert logins.use_login_token("one-time") and not logins.use_login_token("one-time") and not logins.use_login_token("")
    assert told == [wm.LoginTokenUsed()]
    assert logins.accepts("secret words") and not logins.accepts("") and not logins.accepts("secret word")


def test_sessions_are_told_to_the_engine_and_the_oldest_makes_room():
    told: list[wm.WebMessage] = []
    logins = Logins(CONFIGURE, told.append, Clock())
    cookies = [logins.open_session() for _ in range(MAX_WEB_SESSIONS + 1)]
    assert not logins.knows_cookie(cookies[0]) and logins.knows_cookie(cookies[1])
    opened = {message.digest for message in told if isinstance(message, wm.SessionOpened)}
    closed = {message.digest for message in told if isinstance(message, wm.SessionClosed)}
    assert len(opened) == MAX_WEB_SESSIONS + 1 and len(closed) == 1 and closed < opened
    assert all(cookie.encode() not in digest for cookie in cookies for digest in opened)
    logins.close_session(cookies[1])
    assert not logins.knows_cookie(cookies[1])


@pytest.mark.parametrize("size", [0, 1, BODY_PART_BYTES - 1, BODY_PART_BYTES, BODY_PART_BYTES + 1, 2 * BODY_PART_BYTES, 3 * BODY_PART_BYTES + 5])
def test_a_body_that_was_cut_is_joined_again(size):
    body = bytes(range(256)) * (size // 256 + 1)
    parts, last = cut_body(7, body[:size])
    assert all(len(part.data) == BODY_PART_BYTES for part in parts) and len(last) <= BODY_PART_BYTES
    joiner = PartJoiner(4 * BODY_PART_BYTES)
    for part in parts:
        joiner.add(part)
    assert joiner.join(7, last) == body[:size]


def test_bodies_and_their_number_are_bounded():
    joiner = PartJoiner(10)
    with pytest.raises(LocalProtocolError, match="at most 10"):
        joiner.join(1, b"x" * 11)
    with pytest.raises(LocalProtocolError, match="at most 10"):
        joiner.add(wm.BodyPart(2, b"x" * 11))
    joiner = PartJoiner(10)
    for number in range(MAX_API_CALLS):
        joiner.add(wm.BodyPart(number, b""))
    with pytest.raises(LocalProtocolError, match="bodies at once"):
        joiner.add(wm.BodyPart(MAX_API_CALLS, b""))


def test_folders_below_a_root_are_found_whatever_leads_to_the_root(tmp_path):
    real = tmp_path / "real"
    (real / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    (real / "inside").symlink_to(real / "sub")
    (real / "outside").symlink_to("/")
    roots = DownloadRoots([str(tmp_path / "link")])
    for text, folder in ((None, ""), ("sub", "sub"), ("sub/new/deep", "sub/new/deep"), (str(tmp_path / "link" / "sub"), "sub"), ("inside", "sub"), (".", "")):
        assert roots.folder(text) == os.path.join(str(real), folder).rstrip("/")
    for text in ("", "..", "sub/../..", "/", "outside", "outside/etc", str(real) + "x", "a\nb", "a\0b", "x" * 4_000, "\ud800"):
        with pytest.raises(StorageError):
            roots.folder(text)


@pytest.mark.parametrize(("values", "converted"), [({"connection_rate": 5}, {"connection_rate": 5.0}), ({"offline": True}, {"offline": True}), ({"nobody": []}, {"nobody": []})])
def test_settings_get_the_type_that_they_have(values, converted):
    assert converted_settings(values) == converted


@pytest.mark.parametrize("values", [{"half_open_limit": 1.5}, {"half_open_limit": True}, {"offline": 1}, {"profile": 5}, {"connection_rate": "1"}])
def test_a_setting_of_another_type_is_refused_by_name(values):
    with pytest.raises(SettingsError, match=next(iter(values))):
        converted_settings(values)
