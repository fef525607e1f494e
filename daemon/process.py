"""The life of the I/O process: it serves the socket that it inherited until the engine ends, or asks for the end."""

import argparse
import gc
import signal
import socket
import sys

import gevent
import gevent.event
import gevent.util

from daemon.engine_link import END_OF_FILE, EngineLink
from daemon.io_daemon import IoDaemon
from protocol.daemon_messages import DaemonMessage

LAST_WORDS_SECONDS = 0.5                                # of the time to end, for what is still to be told


def main() -> int:
    """Serve until the engine ends, or asks for the end. Return the exit code: 1 after a fault of the link."""
    parser = argparse.ArgumentParser(prog="daemon", description="I/O process of Evenswarm; started by its engine.")
    parser.add_argument("--fd", type=int, required=True, help="the inherited end of the engine's socketpair")
    connection = socket.socket(fileno=parser.parse_args().fd)
    gevent.signal_handler(signal.SIGUSR1, gevent.util.print_run_info, file=sys.stderr)
    ended: gevent.event.AsyncResult[float | None] = gevent.event.AsyncResult()      # the deadline of an orderly end, or None
    faults: list[str] = []

    def handle(message: DaemonMessage) -> None:
        io_daemon.handle(message)

    def engine_gone(reason: str) -> None:
        if reason != END_OF_FILE:
            print(f"daemon: {reason}", file=sys.stderr)
            faults.append(reason)
        ended.set(None)

    link = EngineLink(connection, handle, engine_gone)
    io_daemon = IoDaemon(gevent.get_hub(), link.send, ended.set)
    gc.freeze()                                         # what is here now stays: no collection needs to look at it
    link.start()
    deadline = ended.get()
    if deadline is not None:
        io_daemon.close(max(deadline - LAST_WORDS_SECONDS, 0.0))
        link.flush(LAST_WORDS_SECONDS)
    return 1 if faults else 0

