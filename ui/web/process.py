"""The life of the web process: it serves the socket that it inherited until the engine ends."""

import argparse
import signal
import socket
import ssl
import sys

import gevent
import gevent.util

from protocol import web_messages as wm
from ui.web.application import Application
from ui.web.engine_link import EngineLink
from ui.web.http_server import HttpServer, listener


def main() -> int:
    """Serve until the engine ends. Return the exit code."""
    parser = argparse.ArgumentParser(prog="ui.web", description="Web process of Evenswarm; started by its engine.")
    parser.add_argument("--fd", type=int, required=True, help="the inherited end of the engine's socketpair")
    connection = socket.socket(fileno=parser.parse_args().fd)
    gevent.signal_handler(signal.SIGUSR1, gevent.util.print_run_info, file=sys.stderr)
    link = EngineLink(connection, lambda configure: serve(link, configure))
    link.start()
    link.ended.get()
    return 0


def serve(link: EngineLink, configure: wm.ConfigureWeb) -> None:
    """Listen, and tell the engine where, or why that cannot be."""
    try:
        context = tls_context(configure)
        listening = listener(configure.host, configure.port)
    except (OSError, ValueError) as error:
        link.send(wm.WebListenFailed(getattr(error, "strerror", None) or str(error)))
        return
    host, port = listening.getsockname()[:2]
    server = HttpServer(listening, Application(link, configure, port), context)
    server.start()
    link.send(wm.WebListening(host, port))


def tls_context(configure: wm.ConfigureWeb) -> ssl.SSLContext | None:
    """Raises OSError or ValueError for a certificate that cannot be used; ssl.SSLError is an OSError."""
    if not configure.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(configure.certificate, configure.key or None, password=lambda: "")     # '' instead of asking the terminal
    return context
