"""Peer id → client name (BEP 20): Azureus style '-qB5020-…', Shadow style 'T03I--…', and Mainline's 'M7-10-5-…'."""

import re
from typing import Final

UNKNOWN: Final = "?"
AZUREUS: Final = {
    "AG": "Ares", "AR": "Arctic", "AX": "BitPump", "AZ": "Azureus", "BB": "BitBuddy", "BC": "BitComet", "BF": "BitFlu", "BG": "BTG",
    "BI": "BiglyBT", "BL": "BitLord", "BT": "BitTorrent", "BW": "BitWombat", "BX": "BittorrentX", "CD": "Enhanced CTorrent", "CT": "CTorrent",
    "DE": "Deluge", "EB": "EBit", "EW": "Evenswarm", "FD": "Free Download Manager", "FG": "FlashGet", "FL": "Folx", "FX": "Freebox",
    "GR": "GetRight", "GT": "go.torrent", "HL": "Halite", "JS": "Justseed.it", "KG": "KGet", "KT": "KTorrent", "LC": "LeechCraft",
    "LP": "Lphant", "LT": "libtorrent", "LW": "LimeWire", "MO": "MonoTorrent", "MR": "Miro", "NE": "BT Next Evolution", "PI": "PicoTorrent",
    "PT": "Popcorn Time", "QB": "qBittorrent", "QD": "QQDownload", "RT": "Retriever", "SB": "Swiftbit", "SD": "Xunlei", "SP": "BitSpirit",
    "ST": "SymTorrent", "TB": "Torch", "TE": "terasaur", "TIX": "Tixati", "TL": "Tribler", "TN": "TorrentDotNET", "TR": "Transmission",
    "TS": "TorrentStorm", "TX": "Tixati", "UE": "µTorrent Embedded", "UM": "µTorrent Mac", "UT": "µTorrent", "UW": "µTorrent Web",
    "VG": "Vagaa", "WD": "WebTorrent Desktop", "WT": "BitLet", "WW": "WebTorrent", "XF": "Xfplay", "XL": "Xunlei", "XT": "XanTorrent", "ZT": "Zip Torrent",
    "lt": "libTorrent (Rakshasa)", "qB": "qBittorrent", "rq": "rqbit", "st": "SharkTorrent",
}
SHADOW: Final = {"A": "ABC", "O": "Osprey", "Q": "BTQueue", "R": "Tribler", "S": "Shadow", "T": "BitTornado", "U": "UPnP NAT"}
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-"


def client_name(peer_id: bytes) -> str:
    """'qBittorrent 5.0.2', or '?' when the 20 bytes say nothing."""
    text = peer_id.decode("latin-1")
    if match := re.match(r"-([A-Za-z]{2}|[A-Za-z]\d)([0-9A-Za-z]{4})-", text):
        return _azureus(match[1], match[2])
    if match := re.match(r"A2-(\d+)-(\d+)-(\d+)-", text):
        return f"aria2 {match[1]}.{match[2]}.{match[3]}"
    if match := re.match(r"M(\d+)-(\d+)-(\d+)-", text):
        return f"BitTorrent {match[1]}.{match[2]}.{match[3]}"
    if match := re.match(r"([AOQRSTU])([0-9A-Za-z.]{1,5})-{1,3}", text):
        version = ".".join(str(_DIGITS.index(digit)) for digit in match[2].rstrip("-"))
        return f"{SHADOW[match[1]]} {version}"
    return UNKNOWN


def _azureus(code: str, version: str) -> str:
    name = AZUREUS.get(code) or AZUREUS.get(code.upper())
    if name is None:
        return UNKNOWN
    if code == "TR":
        return f"{name} {version[0]}.{version[1:3]}" if version[0] == "0" or version < "4000" else f"{name} {version[0]}.{version[1]}.{version[2]}"
    digits = [str(_DIGITS.index(digit)) for digit in version]
    while len(digits) > 2 and digits[-1] == "0":
        digits.pop()
    return f"{name} {'.'.join(digits)}"
