"""A real client for tests, and a plain HTTP client that speaks to it: nothing of our own code is between a test and the socket."""

import http.client
import json
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
PAGE = re.compile(r"page (?P<scheme>https?)://(?P<host>\[?[\w.:]+?\]?):(?P<port>\d+)/\?token=(?P<token>\S+)\n")


class ClientDidNotStart(AssertionError):
    """With what it said."""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json["error"]


class ClientProcess:
    """`run.py` on a data folder of its own. A context manager."""

    def __init__(self, folder: Path, *arguments: str, web: str = "127.0.0.1:0", environment: dict[str, str] | None = None) -> None:
        self.data, self.downloads = folder / "data", folder / "downloads"
        self._stderr = open(folder / "client.err", "w+")     # noqa: SIM115 closed in __exit__
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), "--data", str(self.data), "--config", str(folder / "settings.toml"), "--dir", str(self.downloads), "--web", web,
             "--listen", "127.0.0.1:0", "--offline", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._stderr, start_new_session=True, text=True, env=environment,
        )
        with gevent.Timeout(START_SECONDS, ClientDidNotStart):
            line = self.process.stdout.readline()
        page = PAGE.fullmatch(line)
        if page is None:
            self.process.wait()
            raise ClientDidNotStart(f"it said {line!r} and {self.complaints()!r}")
        self.scheme, self.host, self.port, self.login_token = page["scheme"], page["host"], int(page["port"]), page["token"]
        self.api_token = (self.data / "api-token").read_text().strip()

    def __enter__(self) -> "ClientProcess":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
        self._stderr.close()

    def complaints(self) -> str:
        """All that it said on stderr."""
        return Path(self._stderr.name).read_text()

    def children(self) -> dict[int, str]:
        """Process ids of its children, and what they are."""
        pids = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid): Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids}

    def web_pid(self) -> int:
        """Of its web process."""
        return next(pid for pid, line in self.children().items() if "-m ui.web " in line)

    def connection(self) -> http.client.HTTPConnection:
        """A connection to its page; who asks closes it."""
        host = self.host.strip("[]")
        if self.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return http.client.HTTPSConnection(host, self.port, timeout=30, context=context)
        return http.client.HTTPConnection(host, self.port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request as it is: no login. A body that is no bytes is sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = self.connection()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request of a script: with the bearer token."""
        return self.ask(method, path, body, {"Authorization": f"Bearer {self.api_token}", **(headers or {})})

    def cookie(self) -> str:
        """Log in as a browser does that opens the printed address; 'name=value'."""
        answer = self.ask("GET", f"/?token={self.login_token}")
        assert answer.status == 303, answer
        return answer.headers["Set-Cookie"].partition(";")[0]


@contextmanager
def events(client: ClientProcess, path: str = "/api/events", headers: dict[str, str] | None = None) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a stream, as {'id', 'event', 'data'}; each has 30 seconds to come."""
    connection = client.connection()
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {client.api_token}", **(headers or {})})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        yield _events_of(answer)
    finally:
        connection.close()


def _events_of(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    while line := answer.readline():
        text = line.decode().rstrip("\n")
        if not text:
            if "data" in event:
                yield event
            event = {}
        elif not text.startswith(":"):
            key, _, value = text.partition(": ")
            event[key] = json.loads(value) if key == "data" else value
