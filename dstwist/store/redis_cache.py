"""
A Redis as a cache that several servers fill, in front of a storage that decides between them.

A slow server must not fill in an old record. So a server that fills in a record needs the token of its name, and there
is at most one at a time::

    writer    take: the record goes, a token stays               the storage is written   put: the record
    reader    claim: the record; if there is none, a token       the storage is read      promote: the record

Put and promote are refused if the token is not there any more. A take or a drop ends all earlier tokens of the name. A
token expires by itself, in case its server ends.

Always true: the cache has no record that is older than an answer that was given.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.config.redis import RedisSettings
from dstwist.interfaces import Record
from dstwist.redis.interface import IRedis, Word
from dstwist.redis.scripts import Script
from dstwist.scheduling.firing import fire
from dstwist.store.redis import RedisStore
from dstwist.store.redis_layout import TOKEN
from dstwist.store.redis_refusals import explained

_YES = 1


class Claim(NamedTuple):
    """
    The answer to a reader.

    @ivar record: the record, if the cache has it.
    @ivar token: otherwise the token; C{None} if another server has one.
    """

    record: Record | None
    token: str | None


class RedisCache(RedisStore):
    """
    A cache with tokens.

    @param token_lifetime: how long a token is valid, in seconds: longer than a write may take.
    """

    def __init__(
        self, redis: IRedis, settings: RedisSettings, clock: IReactorTime, token_lifetime: float, **options: Any
    ) -> None:
        super().__init__(redis, settings, clock, **options)
        self._lifetime = max(1, int(token_lifetime * 1000))
        scripts = map(self._layout.script, ("take", "put", "drop", "claim", "promote"))
        self._take, self._put, self._drop, self._claim, self._promote = scripts

    async def take(self, name: str) -> str:
        """
        Remove the record before a write.

        @return: the token of the write.
        """
        token = secrets.token_hex(8)
        await self._ask(self._take, name, (token, self._lifetime))
        return token

    async def put(self, name: str, token: str, record: Record) -> bool:
        """
        Keep the record after a write. If the token is not valid any more, make sure that there is no record.

        @return: whether it is kept.
        """
        return bool(await self._ask(self._put, name, (token, *self._words(record))) == _YES)

    async def drop(self, name: str) -> None:
        """
        Make sure that there is no record, and that no server that has a token fills it in.
        """
        await self._ask(self._drop, name, ())

    async def claim(self, name: str) -> Claim:
        """
        The record; if there is none, a token to fill it in.
        """
        token = secrets.token_hex(8)
        answer = await self._ask(self._claim, name, (token, self._lifetime))
        if not isinstance(answer, list):
            return Claim(None, token if answer == _YES else None)
        found: Deferred[Record | None] = Deferred()
        self._read(name, answer[0], answer[1], partial(fire, found))
        return Claim(await found, None)

    async def promote(self, name: str, token: str, record: Record) -> bool:
        """
        Keep a record that a reader has found in the storage, if its token is still valid.

        @return: whether it is kept.
        """
        return bool(await self._ask(self._promote, name, (token, *self._words(record))) == _YES)

    def _words(self, record: Record) -> tuple[Word, ...]:
        return record.version, self._value(record), self._ttl

    async def _ask(self, script: Script, name: str, arguments: Sequence[Word]) -> Any:
        asked: Deferred[Any] = Deferred()
        keys = [*self._keys(name), self._layout.own_key(name, TOKEN)]
        self._redis.run(script, keys, arguments, fire, asked)
        try:
            return await asked
        except Exception as error:
            raise explained(error) from None
