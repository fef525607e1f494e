"""What is shared in the interop tests: small files that are odd in one named way each, and their .torrents by three makers.

The data is the same every time. Tracker URLs are put in afterwards, where a swarm needs one: `with_tracker`.
"""

import random
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.loopback_network import ROOT

EVENSWARM, LIBTORRENT, HYBRID, TRANSMISSION = "evenswarm", "libtorrent", "libtorrent, v1 and v2", "transmission-create"
KIB, MIB = 1 << 10, 1 << 20
TRACKER_TO_COME = "http://tracker.invalid/announce"
PADDING_FOLDER = ".pad"
INSTALL = {
    "libtorrent": "libtorrent is not installed: pip install --require-hashes -r tests/requirements.lock",
    "transmission": "Transmission is not installed: apt-get install transmission-daemon transmission-cli",
    "aria2": "aria2 is not installed: apt-get install aria2",
}


@dataclass(frozen=True)
class Case:
    """`files` are paths and sizes; one without a folder is a single-file torrent. `maker` writes the .torrent."""

    name: str
    maker: str
    piece_length: int
    files: dict[str, int]
    not_for: tuple[str, ...] = ()                       # clients that fail at it with libtorrent, too

    def __str__(self) -> str:
        return self.name


CASES = (
    Case("single_file", TRANSMISSION, 64 * KIB, {"single_file.bin": 3_000_001}),
    Case("odd_names", EVENSWARM, 32 * KIB, {
        "odd_names/Ünïcödé – ñandú.bin": 100_001, "odd_names/日本語 ファイル.txt": 33_333, "odd_names/magnet 🧲.bin": 70_000,
        "odd_names/two  spaces and a ' quote.bin": 12_345, "odd_names/.hidden": 17, "odd_names/empty": 0, "odd_names/$HOME;&%41.bin": 999,
        "odd_names/deep/er/and/deeper still/x": 50_000, "odd_names/" + "long" * 50: 1, "odd_names/combining e\u0301.bin": 20_000,
    }),
    Case("names_that_some_replace", EVENSWARM, 16 * KIB, {'names_that_some_replace/"|?*<>:.bin': 20_000, "names_that_some_replace/end. ": 1}, not_for=("Transmission",)),
    Case("zero_padding", LIBTORRENT, 64 * KIB, {"zero_padding/a.bin": 100_000, "zero_padding/b.bin": 1, "zero_padding/c.bin": 200_001, "zero_padding/d.bin": 65_536}),
    Case("hybrid", HYBRID, 64 * KIB, {"hybrid/first.bin": 300_000, "hybrid/second.bin": 77_777, "hybrid/third.bin": 500}, not_for=("aria2", "Transmission")),
    Case("pieces_of_16_kib", EVENSWARM, 16 * KIB, {"pieces_of_16_kib.bin": 2_000_000}),
    Case("pieces_of_8_mib", TRANSMISSION, 8 * MIB, {"pieces_of_8_mib.bin": 20_000_000}),
    Case("last_piece_of_one_byte", LIBTORRENT, 32 * KIB, {"last_piece_of_one_byte.bin": MIB + 1}),
    Case("many_files_in_a_piece", TRANSMISSION, 256 * KIB, {f"many_files_in_a_piece/{size:04}": size for size in range(37, 5_550, 37)}),
    Case("one_byte", EVENSWARM, 16 * KIB, {"one_byte.bin": 1}),
)


