"""OpenFiles: the descriptors of all torrents' files in one daemon, a bounded number of them, the least recently used is
closed.

Several native threads use it, so a descriptor in use is pinned: closed only when the last one has put it back. (A
number that was closed too early would be another file's by the time it is written to.) Nothing here but `use_open` is
called in the hub's thread, which the lock would hold up.
"""

import errno
import resource
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from gevent.monkey import get_original

from daemon.safe_path import close_now

MOST_OPEN_FILES: Final = 64                             # more gain nothing: opening one costs microseconds
SHARE_OF_LIMIT: Final = 8                               # at most this part of the process's descriptors: the rest is for sockets


class _OpenFile:
    __slots__ = ("fd", "is_doomed", "num_users")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.num_users = 0
        self.is_doomed = False                          # to be closed by its last user


class OpenFiles:
    """Descriptors by (owner, key). One for each daemon; thread-safe."""

    def __init__(self, most_open: int = MOST_OPEN_FILES) -> None:
        soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft_limit != resource.RLIM_INFINITY:
            most_open = max(min(most_open, soft_limit // SHARE_OF_LIMIT), 1)
        self.most_open = most_open
        self._lock = get_original("_thread", "allocate_lock")()     # a native one: its users are native threads
        self._files: OrderedDict[tuple[Hashable, Hashable], _OpenFile] = OrderedDict()

    @contextmanager
    def borrow(self, owner: Hashable, key: Hashable, open_file: Callable[[], int]) -> Iterator[int]:
        """Give a descriptor, opened by `open_file` unless it is open. Raises what that raises.

        When the process is out of descriptors, others are closed first.
        """
        file = self._take(owner, key)
        if file is None:
            try:
                fd = open_file()
            except OSError as error:
                if error.errno != errno.EMFILE:
                    raise
                self._close_unused(lambda _: True)
                fd = open_file()
            file = self._insert(owner, key, fd)
        try:
            yield file.fd
        finally:
            with self._lock:
                file.num_users -= 1
                if file.is_doomed and not file.num_users:
                    close_now(file.fd)

    def use_open(self, owner: Hashable, key: Hashable, use: Callable[[int], bool]) -> bool:
        """Return `use(descriptor)`; False if there is none, or another thread is just at the table. Never waits.

        Nor must `use`, which keeps the others out.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            file = self._files.get((owner, key))
            if file is None:
                return False
            self._files.move_to_end((owner, key))
            return use(file.fd)
        finally:
            self._lock.release()

    def is_open(self, owner: Hashable, key: Hashable) -> bool:
        """A descriptor is there; it may be gone the next moment."""
        return (owner, key) in self._files

    def close_all_of(self, owner: Hashable) -> None:
        """Close all that is open of one owner; what is in use, when it is put back."""
        self._close_unused(lambda name: name[0] == owner)
        with self._lock:
            for name in [name for name in self._files if name[0] == owner]:
                self._files.pop(name).is_doomed = True

    @property
    def num_open(self) -> int:
        """How many descriptors are open; more than allowed only while more than that are in use."""
        return len(self._files)

    def _take(self, owner: Hashable, key: Hashable) -> _OpenFile | None:
        with self._lock:
            file = self._files.get((owner, key))
            if file is not None:
                file.num_users += 1
                self._files.move_to_end((owner, key))
            return file

    def _insert(self, owner: Hashable, key: Hashable, fd: int) -> _OpenFile:
        with self._lock:
            file = self._files.get((owner, key))
            if file is None:
                file = self._files[owner, key] = _OpenFile(fd)
            else:                                       # another thread was faster
                close_now(fd)
            file.num_users += 1
            surplus = len(self._files) - self.most_open
            for name in [name for name, other in self._files.items() if not other.num_users][:max(surplus, 0)]:
                close_now(self._files.pop(name).fd)
            return file

    def _close_unused(self, matches: Callable[[tuple[Hashable, Hashable]], bool]) -> None:
        with self._lock:
            for name in [name for name, file in self._files.items() if not file.num_users and matches(name)]:
                close_now(self._files.pop(name).fd)
