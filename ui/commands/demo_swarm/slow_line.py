"""A line of bounded speed in front of a seed: on loopback a torrent would be there before anybody could watch it come."""

import socket

import gevent
from gevent.server import StreamServer

PORTION_BYTES = 1 << 15


class SlowLine:
    """Listens on a port of its own and passes each connection on to `port`, so many bytes a second towards the peer."""

    def __init__(self, port: int, bytes_per_second: float) -> None:
        self._target = ("127.0.0.1", port)
        self._pause = PORTION_BYTES / bytes_per_second
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = self._server.server_port

    def _serve(self, peer: socket.socket, _address: object) -> None:
        try:
            seed = socket.create_connection(self._target)
        except OSError:
            peer.close()
            return
        with peer, seed:
            gevent.joinall([gevent.spawn(self._pass_on, peer, seed, 0.0), gevent.spawn(self._pass_on, seed, peer, self._pause)], count=1)

    def _pass_on(self, source: socket.socket, target: socket.socket, pause: float) -> None:
        try:
            while data := source.recv(PORTION_BYTES):
                target.sendall(data)
                gevent.sleep(pause * len(data) / PORTION_BYTES)
        except OSError:
            return                                      # one side is gone; the other is closed with it
