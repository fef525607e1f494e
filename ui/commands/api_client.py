"""ApiClient: the commands' way to the client that runs, over its API. Every failure is one line that says what to do."""

import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from protocol.errors import EvenswarmError
from ui.commands.data_folder import RunningClient, running_client

TIMEOUT_SECONDS: Final = 40.0                           # the web process gives the engine 30
SILENCE_SECONDS: Final = 40.0                           # a stream says something each 15 s
INFO_HASH_DIGITS: Final = 40


class ApiError(EvenswarmError):
    """What the client answered to a command, or that it did not."""


class ApiClient:
    """One request a connection: these commands are short."""

    def __init__(self, client: RunningClient) -> None:
        self._client = client

    def get(self, path: str) -> Any:
        """Return what it answers. Raises ApiError."""
        return self._request("GET", path, None, "")

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """A command with JSON. Raises ApiError."""
        return self._request(method, path, None if body is None else json.dumps(body).encode(), "application/json")

    def upload(self, path: str, data: bytes, content_type: str) -> Any:
        """A command with a file. Raises ApiError."""
        return self._request("POST", path, data, content_type)

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """Yield (name, data) of a stream until it ends. Raises ApiError."""
        connection = self._connection(SILENCE_SECONDS)
        try:
            connection.request("GET", path, headers=self._headers())
            answer = connection.getresponse()
            if answer.status != 200:
                raise _error(answer.status, answer.read())
            name = ""
            while line := answer.readline():
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()

    def _request(self, method: str, path: str, body: bytes | None, content_type: str) -> Any:
        headers = self._headers() | ({"Content-Type": content_type} if body is not None else {})
        connection = self._connection(TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        finally:
            connection.close()
        if answer.status != 200:
            raise _error(answer.status, said)
        return json.loads(said)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._client.token}"}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self._client.url)
        if not self._client.certificate:
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        context = ssl.create_default_context(cafile=self._client.certificate)
        context.check_hostname = False                  # it is this one certificate that is trusted, whatever name it is for
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)

    def _unreachable(self, error: Exception) -> ApiError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ApiError(f"the client at {self._client.url} does not answer ({reason}); did it die? start it again with 'python3 run.py'")


def _error(status: int, body: bytes) -> ApiError:
    try:
        return ApiError(str(json.loads(body)["error"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(f"the client answered with HTTP {status}")


def api_client(data: str | None) -> ApiClient:
    """The client that runs on this data folder. Raises StorageError when none does."""
    return ApiClient(running_client(None if data is None else str(Path(data))))


def torrents_named(client: ApiClient, names: list[str], everything: bool) -> list[dict[str, Any]]:
    """Return the rows of the torrents that `names` mean: an info hash or the beginning of one, or a name. Raises ApiError."""
    torrents = client.get("/api/torrents")["torrents"]
    if everything == bool(names):
        raise ApiError("name torrents (by info hash, its beginning, or name), or give --all")
    return torrents if everything else [_named(torrents, name) for name in dict.fromkeys(names)]


def _named(torrents: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = [torrent for torrent in torrents if name == torrent["name"] or (name and torrent["info_hash"].startswith(name.lower()))]
    if not found:
        raise ApiError(f"there is no torrent {name!r}; 'list' shows those that there are")
    if len(found) > 1:
        raise ApiError(f"{name!r} means {len(found)} torrents ({', '.join(torrent['info_hash'][:10] for torrent in found[:5])} …); give more of the info hash")
    return found[0]
