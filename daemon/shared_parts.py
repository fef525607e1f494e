"""What all torrents of the process share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from daemon.disk_pool import DiskPool
from daemon.existing_data import DataChecker
from daemon.open_files import OpenFiles
from daemon.piece_buffers import PieceBuffers
from daemon.receive_loop import ReceiveLoop
from daemon.span_cache import SpanCache
from daemon.waiting_line import WaitingLine
from protocol.daemon_messages import Configure, DaemonMessage
from scheduler.random_source import RandomSource
from scheduler.request_pipeline import PipelinePool


@dataclass(slots=True)
class SharedParts:
    """Made once, when the engine has said how (Configure)."""

    loop: Any                                           # of the hub
    clock: Callable[[], float]                          # monotonic seconds
    rng: RandomSource
    send: Callable[[DaemonMessage], None]               # to the engine; never blocks, never switches
    configure: Configure
    disk: DiskPool
    open_files: OpenFiles
    checker: DataChecker
    buffers: PieceBuffers
    waiting_line: WaitingLine
    pipeline_pool: PipelinePool
    span_cache: SpanCache
    receive_loop: ReceiveLoop
    listen_port: int = 0                                # 0 = nobody can dial us
    connection_ids: Any = field(default_factory=lambda: count(1))


def make_shared_parts(
    hub: Any, clock: Callable[[], float], rng: RandomSource, send: Callable[[DaemonMessage], None], configure: Configure,
) -> SharedParts:
    """Make them all."""
    disk = DiskPool(hub)
    return SharedParts(
        loop=hub.loop, clock=clock, rng=rng, send=send, configure=configure, disk=disk, open_files=OpenFiles(),
        checker=DataChecker(disk.checker), buffers=PieceBuffers(configure.piece_buffer_bytes), waiting_line=WaitingLine(),
        pipeline_pool=PipelinePool(configure.piece_buffer_bytes),
        span_cache=SpanCache(configure.read_cache_bytes, disk.reader.submit), receive_loop=ReceiveLoop(),
    )
