"""
Many connections at the same time.
"""

from __future__ import annotations

import select
from collections.abc import Callable

from bench.load.client import NOT_NOW, PATIENCE, Client, LoadFailed
from bench.load.wire import MARK, unfinished

Received = Callable[[bytes], None]


class Loop:
    """
    Reads from all of its clients, and sends what they could not send at once.
    """

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._clients: dict[int, tuple[Client, Received]] = {}
        self._waiting: dict[int, memoryview] = {}

    def add(self, client: Client, received: Received) -> None:
        """
        From now on the client does not block, and C{received} gets all bytes that arrive at it.
        """
        client.socket.setblocking(False)
        number = client.socket.fileno()
        self._clients[number] = (client, received)
        self._poll.register(number, select.EPOLLIN)

    def remove(self, client: Client) -> None:
        number = client.socket.fileno()
        del self._clients[number]
        self._waiting.pop(number, None)
        self._poll.unregister(number)

    def send(self, client: Client, data: bytes) -> None:
        """
        Send it now, or as soon as the server takes it.
        """
        number = client.socket.fileno()
        if number in self._waiting:
            self._waiting[number] = memoryview(bytes(self._waiting[number]) + data)
            return
        rest = _send(client, memoryview(data))
        if rest:
            self._waiting[number] = rest
            self._poll.modify(number, select.EPOLLIN | select.EPOLLOUT)

    def is_waiting(self, client: Client) -> bool:
        """
        Whether the server has not taken all that the client sent.
        """
        return client.socket.fileno() in self._waiting

    def turn(self, wait: float) -> bool:
        """
        Wait until a client can read or write, and let all do so that can.

        @return: whether there was one.
        """
        ready = self._poll.poll(wait)
        for number, event in ready:
            client, received = self._clients[number]
            if event & select.EPOLLOUT:
                rest = _send(client, self._waiting[number])
                if rest:
                    self._waiting[number] = rest
                else:
                    del self._waiting[number]
                    self._poll.modify(number, select.EPOLLIN)
            if event & ~select.EPOLLOUT and (data := client.take()):
                received(data)
        return bool(ready)

    def step(self) -> None:
        """
        L{turn}; it is a failure if nothing happens.
        """
        if not self.turn(PATIENCE):
            raise LoadFailed("The server sends nothing.")


class Marks:
    """
    Counts L{MARK} in what clients receive.
    """

    def __init__(self) -> None:
        self.count = 0

    def counter(self) -> Received:
        """
        The callback of one client for L{Loop.add}.
        """
        start = b""

        def received(data: bytes) -> None:
            nonlocal start
            if start:
                data = start + data
            self.count += data.count(MARK)
            # A mark may arrive in two parts. The first byte of a complete one is further in front.
            start = unfinished(data, MARK[:1], len(MARK))

        return received


def ignore(data: bytes) -> None:
    """
    For clients to whom nothing is sent that counts.
    """


def _send(client: Client, data: memoryview) -> memoryview:
    """
    Send C{data} as far as the socket takes it.

    @return: the rest.
    """
    try:
        while data:
            data = data[client.socket.send(data) :]
    except NOT_NOW:
        pass
    return data
