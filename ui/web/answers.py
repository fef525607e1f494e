"""Answers of the web process: JSON, errors as JSON with a sentence, redirects, files of the page."""

import json
from typing import Any, Final

from werkzeug.wrappers import Response

from protocol import web_messages as wm

STATUS_OF: Final = {
    wm.BAD_REQUEST: 400, "unauthorized": 401, "forbidden": 403, wm.NOT_FOUND: 404, "method_not_allowed": 405, "too_slow": 408, wm.CONFLICT: 409,
    "too_large": 413, "url_too_long": 414, "unsupported_media_type": 415, "misdirected": 421, "too_many": 429,
    wm.INTERNAL: 500, wm.NOT_SUPPORTED: 422, wm.STORAGE: 409, wm.UNAVAILABLE: 503,
}


class Refused(Exception):
    """A request that is answered with an error; `kind` is a key of STATUS_OF."""

    def __init__(self, kind: str, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.headers = headers or {}


def error_answer(refused: Refused) -> Response:
    """{"error": sentence, "kind": kind} with the status of that kind."""
    body = {"error": str(refused), "kind": refused.kind}
    return Response(json.dumps(body), STATUS_OF[refused.kind], refused.headers, content_type="application/json")


def json_answer(body: bytes | Any) -> Response:
    """JSON that the engine made, or a value."""
    return Response(body if isinstance(body, bytes) else json.dumps(body), 200, content_type="application/json")


def redirect(location: str, status: int = 303) -> Response:
    """To another path of ours, with GET."""
    return Response(b"", status, {"Location": location})


def wants_html(accept: str) -> bool:
    """Tell whether a browser asks for a page to show."""
    return "text/html" in accept
