"""
The membership table in a Redis.

======================  ==============================================================================================
key                     value
======================  ==============================================================================================
C{p:!{cluster}table}    the document
C{p:!{cluster}leases}   a hash: the lease of each node
======================  ==============================================================================================

C{p:} is the prefix of the shared store; the layout of the store says how its own keys begin. A Redis Cluster puts both
keys on one server, because they have the same text in braces.

Each operation is one script, which Redis executes as a whole. An operation that fails may have taken effect, and may
take effect later: it replaces only the document that it expects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import IClusterTable, TableReading
from dstwist.redis.interface import IRedis, Word
from dstwist.redis.scripts import Script

#: The names of the keys, without the beginning that all keys of a server have.
TABLE_KEYS = (b"{cluster}table", b"{cluster}leases")

_RENEW = Script.load("dstwist.store", "table_renew")
_REPLACE = Script.load("dstwist.store", "table_replace")


@implementer(IClusterTable)
class RedisTable:
    """
    The membership table that all nodes with the same store share.

    @param redis: the connection of the store.
    @param server_key: makes a key of the server itself, which no record can have.
    """

    def __init__(self, redis: IRedis, server_key: Callable[[bytes], bytes]) -> None:
        self._redis = redis
        self._keys = [server_key(name) for name in TABLE_KEYS]

    def renew(self, node: str, lease: bytes) -> Deferred[TableReading]:
        return self._run(_RENEW, [node.encode(), lease]).addCallback(_read)

    def replace(
        self, expected: bytes | None, document: bytes, forget: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Deferred[bool]:
        words: list[Word] = [document, *_expectation(expected)]
        for node, lease in forget.items():
            words += [node.encode(), *_expectation(lease)]
        return self._run(_REPLACE, words).addCallback(lambda answer: answer == 1)

    def _run(self, script: Script, words: list[Word]) -> Deferred[Any]:
        outcome: Deferred[Any] = Deferred()
        self._redis.run(script, self._keys, words, _fire, outcome)
        return outcome


def _fire(outcome: Deferred[Any], error: Exception | None, reply: Any) -> None:
    if error is None:
        outcome.callback(reply)
    else:
        outcome.errback(error)


def _expectation(value: bytes | None) -> tuple[Word, Word]:
    return (0, b"") if value is None else (1, value)


def _read(answer: Any) -> TableReading:
    try:
        document, leases = answer
        pairs = zip(leases[::2], leases[1::2], strict=True)
        return TableReading(document, {node.decode(): lease for node, lease in pairs})
    except (TypeError, ValueError, AttributeError):
        # The names of nodes are texts unless another program has written to the hash.
        raise StoreError("the leases of the nodes in Redis cannot be read") from None
