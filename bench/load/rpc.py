"""
Procedure calls: from a caller through the server to a provider, and the answer back.
"""

from __future__ import annotations

import re

from bench.load.client import Client, connect
from bench.load.loop import Loop, Received
from bench.load.span import Sample, Span, Timing
from bench.load.target import Target
from bench.load.wire import HOLE, Numbered, frame, unfinished
from dstwist.protocol.constants import RpcAction, Topic
from dstwist.protocol.message import Message

_NAME = "add"
_CALL = re.compile(rb"<(\d{8})>")
_CALL_LENGTH = 10
#: The text by which an answer is recognized.
_RESULT = b"[!]"
#: A call may have the number of one that has ended.
_NUMBERS = 100_000


def calls(target: Target, timing: Timing, callers: int = 50, providers: int = 4) -> Sample:
    """
    Answers to calls. Each caller waits for its answer before it calls again.
    """
    loop = Loop()
    provide = Message(Topic.RPC, RpcAction.PROVIDE, names=(_NAME,), correlation_id="1")
    clients = []
    for number in range(providers):
        client = connect(target, f"provider-{number}")
        client.send(frame(provide))
        client.await_message(Topic.RPC, RpcAction.PROVIDE)
        loop.add(client, _provider(loop, client))
        clients.append(client)
    requests = _Requests(loop)
    for number in range(callers):
        client = connect(target, f"caller-{number}")
        loop.add(client, requests.answers(client))
        requests.send(client, 1)
        clients.append(client)
    span = Span(target, timing, lambda: requests.answered)
    while not span.over():
        loop.step()
    for client in clients:
        client.close()
    return span.sample


class _Requests:
    """
    The calls of all callers.

    @ivar answered: how many have ended.
    """

    def __init__(self, loop: Loop) -> None:
        data = b'{"a":1,"b":2}'
        self._request = Numbered(Message(Topic.RPC, RpcAction.REQUEST, _NAME, data, correlation_id=f"<{HOLE}>"))
        self._loop = loop
        self._sent = 0
        self.answered = 0

    def send(self, client: Client, count: int) -> None:
        numbers = range(self._sent, self._sent + count)
        self._sent = numbers.stop
        self._loop.send(client, b"".join([self._request.frame(number % _NUMBERS) for number in numbers]))

    def answers(self, client: Client) -> Received:
        """
        Count the answers at a client, and have it call again.
        """
        start = b""

        def received(data: bytes) -> None:
            nonlocal start
            data = start + data
            count = data.count(_RESULT)
            start = unfinished(data, _RESULT[:1], len(_RESULT))
            self.answered += count
            self.send(client, count)

        return received


def _provider(loop: Loop, client: Client) -> Received:
    """
    Accept and answer each call.
    """
    number = f"<{HOLE}>"
    accept = Numbered(Message(Topic.RPC, RpcAction.ACCEPT, _NAME, correlation_id=number))
    respond = Numbered(Message(Topic.RPC, RpcAction.RESPONSE, _NAME, b'"%s"' % _RESULT, correlation_id=number))
    start = b""

    def received(data: bytes) -> None:
        nonlocal start
        data = start + data
        end = 0
        answers: list[bytes] = []
        for found in _CALL.finditer(data):
            end = found.end()
            call = int(found[1])
            answers += (accept.frame(call), respond.frame(call))
        start = unfinished(data, b"<", _CALL_LENGTH, end)
        if answers:
            loop.send(client, b"".join(answers))

    return received
