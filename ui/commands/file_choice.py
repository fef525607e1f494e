"""Which files of a torrent: '1,3-5' as typed, with the numbers that `show` prints, to a FileSelection."""

from protocol.errors import SettingsError
from protocol.metainfo import FileEntry, Info
from scheduler.file_selection import NORMAL, SKIP, FileSelection

FORM = "numbers and ranges as `show` numbers the files, for example 1,3-5"


def numbered(info: Info) -> list[tuple[int, int, FileEntry]]:
    """(number as people see it, index, file) of the files that are no padding."""
    files = [(index, file) for index, file in enumerate(info.files) if not file.padding]
    return [(number, index, file) for number, (index, file) in enumerate(files, 1)]


def chosen_files(info: Info, files: str | None, skip: str | None, sequential: bool, first_last_first: bool) -> FileSelection:
    """`files`: only these; `skip`: all but these; None: not said. Raises SettingsError."""
    if not files and not skip:
        return FileSelection(b"", sequential, first_last_first)
    by_number = {number: index for number, index, _ in numbered(info)}
    wanted = set(numbers(files, "--files", info.name, len(by_number))) if files else set(by_number)
    wanted -= set(numbers(skip, "--skip", info.name, len(by_number))) if skip else set()
    if not wanted:
        raise SettingsError(f"no file of {info.name} is left to download; --files and --skip take {FORM}")
    indices = {by_number[number] for number in wanted}
    priorities = bytes(NORMAL if index in indices else SKIP for index in range(len(info.files)))
    return FileSelection(priorities, sequential, first_last_first)


def numbers(text: str, option: str, name: str, most: int) -> list[int]:
    """'1,3-5' → [1, 3, 4, 5]. Raises SettingsError that names `option` for what is no number from 1 to `most`."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = (side.strip() for side in part.partition("-"))
        ends = [first, last if dash else first]
        if not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
            raise SettingsError(f"{option} {text!r}: {part!r} must be {FORM}")
        low, high = map(int, ends)
        if not 1 <= low <= high <= most:
            raise SettingsError(f"{option} {text!r}: {part!r} is not among the files of {name}, which are numbered from 1 to {most}")
        found += range(low, high + 1)
    return found