@dataclass(frozen=True)
class Payload:
    """A case on disk: `content`/<its files>, and the .torrent without a tracker that exists."""

    case: Case
    content: Path
    torrent: Path

    @property
    def root(self) -> str:
        """The file or folder that the torrent is named after."""
        return next(iter(self.case.files)).partition("/")[0]

    def with_tracker(self, folder: Path, url: str) -> Path:
        """Write the .torrent with this tracker into `folder` and return its path. The info dictionary stays as it was made."""
        old, new = (b"%d:%s" % (len(text), text.encode()) for text in (TRACKER_TO_COME, url))
        data = self.torrent.read_bytes()
        assert old in data, f"{self.torrent.name} has no tracker"
        path = folder / self.torrent.name
        path.write_bytes(data.replace(old, new))
        return path

    def copy_content(self, folder: Path, with_padding: bool) -> None:
        """Put the files into `folder`; with the padding files for a client that knows no BEP 47 and wants to find them on disk."""
        source = self.content / self.root
        if source.is_dir():
            shutil.copytree(source, folder / self.root)
        else:
            shutil.copy(source, folder)
        if with_padding:
            for path, size in padding_files(self.torrent):
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(bytes(size))

    def differences(self, folder: Path, ignore: tuple[str, ...] = (), needs_empty_files: bool = True) -> list[str]:
        """What in `folder` is not as it was made: files that differ, are missing, or should not be there (but folders named in `ignore`)."""
        found = {str(path.relative_to(folder)) for path in [folder / self.root, *(folder / self.root).rglob("*")] if path.is_file()}
        found = {path for path in found if not set(Path(path).parts) & set(ignore)}
        differing = [f"{path} should not be there" for path in sorted(found - set(self.case.files))]
        for path, size in self.case.files.items():
            if not size and not needs_empty_files:
                continue
            if not (folder / path).is_file():
                differing.append(f"{path} is missing")
            elif (theirs := (folder / path).read_bytes()) != (ours := (self.content / path).read_bytes()):
                at = next((index for index, (one, other) in enumerate(zip(theirs, ours, strict=False)) if one != other), min(len(theirs), len(ours)))
                differing.append(f"{path} has {len(theirs)} bytes of {len(ours)}, the first difference is at {at}")
        return differing


def make_payloads(folder: Path) -> dict[str, Payload]:
    """Write all cases whose maker is installed."""
    content, torrents = folder / "content", folder / "torrents"
    torrents.mkdir(parents=True)
    payloads = {}
    for case in CASES:
        for path, size in case.files.items():
            (content / path).parent.mkdir(parents=True, exist_ok=True)
            (content / path).write_bytes(random.Random(path).randbytes(size))
        if missing_maker(case.maker) is None:
            payload = Payload(case, content, torrents / f"{case.name}.torrent")
            make_torrent(payload)
            payloads[case.name] = payload
    return payloads


def missing_maker(maker: str) -> str | None:
    """How to install it, if it is not there."""
    if maker == TRANSMISSION:
        return None if shutil.which("transmission-create") else INSTALL["transmission"]
    if maker in (LIBTORRENT, HYBRID):
        return missing_libtorrent()
    return None


def missing_libtorrent() -> str | None:
    """How to install it, if it is not there."""
    try:
        import libtorrent  # noqa: F401 whether it can be imported is the question
    except ImportError:
        return INSTALL["libtorrent"]
    return None


def make_torrent(payload: Payload) -> None:
    """Have the maker write it."""
    case, source = payload.case, str(payload.content / payload.root)
    match case.maker:
        case "evenswarm":
            run([sys.executable, str(ROOT / "run.py"), "create", source, "-o", str(payload.torrent), "--tracker", TRACKER_TO_COME,
                 "--piece-length", str(case.piece_length)])
        case "transmission-create":
            run(["transmission-create", "-o", str(payload.torrent), "-s", str(case.piece_length // KIB), "-t", TRACKER_TO_COME, source])
        case _:
            make_with_libtorrent(payload)


def make_with_libtorrent(payload: Payload) -> None:
    """Version 1 with padding files (BEP 47), or both versions in one (BEP 52), which always has them."""
    import libtorrent

    case = payload.case
    files = libtorrent.list_files(str(payload.content / payload.root))
    flags = libtorrent.create_torrent.v1_only | libtorrent.create_torrent.canonical_files if case.maker == LIBTORRENT else 0
    torrent = libtorrent.create_torrent(files, case.piece_length, flags)
    torrent.add_tracker(TRACKER_TO_COME)
    libtorrent.set_piece_hashes(torrent, str(payload.content))
    payload.torrent.write_bytes(libtorrent.bencode(torrent.generate()))


def padding_files(torrent: Path) -> list[tuple[Path, int]]:
    """Their paths and sizes."""
    if missing_libtorrent():
        return []
    import libtorrent

    info = libtorrent.bdecode(torrent.read_bytes())[b"info"]
    return [
        (Path(info[b"name"].decode(), *(part.decode() for part in file[b"path"])), file[b"length"])
        for file in info.get(b"files", []) if b"p" in file.get(b"attr", b"")
    ]


def run(command: list[str]) -> None:
    """Run it, or fail with all that it said."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    if done.returncode:
        pytest.fail(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}", pytrace=False)
