"""A door before a server, which can be shut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Self

from .process import LOCALHOST

BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 4\r\nConnection: close\r\n\r\nbusy"
)
CHUNK = 1 << 16


class Proxy:
    """Passes TCP connections on to a port of this machine, or does them harm.

    A change of mode ends the connections that there are, so that it holds for all requests.

    Args:
        target_port: where to.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.connections = 0
        """Taken so far."""
        self._mode = "pass"
        self._delay_s = 0.0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._door = socket.create_server((LOCALHOST, 0))
        self.port: int = self._door.getsockname()[1]
        self.url = f"http://{LOCALHOST}:{self.port}"
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()

    def pass_(self) -> None:
        """Let everything through."""
        self._set("pass")

    def refuse(self) -> None:
        """Close every connection at once."""
        self._set("refuse")

    def slow(self, seconds: float) -> None:
        """Hold back each chunk for a while, in both directions."""
        self._set("pass", seconds)

    def errors(self) -> None:
        """Answer every HTTP request with 503."""
        self._set("errors")

    def hang(self) -> None:
        """Take connections and never answer."""
        self._set("hang")

    def stop(self) -> None:
        """End all connections and take no more."""
        self._set("closed")
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()

    def _set(self, mode: str, delay_s: float = 0.0) -> None:
        with self._lock:
            self._mode, self._delay_s = mode, delay_s
            ended, self._open = self._open, set()
        for connection in ended:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:  # closed
                return
            self.connections += 1
            with self._lock:
                mode = self._mode
                self._open.add(client)
            threading.Thread(target=self._handle, args=(client, mode), daemon=True).start()

    def _handle(self, client: socket.socket, mode: str) -> None:
        with client, contextlib.suppress(OSError):
            if mode == "pass":
                self._join(client)
            elif mode == "errors":
                self._deny(client)
            elif mode == "hang":
                while client.recv(CHUNK):
                    pass
        with self._lock:
            self._open.discard(client)

    def _deny(self, client: socket.socket) -> None:
        """Take the head of one request, whatever it says."""
        client.recv(CHUNK)
        client.sendall(BUSY)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(5)
        while client.recv(CHUNK):  # a body that still comes; unread, it would reset the answer
            pass

    def _join(self, client: socket.socket) -> None:
        with socket.create_connection((LOCALHOST, self.target_port)) as server:
            with self._lock:
                self._open.add(server)
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join()
        with self._lock:
            self._open.discard(server)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                time.sleep(self._delay_s)
                target.sendall(chunk)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
