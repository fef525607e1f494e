"""The files of ui/web/page/, read once: no path of a request reaches the file system. And the login page."""

import gzip
from html import escape
from pathlib import Path
from typing import Final

from werkzeug.wrappers import Response

from protocol import web_messages as wm
from ui.web.answers import Refused

TYPES: Final = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".webmanifest": "application/manifest+json",
}
FOLDER: Final = Path(__file__).resolve().parent / "page"
FILES: Final = {
    "/" if path.name == "index.html" else f"/{path.relative_to(FOLDER).as_posix()}": (
        path.read_bytes(), gzip.compress(path.read_bytes(), mtime=0), TYPES[path.suffix],
    )
    for path in FOLDER.rglob("*") if path.suffix in TYPES and path.name != "login.html"
}
PUBLIC: Final = frozenset({"/login.css"})               # what the login page needs
LOGIN: Final = (FOLDER / "login.html").read_text(encoding="utf-8")


def file_answer(path: str, takes_gzip: bool = False) -> Response:
    """Raises Refused when the page has no such file. Compressed where the browser takes that: nothing in these files is secret."""
    if path not in FILES:
        raise Refused(wm.NOT_FOUND, "there is no such path; docs/api.md lists those of the API")
    plain, compressed, content_type = FILES[path]
    answer = Response(compressed if takes_gzip else plain, 200, {"Vary": "Accept-Encoding"}, content_type=content_type)
    if takes_gzip:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


def login_page(status: int, message: str, has_password: bool) -> Response:
    """The only page without a session; `message`: what was wrong."""
    wanted = "Password" if has_password else "Token (from the file api-token in the client's data folder)"
    text = LOGIN.replace("{message}", escape(message)).replace("{wanted}", escape(wanted))
    return Response(text, status, content_type=TYPES[".html"])
