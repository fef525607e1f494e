"""DiskPool: native threads for what blocks or takes long: one for each duty, so that none waits for another.

    writer    SHA-1 and pwrite of whole pieces       (both let go of the interpreter lock)
    reader    preadv of what peers asked for
    syncer    fdatasync, which may take seconds
    checker   reading and hashing what was on disk before

The hub's thread submits; results come back to the hub through an async watcher, which is the one thing of an event loop
that other threads may touch. A wake-up delivers all that is ready. gevent's own ThreadPool is not used: it switches
greenlets when it is full, and it is also the one that resolves names. Threads start with their first job; an idle pool
keeps neither a thread awake nor a watcher in the loop.
"""

import sys
from _queue import SimpleQueue
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import gevent
from gevent.event import Event
from gevent.monkey import get_original

from protocol.errors import StorageError

# Of one duty. Who submits holds a buffer for each job, or waits for its end, so this is reached only when somebody forgot.
MAX_WAITING_JOBS: Final = 1 << 16
DUTIES: Final = ("writer", "reader", "syncer", "checker")

Job = Callable[[], Any]
Done = Callable[[Any], None]


class DiskPool:
    """The threads of one daemon: `pool.writer.submit(job, done)`. Everything here is called in the thread of `hub`."""

    def __init__(self, hub: Any = None) -> None:
        self._hub = hub if hub is not None else gevent.get_hub()
        self._wake_up = self._hub.loop.async_()
        self._finished: deque[tuple[DiskThread, Done, Any]] = deque()
        self._num_under_way = 0
        self._idle = Event()
        self._idle.set()
        self.writer, self.reader, self.syncer, self.checker = self._threads = [DiskThread(self, duty) for duty in DUTIES]

    def close(self, timeout: float | None = None) -> bool:
        """Take no more jobs, let those that wait be done and delivered; False if that took longer than `timeout` seconds.

        Switches: not for callbacks in the hub.
        """
        for thread in self._threads:
            thread.end()
        if not self._idle.wait(timeout):
            return False
        self._wake_up.close()
        return True

    def _submitted(self) -> None:
        if not self._num_under_way:
            self._idle.clear()
            self._wake_up.start(self._deliver)
        self._num_under_way += 1

    def _deliver(self) -> None:
        """In the hub: hand out what is ready."""
        while self._finished:
            thread, done, result = self._finished.popleft()
            thread.num_jobs -= 1
            self._num_under_way -= 1
            try:
                done(result)
            except Exception:
                self._hub.handle_error(done, *sys.exc_info())
        if not self._num_under_way:
            self._wake_up.stop()
            self._idle.set()


def _too_many() -> None:
    raise StorageError(f"the disk does not keep up: {MAX_WAITING_JOBS} jobs wait for it")


class DiskThread:
    """One duty: jobs are done one after the other, in the order they came."""

    def __init__(self, pool: DiskPool, duty: str) -> None:
        self.duty = duty
        self.num_jobs = 0                               # submitted, and not yet delivered
        self._pool = pool
        self._jobs: SimpleQueue = SimpleQueue()         # of _queue: native also where gevent has patched queue
        self._is_running = False
        self._has_ended = False

    def submit(self, job: Job, done: Done) -> bool:
        """Have `job()` run in the thread, then `done(what it returned, or the exception it raised)` in the hub.

        `done` must not switch. When too much waits, it gets a StorageError and the job does not run. False after close:
        then neither is called. Never blocks.
        """
        if self._has_ended:
            return False
        if self.num_jobs >= MAX_WAITING_JOBS:
            job = _too_many
        if not self._is_running:
            self._is_running = True
            get_original("_thread", "start_new_thread")(self._run, ())
        self.num_jobs += 1
        self._pool._submitted()
        self._jobs.put((job, done))
        return True

    def end(self) -> None:
        """Take no more jobs; the thread ends after the last one."""
        if not self._has_ended:
            self._has_ended = True
            self._jobs.put(None)

    def _run(self) -> None:
        """In the native thread: nothing of gevent but `send` may be called."""
        finished, wake_up = self._pool._finished, self._pool._wake_up
        while True:
            order = self._jobs.get()
            if order is None:
                return
            job, done = order
            try:
                result = job()
            except BaseException as error:
                result = error
            finished.append((self, done, result))
            del order, job, done, result                # a buffer must not live until the next job comes
            wake_up.send()
