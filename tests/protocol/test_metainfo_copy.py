"""Our own .torrent: the same torrent, and what the user wanted of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.bencoding import decode_with_spans, encode
from protocol.metainfo import build_metainfo, parse_metainfo
from protocol.metainfo_copy import Wishes, metainfo_copy, wishes_of

INFO = {b"name": b"debian.iso", b"length": 70_000, b"piece length": 1 << 16, b"pieces": bytes(40), b"source": b"somewhere"}
WISHES = Wishes(b"/downloads/\xff", "debian.torrent", "high", start=False, file_priorities=b"\1\0", sequential=True)


def metainfo(**more):
    values = {"tiers": (("http://a/announce", "udp://b:1/x"), ("http://c/",)), "web_seeds": ("http://w/",), "comment": "é", "created_by": "me", "creation_date": 5}
    return parse_metainfo(build_metainfo(INFO, **{**values, **more}), "a.torrent")


@pytest.mark.parametrize("original", [
    metainfo(), metainfo(tiers=()), metainfo(web_seeds=()), metainfo(comment="", created_by="", creation_date=None), metainfo(tiers=(("http://a/",),)),
])
def test_a_copy_is_the_same_torrent(original):
    assert parse_metainfo(metainfo_copy(original, WISHES), "copy") == original


def test_a_copy_tells_what_was_wanted():
    assert wishes_of(metainfo_copy(metainfo(), WISHES)) == WISHES


@given(st.builds(Wishes, st.binary(min_size=1), st.text(), st.text(), st.booleans(), st.binary(), st.booleans(), st.booleans()))
def test_whatever_was_wanted_comes_back(wishes):
    assert wishes_of(metainfo_copy(metainfo(), wishes)) == wishes


@pytest.mark.parametrize("ours", [b"x", {}, {b"folder": 1}, {b"folder": b"", b"source": b"", b"priority": b"", b"start": 1},
                                  {b"folder": b"/", b"source": b"", b"priority": b"", b"start": 2}])
def test_what_is_not_ours_tells_nothing(ours):
    assert wishes_of(encode({b"evenswarm": ours, b"info": INFO})) is None
    assert wishes_of(b"no bencode") is None and wishes_of(b"le") is None


def test_keys_of_a_copy_are_in_the_order_that_bep_3_wants():
    top = decode_with_spans(metainfo_copy(metainfo(), WISHES), source="copy")[0]
    assert list(top) == sorted(top)
