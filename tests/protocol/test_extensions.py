import pytest

from protocol.bencoding import decode, encode
from protocol.errors import RemoteProtocolError
from protocol.extensions import MAX_EXTENSIONS, ExtensionHandshake, build_extension_handshake, parse_extension_handshake
from protocol.limits import MAX_CLIENT_NAME_CHARS, MAX_EXTENDED_HANDSHAKE_BYTES, MAX_METAINFO_BYTES


def parsed(**values):
    return parse_extension_handshake(encode({name.encode(): value for name, value in values.items()}))


def test_the_example_of_bep_10_is_read():
    handshake = b"d1:md11:LT_metadatai1e6:\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"
    assert parse_extension_handshake(handshake) == ExtensionHandshake(
        client_name="µTorrent 1.2", listen_port=6881, message_ids={"LT_metadata": 1, "µT_PEX": 2},
    )


def test_an_empty_dictionary_says_nothing():
    assert parse_extension_handshake(b"de") == ExtensionHandshake("", 0, 0, 0, {})


def test_ours_holds_what_bep_10_names_and_leaves_out_what_we_do_not_know():
    built = build_extension_handshake("Evenswarm 0.1", 6881, 500, 1_234, {"ut_metadata": 3}, b"\x7f\0\0\1")
    assert decode(built) == {
        b"m": {b"ut_metadata": 3}, b"metadata_size": 1_234, b"p": 6881, b"reqq": 500, b"v": b"Evenswarm 0.1", b"yourip": b"\x7f\0\0\1",
    }
    assert decode(build_extension_handshake("Evenswarm 0.1", 0, 500, 0, {})) == {b"m": {}, b"reqq": 500, b"v": b"Evenswarm 0.1"}


@pytest.mark.parametrize(("payload", "named"), [
    (b"", "middle of a value"), (b"hello", "unexpected"), (b"le", "no dictionary"), (b"i5e", "no dictionary"), (b"d1:v", "middle of a value"),
    (b"d1:v9:abe", "only 3 are there"), (b"de\0", "after the end"), (b"d" * 200, "key"), (b"d1:v" * 101, "nested deeper"),
    (b"d1:pi1e1:pi2ee", "repeated"), (b"d1:v" + str(MAX_EXTENDED_HANDSHAKE_BYTES).encode() + b":" + bytes(MAX_EXTENDED_HANDSHAKE_BYTES) + b"e", "at most"),
])
def test_what_is_no_dictionary_or_too_long_is_refused(payload, named):
    with pytest.raises(RemoteProtocolError, match=f"^extension handshake.*{named}"):
        parse_extension_handshake(payload)


def test_keys_in_any_order_are_read_because_clients_send_them_so():
    assert parse_extension_handshake(b"d1:v1:x1:pi5ee") == ExtensionHandshake(client_name="x", listen_port=5)


@pytest.mark.parametrize(("values", "read"), [
    ({"p": 0}, {}), ({"p": 65_535}, {"listen_port": 65_535}), ({"p": 65_536}, {}), ({"p": -1}, {}), ({"p": b"6881"}, {}),
    ({"reqq": 250}, {"request_queue": 250}), ({"reqq": 0}, {}), ({"reqq": 1 << 40}, {}), ({"reqq": []}, {}),
    ({"metadata_size": MAX_METAINFO_BYTES}, {"metadata_size": MAX_METAINFO_BYTES}), ({"metadata_size": MAX_METAINFO_BYTES + 1}, {}),
    ({"yourip": b"\x50\0\0\1"}, {"your_ip": "80.0.0.1"}), ({"yourip": bytes(15) + b"\1"}, {"your_ip": "::1"}),
    ({"yourip": bytes(10) + b"\xff\xff\x50\0\0\1"}, {"your_ip": "80.0.0.1"}), ({"yourip": b"80.0.0.1"}, {}), ({"yourip": b""}, {}), ({"yourip": 5}, {}),
    ({"v": 5}, {}), ({"m": []}, {}), ({"m": {b"ut_pex": 0}}, {}), ({"m": {b"ut_pex": 256}}, {}), ({"m": {b"ut_pex": b"1"}}, {}),
    ({"m": {b"ut_pex": 255, b"x": -1}}, {"message_ids": {"ut_pex": 255}}),
    ({"reqq": -1}, {}), ({"reqq": b"250"}, {}), ({"reqq": 1 << 20}, {"request_queue": 1 << 20}), ({"reqq": (1 << 20) + 1}, {}),
    ({"p": []}, {}), ({"metadata_size": -1}, {}), ({"metadata_size": b"1"}, {}), ({"v": [b"x"]}, {}), ({"v": {}}, {}),
    ({"m": 1}, {}), ({"m": {b"ut_pex": {b"id": 1}}}, {}), ({"m": {b"": 1}}, {"message_ids": {"": 1}}), ({"m": {b"\xff": 1}}, {"message_ids": {"ÿ": 1}}),
    ({"unknown": {b"deep": [[1]]}, "v": b"x"}, {"client_name": "x"}),
], ids=str)
def test_a_value_that_makes_no_sense_counts_as_left_out(values, read):
    assert parsed(**values) == ExtensionHandshake(**read)


@pytest.mark.parametrize(("sent", "shown"), [
    (b"qBittorrent/5.0.1", "qBittorrent/5.0.1"),
    (b"  Transmission 4.0 ", "Transmission 4.0"),
    ("µTorrent".encode(), "µTorrent"),
    (b"bad \xff utf-8", "bad \N{REPLACEMENT CHARACTER} utf-8"),
    (b"\x1b[31mred\x1b[0m\r\n\0", "[31mred[0m"),        # nothing that moves a terminal's cursor
    ("\N{RIGHT-TO-LEFT OVERRIDE}evil".encode(), "evil"),
    (b"x" * 10_000, "x" * MAX_CLIENT_NAME_CHARS),
    (b"", ""),
])
def test_a_client_name_is_short_and_safe_to_show(sent, shown):
    assert parsed(v=sent).client_name == shown


def test_only_so_many_extensions_are_remembered():
    assert len(parsed(m={f"{number:04}".encode(): 1 for number in range(1_000)}).message_ids) == MAX_EXTENSIONS
