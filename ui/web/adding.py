"""What POST /api/torrents brings: a .torrent as JSON (base64), as a form or as it is; its URL; or a magnet link. → bytes and options."""

import json
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from protocol import web_messages as wm
from protocol.errors import EvenswarmError
from protocol.limits import MAX_API_ARGUMENT_BYTES, MAX_URL_CHARS
from ui.fetching.public_addresses import why_not_public
from ui.fetching.torrent_url import fetch
from ui.web.answers import Refused

TORRENT_TYPE: Final = "application/x-bittorrent"
FLAGS: Final = frozenset({"start"})                     # options that are true or false
MAX_FORM_PARTS: Final = 20


@dataclass(frozen=True, slots=True)
class Upload:
    """What the engine is to add."""

    arguments: bytes                                    # JSON: the options, and `source` for messages
    torrent: bytes                                      # of a .torrent; empty for a magnet link


class _Json(msgspec.Struct):
    """The fields that do not go to the engine as they are."""

    torrent: bytes | None = None                        # base64 in JSON
    url: str | None = None


def read_upload(request: Request, body: bytes, allow_private_urls: bool) -> Upload:
    """Raises Refused."""
    match request.mimetype:
        case "application/json":     torrent, url, options = _of_json(body)
        case "multipart/form-data":  torrent, url, options = _of_form(request)
        case t if t == TORRENT_TYPE:  torrent, url, options = body, None, _options(request.args)
        case _:
            raise Refused("unsupported_media_type", f"the body must be application/json, multipart/form-data or {TORRENT_TYPE}")
    if sum((torrent is not None, url is not None, "magnet" in options)) != 1:
        raise Refused(wm.BAD_REQUEST, "give one of: torrent (a .torrent in base64, or the file of a form), url, magnet")
    if url is not None:
        torrent = _fetched(url, allow_private_urls)
        options.setdefault("source", msgspec.Raw(json.dumps(url[:MAX_URL_CHARS]).encode()))
    return Upload(msgspec.json.encode(options), torrent or b"")


def _of_json(body: bytes) -> tuple[bytes | None, str | None, dict[str, Any]]:
    try:
        options = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        fields = msgspec.json.decode(body, type=_Json)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(wm.BAD_REQUEST, f"the body is not as it should be: {error}") from None
    for key in ("torrent", "url"):
        options.pop(key, None)
    return fields.torrent, fields.url, _bounded(options)


def _of_form(request: Request) -> tuple[bytes | None, str | None, dict[str, Any]]:
    request.max_form_parts, request.max_form_memory_size = MAX_FORM_PARTS, MAX_API_ARGUMENT_BYTES
    try:
        file, form = request.files.get("torrent"), request.form
    except (HTTPException, ValueError):
        raise Refused(wm.BAD_REQUEST, f"that is no form: at most {MAX_FORM_PARTS} fields, the .torrent as the file 'torrent'") from None
    options = _options({key: value for key, value in form.items() if key != "url"})
    if file is not None and file.filename:
        options.setdefault("source", file.filename)
    return file.read() if file is not None else None, form.get("url"), options


def _options(texts: Any) -> dict[str, Any]:
    """Texts of a form or a query → values as they stand in JSON. Raises Refused."""
    options: dict[str, Any] = {}
    for key, text in texts.items():
        if key in FLAGS and text not in ("true", "false"):
            raise Refused(wm.BAD_REQUEST, f"{key} is {text[:40]!r}, must be true or false")
        options[key] = text == "true" if key in FLAGS else text.split(",") if key == "peers" else text
    return _bounded(options)


def _bounded(options: dict[str, Any]) -> dict[str, Any]:
    size = len(msgspec.json.encode(options))
    if size > MAX_API_ARGUMENT_BYTES:
        raise Refused("too_large", f"the options are {size} bytes, at most {MAX_API_ARGUMENT_BYTES}")
    return options


def _fetched(url: str, allow_private_urls: bool) -> bytes:
    """GET it. Raises Refused."""
    if len(url) > MAX_URL_CHARS:
        raise Refused(wm.BAD_REQUEST, f"url has {len(url)} characters, at most {MAX_URL_CHARS}")
    if url.partition("://")[0].lower() not in ("http", "https"):
        raise Refused(wm.BAD_REQUEST, "url must begin with http:// or https://; a magnet link goes into magnet")
    try:
        return fetch(url, (lambda ip: "") if allow_private_urls else why_not_public)
    except EvenswarmError as error:
        raise Refused(wm.BAD_REQUEST, str(error)) from None
