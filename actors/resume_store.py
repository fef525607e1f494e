"""ResumeStore: the actor that remembers. Torrents and Session tell it facts; it writes them a second later, all at once, in a native
thread of its own, because SQLite and fsync block. One write is under way at a time; what comes meanwhile waits, the newest of each kind.

A write that fails (a full disk) is tried again; nothing that was told is lost as long as this process lives.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

import gevent
import gevent.threadpool
import pykka

from actors import messages as m
from actors.engine_actor import DelayedMessage, EngineActor
from actors.resume_records import ResumeRecords
from actors.store_facts import Fact, StoreFacts
from protocol.errors import EvenswarmError

WRITE_SECONDS: Final = 1.0                              # so long facts wait for others
FIRST_RETRY_SECONDS: Final = 2.0                        # after a write that failed, then twice as long each time, up to the last one
LAST_RETRY_SECONDS: Final = 60.0
TORRENTS_AT_ONCE: Final = 100                           # read in one go: the first run while the last are still read

InThread = Callable[[Callable[[], Any]], None]


class ResumeStore(EngineActor):
    """The only one who writes `records`. `in_thread` runs a function elsewhere and posts what it returns to this actor."""

    def __init__(self, session: pykka.ActorRef | None, *, records: ResumeRecords, in_thread: InThread | None = None, **engine: Any) -> None:
        super().__init__(session, **engine)
        self._records = records
        self._pool = gevent.threadpool.ThreadPool(1) if in_thread is None else None
        self._in_thread = in_thread or self._run_in_thread
        self._orders: Iterator[m.AddTorrent] = iter(())
        self._loaded: Callable[[tuple[str, ...], str], None] | None = None
        self._num_torrents = 0
        self._notices: list[str] = []
        self._waiting = StoreFacts()
        self._being_written: StoreFacts | None = None
        self._write_timer: DelayedMessage | None = None
        self._failures = 0                              # writes in a row
        self._flushed: list[Callable[[], None]] = []

    def on_receive(self, message: Any) -> Any:
        self.give_way()
        match message:
            case _ if isinstance(message, Fact):  self._remember(message)
            case m.WriteDue():      self._write_due()
            case m.FactsWritten():  self._written(message)
            case m.LoadTorrents():  self._load(message)
            case m.TorrentsRead():  self._torrents_read(message)
            case m.FlushStore():    self._flush(message)
            case m.Ping():          return True
            case _:                 self.unknown(message)
        return None

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, message: m.LoadTorrents) -> None:
        self._loaded = message.done
        self._orders = self._records.load()
        self._in_thread(self._read_some)

    def _read_some(self) -> m.TorrentsRead:
        """In the thread."""
        try:
            orders = tuple(islice(self._orders, TORRENTS_AT_ONCE))
            return m.TorrentsRead(orders, self._records.notices())
        except EvenswarmError as error:
            return m.TorrentsRead((), self._records.notices(), str(error))
        except Exception as error:                      # a fault of ours must not leave the client waiting
            return m.TorrentsRead((), self._records.notices(), f"a fault of this client: {error!r}")

    def _torrents_read(self, message: m.TorrentsRead) -> None:
        self._notices += message.notices
        for notice in message.notices:
            self._log.warning("store_noticed", notice=notice)
        if message.orders:
            self._num_torrents += len(message.orders)
            for order in message.orders:
                self.post(self._session, order)
            self._in_thread(self._read_some)
            return
        self._log.info("torrents_loaded", count=self._num_torrents)
        done, self._loaded = self._loaded, None
        done(tuple(self._notices), message.error)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _remember(self, fact: Fact) -> None:
        self._waiting.add(fact)
        if self._write_timer is None and self._being_written is None:
            self._write_timer = self.call_later(WRITE_SECONDS, m.WriteDue())

    def _write_due(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        if self._being_written is None and self._waiting:
            self._being_written, self._waiting = self._waiting, StoreFacts()
            self._in_thread(partial(self._write, list(self._being_written)))

    def _write(self, facts: list[Fact]) -> m.FactsWritten:
        """In the thread."""
        try:
            self._records.write(facts)
        except EvenswarmError as error:
            return m.FactsWritten(str(error))
        except Exception as error:                      # as above
            return m.FactsWritten(f"a fault of this client: {error!r}")
        return m.FactsWritten()

    def _written(self, message: m.FactsWritten) -> None:
        being_written, self._being_written = self._being_written, None
        if message.error:
            self._waiting.put_back(being_written)
            self._failed(message.error)
        elif self._failures:
            self._failures = 0
            self._log.info("store_recovered")
        if self._waiting and self._flushed and not message.error:
            self._write_due()
            return
        flushed, self._flushed = self._flushed, []
        for done in flushed:
            done()
        if self._waiting and self._write_timer is None:
            self._write_timer = self.call_later(WRITE_SECONDS, m.WriteDue())

    def _failed(self, error: str) -> None:
        delay = min(FIRST_RETRY_SECONDS * 2 ** self._failures, LAST_RETRY_SECONDS)
        self._failures += 1
        self._log.error("store_failed", error=error, retry_in=delay)
        self._write_timer = self.call_later(delay, m.WriteDue())

    def _flush(self, message: m.FlushStore) -> None:
        if not self._waiting and self._being_written is None:
            message.done()
            return
        self._flushed.append(message.done)
        self._write_due()

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _run_in_thread(self, function: Callable[[], Any]) -> None:
        gevent.spawn(lambda: self.post(self.actor_ref, self._pool.apply(function)))

    def on_stop(self) -> None:
        super().on_stop()
        self._close()

    def on_failure(self, *failure: Any) -> None:
        super().on_failure(*failure)
        self._close()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.apply(self._records.close)       # after what is under way
            self._pool.kill()
