"""Faults: what an exception on one connection means for it, and for whoever reads the log."""

import traceback

from daemon.raw_socket import reason_of
from protocol.errors import RemoteProtocolError


def reason_to_close(error: Exception) -> str:
    """Return why a connection ends by this error. A fault of ours is shown in full on stderr, and ends nothing else."""
    if isinstance(error, RemoteProtocolError):
        return str(error)
    if isinstance(error, OSError):
        return reason_of(error)
    traceback.print_exception(error)
    return f"a fault of this client: {error!r}"
