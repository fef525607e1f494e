"""A process whose lines on stdout say where it is: wait for one of them, then end it."""

import os
import select
import signal
import subprocess
import time
from pathlib import Path

STOP_SECONDS = 15.0
READ_BYTES = 1 << 16
REMEMBERED_LINES = 20


class DidNotSay(Exception):
    """With what was waited for and the last that it said."""


class TalkingProcess:
    """A context manager. stdin is a pipe that ends with this object, stderr is the same as stdout."""

    def __init__(self, command: list[str], cwd: Path | None = None) -> None:
        self.name = Path(command[0]).name
        self._process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )
        self.pid = self._process.pid
        self._partial = b""
        self._lines: list[str] = []                     # not yet asked for
        self._said: list[str] = []                      # the last ones, for messages

    def __enter__(self) -> "TalkingProcess":
        return self

    def __exit__(self, *error: object) -> None:
        """SIGTERM, then SIGKILL to the whole session when it does not end."""
        self._process.stdin.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()

    def wait_for(self, text: str, timeout: float, count: int = 1) -> str:
        """Return the `count`-th line from now that contains `text`; lines before it are dropped. Raises DidNotSay."""
        deadline = time.monotonic() + timeout
        while True:
            while self._lines:
                line = self._lines.pop(0)
                if text in line:
                    count -= 1
                    if not count:
                        return line
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise DidNotSay(f"{self.name} did not say {text!r} within {timeout:.0f} s or ended; it said last: " + " | ".join(self._said))

    def forget(self) -> None:
        """Drop what it said until now."""
        while self._read(0):
            pass
        self._lines.clear()

    def _read(self, timeout: float) -> bool:
        """Take in what it says within `timeout`; False when that is nothing, or it ended."""
        if not select.select([self._process.stdout], [], [], timeout)[0]:
            return False
        data = os.read(self._process.stdout.fileno(), READ_BYTES)
        *lines, self._partial = (self._partial + data).split(b"\n")
        texts = [line.decode("utf-8", "replace").rstrip() for line in lines]
        self._lines += texts
        self._said = (self._said + [text for text in texts if text])[-REMEMBERED_LINES:]
        return bool(data)
