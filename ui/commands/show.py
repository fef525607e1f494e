"""`show`: what is in a .torrent or a magnet link, as plain text."""

import argparse
import time

from protocol.magnet import Magnet, build_magnet, parse_magnet
from protocol.metainfo import Metainfo
from ui.commands.file_choice import numbered
from ui.commands.sources import is_magnet, read_metainfo
from ui.terminal.text import human_bytes, printable


def run(arguments: argparse.Namespace) -> int:
    """Print it. Raises MetainfoError, MagnetError or StorageError."""
    if is_magnet(arguments.source):
        lines = describe_magnet(parse_magnet(arguments.source))
    else:
        lines = describe_metainfo(read_metainfo(arguments.source))
    width = max(len(label) for label, _ in lines)
    for label, text in lines:
        print(f"{label:<{width}}  {printable(text)}")
    return 0


def describe_metainfo(metainfo: Metainfo) -> list[tuple[str, str]]:
    """Label and text of each line."""
    info = metainfo.info
    layout = info.layout
    lines = [
        ("name", info.name),
        ("info hash", info.info_hash.hex()),
        ("size", f"{human_bytes(layout.total_length)} ({layout.total_length} bytes)"),
        ("pieces", f"{layout.num_pieces} of {human_bytes(layout.piece_length)}"),
        ("version", "v1 and v2 (hybrid; the v1 part is used)" if info.is_hybrid else "v1"),
        ("private", "yes: only its trackers name peers (BEP 27)" if info.private else "no"),
    ]
    lines += [(f"tier {number}", ", ".join(tier)) for number, tier in enumerate(metainfo.tiers, 1)]
    lines += [("web seed", url) for url in metainfo.web_seeds]
    if metainfo.comment:
        lines.append(("comment", metainfo.comment))
    if metainfo.created_by:
        lines.append(("created by", metainfo.created_by))
    if metainfo.creation_date is not None:
        lines.append(("created", creation_text(metainfo.creation_date)))
    lines += [(f"file {number}", f"{human_bytes(file.length):>10}  {'/'.join(file.path)}") for number, _, file in numbered(info)]
    return [*lines, ("magnet", magnet_of(metainfo))]


def magnet_of(metainfo: Metainfo) -> str:
    """The link that leads to it."""
    trackers = tuple(url for tier in metainfo.tiers for url in tier)
    return build_magnet(Magnet(metainfo.info.info_hash, metainfo.info.name, trackers, (), metainfo.web_seeds, ()))


def creation_text(seconds: int) -> str:
    """UTC; a year that no calendar holds is shown as the number that it is."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return f"{seconds} seconds after 1970"


def describe_magnet(magnet: Magnet) -> list[tuple[str, str]]:
    """Label and text of each line."""
    lines = [("name", magnet.name or "(not given)"), ("info hash", magnet.info_hash.hex())]
    lines += [("tracker", url) for url in magnet.trackers]
    lines += [("peer", peer) for peer in magnet.peers]
    lines += [("web seed", url) for url in magnet.web_seeds]
    if magnet.selected_files:
        lines.append(("files", ", ".join(map(str, magnet.selected_files))))
    return lines
