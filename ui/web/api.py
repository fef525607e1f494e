"""Api: /api/… → calls of the engine. What a path means stands in ROUTES; what arguments mean is the engine's matter."""

import io
import json
from typing import Any, Final

from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from protocol import web_messages as wm
from protocol.limits import MAX_API_ARGUMENT_BYTES, MAX_API_BODY_BYTES, MAX_API_UPLOADS
from ui.web.adding import Upload, read_upload
from ui.web.answers import Refused, json_answer
from ui.web.engine_link import EngineLink, NoAnswer
from ui.web.event_stream import event_stream
from ui.web.http_server import BodyTooLarge

TORRENT: Final = "/api/torrents/<info_hash>"
ROUTES: Final = Map([                                   # the endpoint is the name of the engine's command
    Rule("/api/torrents", endpoint="list_torrents", methods=["GET"]),
    Rule("/api/torrents", endpoint="add_torrent", methods=["POST"]),
    Rule(TORRENT, endpoint="get_torrent", methods=["GET"]),
    Rule(TORRENT, endpoint="change_torrent", methods=["PATCH"]),
    Rule(TORRENT, endpoint="remove_torrent", methods=["DELETE"]),
    Rule(f"{TORRENT}/start", endpoint="start_torrent", methods=["POST"]),
    Rule(f"{TORRENT}/stop", endpoint="stop_torrent", methods=["POST"]),
    Rule(f"{TORRENT}/recheck", endpoint="recheck_torrent", methods=["POST"]),
    Rule(f"{TORRENT}/announce", endpoint="announce_torrent", methods=["POST"]),
    Rule(f"{TORRENT}/peers", endpoint="get_peers", methods=["GET"]),
    Rule(f"{TORRENT}/peers", endpoint="add_peers", methods=["POST"]),
    Rule(f"{TORRENT}/peers/ban", endpoint="ban_peer", methods=["POST"]),
    Rule(f"{TORRENT}/peers/unban", endpoint="unban_peer", methods=["POST"]),
    Rule(f"{TORRENT}/files", endpoint="get_files", methods=["GET"]),
    Rule(f"{TORRENT}/trackers", endpoint="get_trackers", methods=["GET"]),
    Rule("/api/queue", endpoint="get_queue", methods=["GET"]),
    Rule("/api/queue/pause", endpoint="pause_connecting", methods=["POST"]),
    Rule("/api/queue/resume", endpoint="resume_connecting", methods=["POST"]),
    Rule("/api/settings", endpoint="get_settings", methods=["GET"]),
    Rule("/api/settings", endpoint="change_settings", methods=["PATCH"]),
    Rule("/api/client", endpoint="get_client", methods=["GET"]),
    Rule("/api/events", endpoint="events", methods=["GET"]),
], strict_slashes=False, merge_slashes=False, redirect_defaults=False)
INFO_HASH_BYTES: Final = 20


class Api:
    """The calls, for who is logged in."""

    def __init__(self, link: EngineLink, allow_private_urls: bool) -> None:
        self._link = link
        self._allow_private_urls = allow_private_urls
        self._uploads = 0                               # large bodies in memory

    def answer(self, request: Request) -> Response:
        """Raises Refused, or werkzeug's NotFound and MethodNotAllowed."""
        command, values = ROUTES.bind_to_environ(request.environ).match()
        info_hash = info_hash_of(values["info_hash"]) if values else b""
        if command == "events":
            return event_stream(request, self._link)
        if command == "add_torrent":
            return self._add(request)
        if request.method == "GET":
            return self._call(command, info_hash, b"", b"")
        arguments = read_json(request)
        if command == "remove_torrent" and "data" in request.args:
            if arguments:
                raise Refused(wm.BAD_REQUEST, "say 'data' in the query or in the body, not in both")
            arguments = json.dumps({"data": flag_of("data", request.args["data"])}).encode()
        return self._call(command, info_hash, arguments, b"")

    def _add(self, request: Request) -> Response:
        if self._uploads >= MAX_API_UPLOADS:
            raise Refused(wm.UNAVAILABLE, f"{MAX_API_UPLOADS} torrents are being added; try again in a moment", {"Retry-After": "1"})
        self._uploads += 1
        try:
            body = read_body(request, MAX_API_BODY_BYTES)
            upload: Upload = read_upload(request, body, self._allow_private_urls)
            return self._call("add_torrent", b"", upload.arguments, upload.torrent)
        finally:
            self._uploads -= 1

    def _call(self, command: str, info_hash: bytes, arguments: bytes, data: bytes) -> Response:
        try:
            answer = self._link.call(command, info_hash, arguments, data)
        except NoAnswer as error:
            raise Refused(wm.UNAVAILABLE, str(error), {"Retry-After": "1"}) from None
        if answer.kind:
            raise Refused(answer.kind, answer.body.decode("utf-8", "replace"))
        return json_answer(answer.body)


def info_hash_of(text: str) -> bytes:
    """40 hex digits → 20 bytes. Raises Refused."""
    try:
        if not text.isascii() or len(text) != 2 * INFO_HASH_BYTES:
            raise ValueError
        return bytes.fromhex(text)
    except ValueError:
        raise Refused(wm.NOT_FOUND, "a torrent is named by its info hash, 40 hex digits") from None


def flag_of(key: str, text: str) -> bool:
    """'true' or 'false' (also 1, 0 and nothing at all: '?data'). Raises Refused."""
    values = {"true": True, "1": True, "": True, "false": False, "0": False}
    if text.lower() not in values:
        raise Refused(wm.BAD_REQUEST, f"{key} is {text[:40]!r}, must be true or false")
    return values[text.lower()]


def read_body(request: Request, most: int) -> bytes:
    """Return the body, and leave it to be read by werkzeug, too. Raises Refused."""
    try:
        body = request.environ["wsgi.input"].read_all(most)
    except BodyTooLarge:
        raise Refused("too_large", f"the body is longer than {most} bytes") from None
    request.environ["wsgi.input"] = io.BytesIO(body)
    request.environ["CONTENT_LENGTH"] = str(len(body))
    request.environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def read_json(request: Request) -> bytes:
    """Return the JSON of a body as it is; empty when there is none. Raises Refused."""
    body = read_body(request, MAX_API_ARGUMENT_BYTES)
    if body and request.mimetype != "application/json":
        raise Refused("unsupported_media_type", f"the body is {request.mimetype[:60] or 'of no stated type'!r}, must be application/json")
    return body


def value_of(body: bytes) -> Any:
    """JSON → value. Raises Refused."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(wm.BAD_REQUEST, "the body is no JSON") from None
