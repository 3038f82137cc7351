"""
The first commands on a connection: log in, choose the database, and find out which server it is.

All commands leave in one write. The server must be a primary that has its data in memory, and the user must be allowed
to end connections: otherwise no call whose answer is lost could ever be resolved (L{IRedis.fence
<dstwist.redis.interface.IRedis.fence>}).

If earlier connections to the same process of Redis are in doubt, they are ended here. So no call of an earlier
connection takes effect after a call of this one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from dstwist.config.redis import RedisConnectionSettings
from dstwist.errors import StoreError
from dstwist.redis.errors import InvalidAnswer, RedisRefusal, RedisReplyError, advice_on
from dstwist.redis.interface import ServerIdentity, Word
from dstwist.redis.protocol import RedisProtocol

#: The id of no connection: Redis counts from 1.
_NO_CLIENT = 2**62

# Answers of a server that will be able to answer later.
_PASSING = ("LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN")
_TOO_MANY = "ERR max number of clients"


class Doubted(NamedTuple):
    """
    A connection whose calls may still take effect.

    @ivar client_id: the number that Redis has for it.
    @ivar run_id: the process of Redis. Its connections end with it.
    """

    client_id: int
    run_id: str


class Greeting(NamedTuple):
    """
    The outcome: the server, and the number of this connection there.
    """

    server: ServerIdentity
    client_id: int


async def greet(
    connection: RedisProtocol,
    settings: RedisConnectionSettings,
    client_name: str,
    address: str,
    doubted: Iterable[Doubted],
) -> Greeting:
    """
    Introduce the link to the server.

    @param address: the address, for the result.
    @param doubted: the connections to end if they belong to this process of Redis.
    @raise RedisRefusal: the server cannot be used as it is configured.
    @raise StoreError: it cannot be used now.
    """
    login: list[tuple[Word, ...]] = []
    if settings.password is not None:
        user = () if settings.username is None else (settings.username,)
        login.append(("AUTH", *user, settings.password))
    if settings.db:
        login.append(("SELECT", settings.db))
    answers = [connection.ask(*words) for words in login]
    ping = connection.ask("PING")
    name = connection.ask("CLIENT", "SETNAME", client_name)
    number = connection.ask("CLIENT", "ID")
    kill = connection.ask("CLIENT", "KILL", "ID", _NO_CLIENT)
    info = [connection.ask("INFO", section) for section in ("server", "replication")]
    asked_role = connection.ask("ROLE")

    where = settings.where
    for words, answer in zip(login, answers, strict=True):
        _check(str(words[0]), await answer, where)
    answer = await ping
    # A server that cannot save its data refuses PING, but it can be read.
    if not isinstance(answer, RedisReplyError) or answer.code != "MISCONF":
        _check("PING", answer, where)
    await name
    client_id = _check("CLIENT ID", await number, where)
    _check(
        "CLIENT KILL",
        await kill,
        where,
        "dstwist has to end its own connections that broke, so its user needs +client|kill",
    )
    facts = _facts([_check("INFO", await each, where) for each in info])
    role = _check("ROLE", await asked_role, where)
    if not isinstance(client_id, int) or not isinstance(role, list) or not role or "run_id" not in facts:
        raise RedisRefusal("it does not answer as Redis does; is there a proxy in front of it?")
    server = ServerIdentity(
        address,
        facts["run_id"],
        facts.get("master_replid", ""),
        int(facts.get("master_repl_offset", 0)),
        _text(role[0]),
        facts.get("redis_version", ""),
    )
    _check_role(role)
    if (facts.get("redis_mode") == "cluster") != bool(settings.nodes):
        # Most keys would be at other nodes.
        raise RedisRefusal(
            "it belongs to no Redis Cluster; the option nodes is for clusters only"
            if settings.nodes
            else "it belongs to a Redis Cluster; the option nodes is for clusters"
        )
    kills = [connection.ask("CLIENT", "KILL", "ID", old.client_id) for old in doubted if old.run_id == server.run_id]
    for each in kills:
        _check("CLIENT KILL", await each, where)
    return Greeting(server, client_id)


def _check(command: str, answer: Any, where: str, advice: str = "") -> Any:
    if isinstance(answer, RedisReplyError):
        # Redis may repeat the words of a command that it does not know, such as a password.
        text = str(answer).partition(", with args")[0]
        if answer.code in _PASSING or text.startswith(_TOO_MANY):
            raise StoreError(f"it says {text!r}")
        advice = advice or advice_on(answer.code, where)
        raise RedisRefusal(f"it refuses {command}: {text!r}" + (f"; {advice}" if advice else ""))
    if isinstance(answer, Exception):
        raise answer
    return answer


def _check_role(role: list[Any]) -> None:
    kind = _text(role[0])
    if kind == "slave":
        where = f"{_text(role[1])}:{role[2]}" if len(role) > 2 else "another server"
        raise StoreError(f"it is a replica of {where}, and takes no writes")
    if kind != "master":
        raise RedisRefusal(f"it is no server for data, its role is {kind}")


def _facts(sections: list[Any]) -> dict[str, str]:
    facts = {}
    for section in sections:
        if not isinstance(section, bytes):
            raise InvalidAnswer("its INFO is no text")
        for line in section.decode("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            facts[key] = value
    return facts


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
