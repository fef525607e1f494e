"""A real `run.py …` for tests: its log comes through a pipe, so that a test waits for an event and never polls."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import gevent
import gevent.event
import gevent.os

ROOT = Path(__file__).resolve().parent.parent.parent
READ_BYTES = 1 << 16


class EventDidNotCome(AssertionError):
    """With what was waited for, the last events, and what the process said."""


class EvenswarmProcess:
    """A context manager; `under` is a command that starts another one, such as prlimit. `events` grows as the log is read, all the time and not only while somebody waits: a full pipe would stop the engine."""

    def __init__(self, folder: Path, command: str, *arguments: str, with_log: bool = True, under: tuple[str, ...] = ()) -> None:
        self.events: list[dict] = []
        self._news = gevent.event.Event()
        self._partial_line = b""
        self._reader = None
        folder.mkdir(parents=True, exist_ok=True)
        if with_log:
            pipe = folder / f"{command}-{id(self)}.log"
            os.mkfifo(pipe)
            self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)   # for writing too: the pipe never ends before we say so
            self._reader = gevent.spawn(self._read_log)
            arguments = (*arguments, "--log", str(pipe))
        self._stdout = open(folder / f"{command}-{id(self)}.out", "w+")     # noqa: SIM115 closed in __exit__
        self.process = subprocess.Popen(
            [*under, sys.executable, str(ROOT / "run.py"), command, *arguments],
            stdin=subprocess.DEVNULL, stdout=self._stdout, stderr=subprocess.STDOUT, start_new_session=True,
        )

    def __enter__(self) -> "EvenswarmProcess":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._reader is not None:
            self._reader.kill()
            os.close(self._pipe)
        self._stdout.close()

    def wait_for(self, name: str, timeout: float = 30.0, after: int = 0, **fields: object) -> dict:
        """Return the first event (from number `after` on) with this name and these fields, waiting for it if need be."""
        seen = after
        with gevent.Timeout(timeout, False):            # silent: what is raised then should say what was seen by then
            while True:
                self._news.clear()
                for event in self.events[seen:]:
                    seen += 1
                    if matches(event, name, fields):
                        return event
                self._news.wait()
        raise EventDidNotCome(f"{name} {fields} did not come; last events {self.events[-5:]}; it said: {self.said()[-2000:]}")

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end of the process and of its log; return the exit code."""
        try:
            exit_code = self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise EventDidNotCome(f"it did not end in {timeout} s; last events {self.events[-5:]}; it said: {self.said()[-2000:]}") from None
        if self._reader is not None:
            self._reader.kill()
            self._read_what_is_there()
        return exit_code

    def named(self, name: str, **fields: object) -> list[dict]:
        """All events of this name and these fields so far."""
        return [event for event in self.events if matches(event, name, fields)]

    def said(self) -> str:
        """All that it printed, stdout and stderr."""
        return Path(self._stdout.name).read_text()

    def daemon_pids(self) -> list[int]:
        """Process ids of its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def _read_log(self) -> None:
        while True:
            self._take(gevent.os.nb_read(self._pipe, READ_BYTES))

    def _read_what_is_there(self) -> None:
        try:
            while data := os.read(self._pipe, READ_BYTES):
                self._take(data)
        except BlockingIOError:
            return

    def _take(self, data: bytes) -> None:
        *lines, self._partial_line = (self._partial_line + data).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        self._news.set()


def matches(event: dict, name: str, fields: dict) -> bool:
    """The event has this name and at least these fields."""
    return event["event"] == name and all(event.get(key) == value for key, value in fields.items())
