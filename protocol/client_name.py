"""Peer id → client name (BEP 20): Azureus style '-qB5020-…', Shadow style 'T03I--…', and what a few clients made up for themselves.

Four characters hold a version in as many ways as there are clients: a digit each, two and two, or with a letter for a beta. The table
names the client and its way.
"""

import re
from collections.abc import Callable
from typing import Final

UNKNOWN: Final = "?"
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-"


def _dotted(version: str) -> str:
    """'20B0' → 2.0.11; zeros at the end are left out down to two numbers."""
    numbers = [str(_DIGITS.index(digit)) for digit in version]
    while len(numbers) > 2 and numbers[-1] == "0":
        numbers.pop()
    return ".".join(numbers)


def _three(version: str) -> str:
    return _dotted(version[:3])


def _two_and_two(version: str) -> str:
    """'0195' → 1.95."""
    return f"{version[:2].lstrip('0') or '0'}.{version[2:]}"


def _major_minor(version: str) -> str:
    """'1230' → 1.23: one digit, then two."""
    return f"{version[0]}.{version[1:3]}"


def _transmission(version: str) -> str:
    """'0006' → 0.6, '0072' → 0.72, '3000' → 3.00, '4060' → 4.0.6; X and Z mark builds on the way to the next version."""
    if version.startswith("000"):
        return f"0.{version[3]}"
    if version.startswith("00"):
        return f"0.{version[2:]}"
    number = _major_minor(version) if version[0] < "4" else ".".join(version[:3])
    return number + ("+" if version[3] in "XZ" else "")


def _micro(version: str) -> str:
    """'3550' → 3.5.5, '355B' → 3.5.5 beta."""
    return ".".join(version[:3]) + {"A": " alpha", "B": " beta", "D": " debug"}.get(version[3], "")


def _none(_version: str) -> str:
    return ""


