"""
Clients that read as fast as they can and look at nothing.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Iterable, Iterator

from tests.hostile.intruder import PATIENCE, Intruder

#: So long nothing comes: that was all.
_QUIET = 2.0


class Received:
    """
    The bytes that all of them have got.

    @ivar bytes: how many.
    @ivar ended: how many connections the server has ended.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.ended = 0
        self.last = time.monotonic()
        self.lively = True

    def settle(self) -> None:
        """
        Come back when nothing has come for a while, or all connections have ended.
        """
        self.last = time.monotonic()
        deadline = self.last + PATIENCE * 2
        while self.lively and time.monotonic() < min(self.last + self.quiet, deadline):
            time.sleep(0.02)

    @property
    def quiet(self) -> float:
        # The first answer of a busy server may take long.
        return _QUIET if self.bytes else 10.0


@contextlib.contextmanager
def reading(readers: Iterable[Intruder]) -> Iterator[Received]:
    """
    A thread reads from all of them meanwhile.
    """
    sockets = {reader.socket.fileno(): reader.socket for reader in readers}
    received, stop, buffer = Received(), threading.Event(), bytearray(1 << 20)
    poll = select.poll()
    for number in sockets:
        poll.register(number, select.POLLIN)

    def read() -> None:
        while sockets and not stop.is_set():
            for number, _ in poll.poll(50):
                try:
                    count = sockets[number].recv_into(buffer)
                except BlockingIOError:
                    continue
                except OSError:
                    count = 0
                received.bytes += count
                if count:
                    received.last = time.monotonic()
                else:
                    received.ended += 1
                    poll.unregister(number)
                    del sockets[number]
        received.lively = False

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        stop.set()
        thread.join()
