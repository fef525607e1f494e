"""The files of a torrent that the user wants deleted: these and no others, then the folders that are empty, and no link is followed.

What is not there is no fault: the daemon may have died in the middle of it. What is something else than a file (a link, a folder) was not
made by us and stays.
"""

import errno
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from daemon.safe_path import path_parts, remove_file_in, remove_folder_below, storage_error, walked_below
from protocol.metainfo import Info

STAYS: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EBUSY)     # of a folder: not ours alone, or gone
MOST_ERRORS: Final = 3                                  # are named; the others are counted


def delete_data(info: Info, folder: str) -> str:
    """Delete what `info` says lies below `folder`. Returns '' or what is left and why. Blocks: for a thread. Raises StorageError for a
    name that cannot be on a disk.
    """
    paths = sorted({path_parts(info, file) for file in info.files if not file.padding})
    errors = []
    for parent, group in groupby(paths, key=lambda parts: parts[:-1]):
        errors += _delete_files(folder, parent, group)
    folders = {path[:depth] for path in paths for depth in range(1, len(path))}
    for parts in sorted(folders, key=len, reverse=True):
        try:
            remove_folder_below(folder, parts)
        except OSError as error:
            if error.errno not in STAYS:
                errors.append(str(storage_error("delete the folder", parts, folder, error)))
    more = f"; and {len(errors) - MOST_ERRORS} more" if len(errors) > MOST_ERRORS else ""
    return "; ".join(errors[:MOST_ERRORS]) + more


def _delete_files(folder: str, parent: tuple[str, ...], paths: Iterable[tuple[str, ...]]) -> list[str]:
    errors: list[str] = []
    try:
        with walked_below(folder, parent) as at:
            for parts in paths:
                try:
                    remove_file_in(at, parts[-1])
                except FileNotFoundError:
                    pass
                except OSError as error:
                    errors.append(str(storage_error("delete", parts, folder, error)))
    except FileNotFoundError:
        pass
    except OSError as error:
        errors.append(str(storage_error("reach", parent, folder, error)))
    return errors
