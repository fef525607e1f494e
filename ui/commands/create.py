"""`create`: hash a file or a folder and write its .torrent (BEP 3, 12, 19, 27)."""

import argparse
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from protocol.errors import MetainfoError, StorageError
from protocol.limits import MAX_PIECE_BYTES, MAX_PIECES, MIN_PIECE_BYTES
from protocol.metainfo import build_metainfo, parse_metainfo
from protocol.urls import TRACKER_SCHEMES, WEB_SEED_SCHEMES, usable_urls
from protocol.version import CLIENT_VERSION
from ui.commands.progress import HashingProgress
from ui.terminal.text import human_bytes, printable

AIMED_PIECES = 1_500                                    # few enough for a small .torrent, many enough to share early
LARGEST_CHOSEN_PIECE = 16 << 20                         # every client of the field takes 16 MiB


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to share: where it is, its name in the torrent (raw bytes of the file system), its size when it was found."""

    path: Path
    name: tuple[bytes, ...]
    length: int


def run(arguments: argparse.Namespace) -> int:
    """Write the .torrent and say what is in it. Raises MetainfoError or StorageError."""
    path = Path(arguments.path)
    if not Path(arguments.output).absolute().parent.is_dir():
        raise StorageError(f"cannot write {arguments.output}: there is no folder {Path(arguments.output).parent}")      # before hours of hashing
    tiers = tuple(checked_urls("--tracker", tier.split(","), TRACKER_SCHEMES) for tier in arguments.tracker)
    web_seeds = checked_urls("--web-seed", arguments.web_seed, WEB_SEED_SCHEMES)
    files, skipped = find_files(path)
    refuse_to_overwrite(Path(arguments.output), files)
    for name in skipped:
        print(f"skipped {printable(str(name))}: neither a file nor a folder", file=sys.stderr)
    total = sum(file.length for file in files)
    asked = arguments.piece_length
    piece_length = checked_piece_length(chosen_piece_length(total) if asked is None else asked, total)
    with HashingProgress(total) as progress:
        pieces = b"".join(piece_hashes(files, piece_length, progress.advance))
    info = {b"name": os.fsencode(path.resolve().name), b"piece length": piece_length, b"pieces": pieces}
    if path.is_dir():
        info[b"files"] = [{b"length": file.length, b"path": list(file.name)} for file in files]
    else:
        info[b"length"] = total
    if arguments.private:
        info[b"private"] = 1
    data = build_metainfo(
        info, tiers=tiers, web_seeds=web_seeds, comment=arguments.comment or "", created_by=CLIENT_VERSION, creation_date=int(time.time()),
    )
    metainfo = parse_metainfo(data, str(arguments.output))       # what we write, we can read
    write_whole(Path(arguments.output), data)
    print(f"{printable(str(arguments.output))}: {metainfo.info.info_hash.hex()}, {len(files)} file{'s' * (len(files) != 1)}, {human_bytes(total)}, "
          f"{metainfo.info.layout.num_pieces} pieces of {human_bytes(piece_length)}")
    return 0


def refuse_to_overwrite(output: Path, files: list[SourceFile]) -> None:
    """Raises StorageError when `output` is one of the files to share, or another file that is no .torrent. An older .torrent is replaced."""
    if not output.is_file():
        return
    if any(os.path.samefile(output, file.path) for file in files):
        raise StorageError(f"cannot write {output}: it is one of the files to share; give -o another name")
    try:
        with open(output, "rb") as stream:
            is_torrent = stream.read(1) in (b"d", b"")  # bencoded dictionaries begin so
    except OSError as error:
        raise StorageError(f"cannot replace {output}: {error.strerror}") from None
    if not is_torrent:
        raise StorageError(f"cannot write {output}: a file that is no .torrent lies there; remove it, or give -o another name")


def checked_urls(option: str, urls: list[str], schemes: frozenset[str]) -> tuple[str, ...]:
    """Return them without spaces around them. Raises MetainfoError for one that whoever reads the .torrent would leave out."""
    for url in urls:
        if not usable_urls([url], schemes, 1):
            raise MetainfoError(f"{option} {url!r}: must be a URL that begins with {', '.join(f'{scheme}://' for scheme in sorted(schemes))} and names a host")
    return tuple(url.strip() for url in urls)


def find_files(path: Path) -> tuple[list[SourceFile], list[Path]]:
    """Return the files of `path` in the order of their names, and what was skipped (sockets, devices, dangling links)."""
    if not path.exists():
        raise StorageError(f"{path}: there is no such file or folder")
    if path.is_file():
        return [SourceFile(path, (os.fsencode(path.resolve().name),), path.stat().st_size)], []
    files, skipped = [], []
    for folder, folders, names in os.walk(path, onerror=raise_unreadable, followlinks=False):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            try:
                status = file.stat()
            except OSError:
                skipped.append(file)
                continue
            if stat.S_ISREG(status.st_mode):
                files.append(SourceFile(file, tuple(os.fsencode(part) for part in file.relative_to(path).parts), status.st_size))
            else:
                skipped.append(file)
    if not files:
        raise StorageError(f"{path}: has no files to share")
    files.sort(key=lambda file: file.name)
    return files, skipped


def raise_unreadable(error: OSError) -> None:
    """os.walk's errors end the command: a torrent that silently lacks a folder helps nobody."""
    raise StorageError(f"cannot read {error.filename}: {error.strerror}")


def chosen_piece_length(total: int) -> int:
    """The power of two that makes about AIMED_PIECES pieces, within what the field takes."""
    length = MIN_PIECE_BYTES
    while length < LARGEST_CHOSEN_PIECE and total / length > AIMED_PIECES:
        length *= 2
    return length


def checked_piece_length(length: int, total: int) -> int:
    """Raises MetainfoError for a length that other clients would refuse."""
    if length & (length - 1) or not MIN_PIECE_BYTES <= length <= MAX_PIECE_BYTES:
        raise MetainfoError(f"--piece-length is {length}, must be a power of two from {MIN_PIECE_BYTES} to {MAX_PIECE_BYTES}")
    if total > length * MAX_PIECES:
        raise MetainfoError(f"--piece-length {length} makes more than {MAX_PIECES} pieces of {total} bytes, use a larger one")
    return length


def piece_hashes(files: list[SourceFile], piece_length: int, advance: Callable[[int], None]) -> Iterator[bytes]:
    """Yield the SHA-1 of each piece; a piece goes on from one file to the next."""
    piece = memoryview(bytearray(piece_length))
    filled = 0
    for file in files:
        try:
            with open(file.path, "rb", buffering=0) as stream:
                done = 0
                while read := stream.readinto(piece[filled:]):
                    filled += read
                    done += read
                    advance(read)
                    if filled == piece_length:
                        yield hashlib.sha1(piece).digest()
                        filled = 0
        except OSError as error:
            raise StorageError(f"cannot read {file.path}: {error.strerror}") from None
        if done != file.length:
            raise StorageError(f"{file.path} changed while it was read: {file.length} bytes before, {done} now; try again")
    if filled:
        yield hashlib.sha1(piece[:filled]).digest()


def write_whole(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename: nobody ever sees half a file."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as stream:
            try:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
                os.chmod(stream.name, 0o666 & ~current_umask())
                os.replace(stream.name, path)
            except BaseException:
                os.unlink(stream.name)
                raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None


def current_umask() -> int:
    """The umask can only be read by setting it."""
    umask = os.umask(0)
    os.umask(umask)
    return umask