_AZUREUS: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    "7T": ("aTorrent", _dotted), "AG": ("Ares", _dotted), "AR": ("Arctic", _dotted), "AT": ("Artemis", _dotted), "AX": ("BitPump", _two_and_two),
    "AZ": ("Azureus", _dotted), "BB": ("BitBuddy", _dotted), "BC": ("BitComet", _two_and_two), "BE": ("BitTorrent SDK", _dotted), "BF": ("BitFlu", _none),
    "BG": ("BTGetit", _dotted), "BI": ("BiglyBT", _dotted), "BL": ("BitLord", _three), "BM": ("BitMagnet", _dotted), "BN": ("Baidu Netdisk", _none),
    "BR": ("BitRocket", _dotted), "BS": ("BTSlave", _dotted), "BT": ("BitTorrent", _micro), "BW": ("BitWombat", _dotted), "BX": ("BittorrentX", _dotted),
    "CD": ("Enhanced CTorrent", _two_and_two), "CT": ("CTorrent", _dotted), "DE": ("Deluge", _dotted), "DP": ("Propagate Data Client", _dotted),
    "EB": ("EBit", _dotted), "ES": ("Electric Sheep", _three), "EW": ("Evenswarm", _dotted), "FC": ("FileCroc", _dotted), "FD": ("Free Download Manager", _three),
    "FG": ("FlashGet", _two_and_two), "FL": ("Folx", _dotted), "FT": ("FoxTorrent", _dotted), "FW": ("FrostWire", _three), "FX": ("Freebox", _dotted),
    "G3": ("G3 Torrent", _none), "GR": ("GetRight", _dotted), "GS": ("GSTorrent", _dotted), "GT": ("anacrolix torrent", _dotted), "HK": ("Hekate", _dotted),
    "HL": ("Halite", _three), "HN": ("Hydranode", _dotted), "JS": ("Justseed.it", _dotted), "KG": ("KGet", _dotted), "KT": ("KTorrent", _three),
    "LC": ("LeechCraft", _dotted), "LH": ("LH-ABC", _dotted), "LP": ("Lphant", _two_and_two), "LT": ("libtorrent", _dotted), "LW": ("LimeWire", _none),
    "MG": ("MediaGet", _dotted), "MK": ("Meerkat", _dotted), "MO": ("MonoTorrent", _dotted), "MP": ("MooPolice", _three), "MR": ("Miro", _dotted),
    "MT": ("Moonlight", _dotted), "NE": ("BT Next Evolution", _dotted), "NX": ("Net Transport", _dotted), "OS": ("OneSwarm", _dotted),
    "OT": ("OmegaTorrent", _dotted), "PD": ("Pando", _dotted), "PI": ("PicoTorrent", _dotted), "PT": ("Popcorn Time", _dotted), "QD": ("QQDownload", _dotted),
    "QT": ("Qt 4 example", _dotted), "RS": ("Rufus", _dotted), "RT": ("Retriever", _dotted), "RZ": ("RezTorrent", _dotted), "SB": ("Swiftbit", _dotted),
    "SD": ("Xunlei", _dotted), "SM": ("SoMud", _dotted), "SP": ("BitSpirit", _three), "SS": ("SwarmScope", _dotted), "ST": ("SymTorrent", _dotted),
    "SZ": ("Shareaza", _dotted), "S~": ("Shareaza", _dotted), "TB": ("Torch", _dotted), "TE": ("terasaur", _dotted), "TL": ("Tribler", _dotted),
    "TN": ("Torrent.NET", _dotted), "TR": ("Transmission", _transmission), "TS": ("TorrentStorm", _dotted), "TT": ("TuoTu", _dotted), "TX": ("Tixati", _two_and_two),
    "UE": ("µTorrent Embedded", _micro), "UL": ("uLeecher!", _dotted), "UM": ("µTorrent Mac", _micro), "UT": ("µTorrent", _micro), "UW": ("µTorrent Web", _micro),
    "VG": ("Vagaa", _dotted), "WD": ("WebTorrent Desktop", _two_and_two), "WT": ("BitLet", _dotted), "WW": ("WebTorrent", _two_and_two), "WY": ("FireTorrent", _dotted),
    "XF": ("Xfplay", _three), "XL": ("Xunlei", _dotted), "XT": ("XanTorrent", _dotted), "ZT": ("Zip Torrent", _dotted),
    "lt": ("libTorrent (rTorrent)", _dotted), "qB": ("qBittorrent", _dotted), "rQ": ("rqbit", _dotted), "st": ("SharkTorrent", _dotted),
}
_SHADOW: Final = {"A": "ABC", "O": "Osprey", "Q": "BTQueue", "R": "Tribler", "S": "Shadow", "T": "BitTornado", "U": "UPnP NAT"}

_AZUREUS_STYLE: Final = re.compile(r"-([A-Za-z0-9][A-Za-z0-9~])([0-9A-Za-z]{4})[0-9A-Za-z-]")     # µTorrent's may end in a digit
_SHADOW_STYLE: Final = re.compile(r"([AOQRSTU])([0-9A-Za-z.]{1,5})--")
_OWN_STYLES: Final = tuple((re.compile(style), name) for style, name in (
    (r"M(\d{1,2})-(\d{1,2})-(\d{1,2})-", "BitTorrent"), (r"Q(\d{1,2})-(\d{1,2})-(\d{1,2})-", "Queen Bee"), (r"A2-(\d{1,2})-(\d{1,2})-(\d{1,2})-", "aria2"),
    (r"TIX0?(\d{1,2})(\d\d)-", "Tixati"), (r"-ML(\d)\.(\d{1,2})\.(\d)", "MLDonkey"), (r"XBT(\d)(\d)(\d)", "XBT Client"), (r"OP(\d{4})", "Opera"),
))


def client_name(peer_id: bytes) -> str:
    """'qBittorrent 5.0.2', or '?' when the 20 bytes say nothing. Always printable."""
    text = peer_id.decode("latin-1")
    for style, name in _OWN_STYLES:
        if match := style.match(text):
            return f"{name} {'.'.join(match.groups())}"
    if match := _AZUREUS_STYLE.match(text):
        name, version = _AZUREUS.get(match[1], (UNKNOWN, _none))
        return f"{name} {version(match[2])}".rstrip()
    if match := _SHADOW_STYLE.match(text):
        return f"{_SHADOW[match[1]]} {'.'.join(str(_DIGITS.index(digit)) for digit in match[2])}"
    return UNKNOWN
