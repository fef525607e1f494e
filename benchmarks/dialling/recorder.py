"""Every dial in a network namespace, seen from outside: when it began, was answered, was refused, was given up.

    python -m benchmarks.dialling.recorder RECORD.json

Prints `ready`, records until its stdin ends, then writes a list of events [seconds of the wall clock, kind, "source ip", port,
"destination ip", port], ordered by time. Kinds are SYN, SYN_ACK, RESET (all of them packets, each with the kernel's time stamp: none is
sampled), and CLOSED: the kernel has freed a TCP socket. That is the only sign of a dial that was given up, for nothing is sent
then. The kernel says it through a worker of its own (what `ss --events` shows), and it is stamped when it is read: up to some milliseconds late.
Raises RecordLost when the kernel dropped anything of this.
"""

import contextlib
import ctypes
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final

SYN, SYN_ACK, RESET, CLOSED = "syn", "syn-ack", "reset", "closed"
ETH_P_IP: Final = 0x0800
SO_ATTACH_FILTER, SO_TIMESTAMPNS, SO_RCVBUFFORCE = 26, 35, 33           # asm-generic/socket.h
SOL_PACKET, PACKET_STATISTICS = 263, 6                                  # linux/if_packet.h
NETLINK_SOCK_DIAG, GROUP_TCP_DESTROYED = 4, 1                           # linux/sock_diag.h
BUFFER_BYTES: Final = 64 << 20
HEADER_BYTES: Final = 128                               # of IP and TCP, with all options
FLAG_SYN, FLAG_RST, FLAG_ACK = 2, 4, 16
# Berkeley packet filter: those of TCP with SYN or RST. A socket for one protocol sees packets only as they arrive, so each once.
FILTER: Final = (
    (0x30, 0, 0, 9),                                    # load the protocol of the IP header …
    (0x15, 0, 4, 6),                                    # … TCP, or drop
    (0xB1, 0, 0, 0),                                    # X = length of the IP header
    (0x50, 0, 0, 13),                                   # load the flags of the TCP header …
    (0x45, 0, 1, FLAG_SYN | FLAG_RST),                  # … SYN or RST, or drop
    (0x06, 0, 0, HEADER_BYTES),
    (0x06, 0, 0, 0),
)


class RecordLost(Exception):
    """The record has gaps."""


def packet_socket() -> socket.socket:
    """Of all interfaces of this namespace."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in FILTER)
    buffer = ctypes.create_string_buffer(instructions)
    packets.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(FILTER), ctypes.addressof(buffer)))
    packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return packets


def closed_socket() -> socket.socket:
    """On which the kernel says what it freed."""
    closed = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
    closed.bind((0, 1 << (GROUP_TCP_DESTROYED - 1)))
    return closed


def packet_event(data: bytes, ancillary: list[tuple[int, int, bytes]]) -> list:
    """What one captured packet says."""
    seconds, nanoseconds = next(struct.unpack("ll", value) for level, kind, value in ancillary if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS))
    tcp = (data[0] & 15) * 4
    source_port, port = struct.unpack_from(">HH", data, tcp)
    flags = data[tcp + 13]
    kind = RESET if flags & FLAG_RST else SYN_ACK if flags & FLAG_ACK else SYN
    return [seconds + nanoseconds / 1e9, kind, socket.inet_ntoa(data[12:16]), source_port, socket.inet_ntoa(data[16:20]), port]


def closed_event(data: bytes, now: float) -> list | None:
    """What one netlink message says (struct inet_diag_msg); None for IPv6."""
    family = data[16]
    if family != socket.AF_INET:
        return None
    source_port, port = struct.unpack_from(">HH", data, 20)
    return [now, CLOSED, socket.inet_ntoa(data[24:28]), source_port, socket.inet_ntoa(data[40:44]), port]


def record(packets: socket.socket, closed: socket.socket) -> list[list]:
    """Until stdin ends. Raises RecordLost."""
    events: list[list] = []
    poller = select.poll()
    for source in (packets.fileno(), closed.fileno(), sys.stdin.fileno()):
        poller.register(source, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poller.poll()}
        with contextlib.suppress(BlockingIOError):
            while True:
                data = closed.recv(1 << 16, socket.MSG_DONTWAIT)        # ENOBUFS when it overflowed
                if event := closed_event(data, time.time()):
                    events.append(event)
        with contextlib.suppress(BlockingIOError):
            while True:
                data, ancillary, _, _ = packets.recvmsg(HEADER_BYTES, socket.CMSG_SPACE(16), socket.MSG_DONTWAIT)
                events.append(packet_event(data, ancillary))
        if sys.stdin.fileno() in ready:
            break
    _, num_dropped = struct.unpack("II", packets.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    if num_dropped:
        raise RecordLost(f"{num_dropped} packets did not fit into the buffer")
    return sorted(events, key=lambda event: event[0])   # at the same moment: in the order of the packets


def main() -> None:
    """Read the command line and record."""
    with contextlib.suppress(PermissionError):          # not in a user namespace
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with packet_socket() as packets, closed_socket() as closed:
        for source in (packets, closed):
            with contextlib.suppress(PermissionError):
                source.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        print("ready", flush=True)
        events = record(packets, closed)
    Path(sys.argv[1]).write_text(json.dumps(events))


if __name__ == "__main__":
    main()
