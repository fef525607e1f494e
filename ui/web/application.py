"""Application: a request's way from HTTP to an answer. In this order: does another site's page send it (403), is it meant for us (421),
who is it (401), what does it want (404, 405), what does it bring (413, 415, 400), and then the engine's word.
"""

import math
import sys
import time
import traceback
from collections.abc import Iterable
from typing import Any, Final

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Request, Response

from protocol import web_messages as wm
from protocol.limits import MAX_API_ARGUMENT_BYTES
from ui.web import guard, pages
from ui.web.answers import Refused, error_answer, redirect
from ui.web.api import Api, read_body
from ui.web.engine_link import EngineLink
from ui.web.logins import Logins

SESSION_SECONDS: Final = 30 * 86_400                    # how long a browser keeps the cookie
BEARER: Final = "Bearer "


class Application:
    """The WSGI application of one web process."""

    def __init__(self, link: EngineLink, configure: wm.ConfigureWeb, port: int) -> None:
        self._logins = Logins(configure, link.send, time.monotonic)
        self._names = frozenset(name.lower().rstrip(".") for name in configure.names)
        self._has_tls = bool(configure.certificate)
        self._cookie_name = ("__Host-" if self._has_tls else "") + f"evenswarm_{port}"      # cookies do not see ports: clients side by side
        self._api = Api(link, configure.allow_private_urls)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """WSGI."""
        request = Request(environ)
        try:
            answer = self._answer(request)
        except Refused as refused:
            answer = error_answer(refused)
        except RequestRedirect:
            answer = error_answer(Refused(wm.NOT_FOUND, "there is no such path; docs/api.md lists them"))
        except MethodNotAllowed as error:
            allowed = ", ".join(sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"}))
            answer = error_answer(Refused("method_not_allowed", f"this path takes {allowed}, not {request.method}", {"Allow": allowed}))
        except HTTPException as error:
            answer = error_answer(Refused(wm.NOT_FOUND if error.code == 404 else wm.BAD_REQUEST, "there is no such path; docs/api.md lists them"))
        except OSError as error:                        # the body broke off
            answer = error_answer(Refused("too_slow" if isinstance(error, TimeoutError) else wm.BAD_REQUEST, f"the request is not whole: {error}"))
        except Exception:
            traceback.print_exc(file=sys.stderr)
            answer = error_answer(Refused(wm.INTERNAL, "a fault of this client: its error output has the details"))
        for name, value in guard.SECURITY_HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if reason := guard.why_cross_site(request.method, request.headers):
            raise Refused("forbidden", reason)
        if not guard.is_our_name(request.headers.get("Host", ""), self._names):
            raise Refused("misdirected", "this client is not called by the name in Host; use its IP address or localhost, or start it with --web-name NAME")
        if request.environ.get("evenswarm.url_too_long"):
            raise Refused("url_too_long", "the path and query of this request are too long")
        if request.path == "/" and "token" in request.args and request.method == "GET":
            return self._use_login_token(request)
        if request.path == "/login" and request.method == "POST":
            return self._log_in(request)
        if request.path in pages.PUBLIC:
            return pages.file_answer(request.path, "gzip" in request.accept_encodings)
        if not self._is_logged_in(request):
            return self._unauthorized(request)
        if request.path == "/api/logout" and request.method == "POST":
            self._logins.close_session(request.cookies.get(self._cookie_name, ""))
            answer = redirect("/login")
            answer.delete_cookie(self._cookie_name, path="/", httponly=True, secure=self._has_tls, samesite="Strict")
            return answer
        if request.path.startswith("/api/"):
            return self._api.answer(request)
        return pages.file_answer(request.path, "gzip" in request.accept_encodings)

    # ── who it is ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_logged_in(self, request: Request) -> bool:
        authorization = request.headers.get("Authorization", "")
        if authorization.startswith(BEARER):
            return self._logins.is_bearer_token(authorization.removeprefix(BEARER).strip())
        return self._logins.knows_cookie(request.cookies.get(self._cookie_name, ""))

    def _unauthorized(self, request: Request) -> Response:
        if request.path.startswith("/api/"):
            raise Refused("unauthorized", "log in with the printed address, or send 'Authorization: Bearer' with the token from the file api-token "
                          "in the client's data folder", {"WWW-Authenticate": "Bearer"})
        return pages.login_page(401, "", self._logins.has_password)

    def _check_limit(self, request: Request) -> None:
        if wait := self._logins.limit.wait(request.remote_addr or ""):
            raise Refused("too_many", f"too many attempts to log in; try again in {math.ceil(wait)} s", {"Retry-After": str(math.ceil(wait))})

    def _use_login_token(self, request: Request) -> Response:
        """The printed address: its token becomes a cookie, once. Who is logged in already only loses the token from his address bar."""
        if self._logins.knows_cookie(request.cookies.get(self._cookie_name, "")):
            return redirect("/")
        if self._logins.use_login_token(request.args["token"]):
            return self._logged_in()
        return pages.login_page(401, "This address was used already, or is of an earlier start of the client.", self._logins.has_password)

    def _log_in(self, request: Request) -> Response:
        self._check_limit(request)
        read_body(request, MAX_API_ARGUMENT_BYTES)
        if self._logins.accepts(request.form.get("password", "")):
            return self._logged_in()
        self._logins.limit.failed(request.remote_addr or "")
        return pages.login_page(401, "That is not right.", self._logins.has_password)

    def _logged_in(self) -> Response:
        answer = redirect("/")
        answer.set_cookie(self._cookie_name, self._logins.open_session(), max_age=SESSION_SECONDS, path="/", httponly=True,
                          secure=self._has_tls, samesite="Strict")
        return answer
