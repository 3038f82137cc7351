"""
C{options} of the type C{redis}: which Redis, how to connect to it, and how records are kept there.

The options have the names of the Node server's connector and of ioredis, which takes most of them there. The class
L{RedisConnectionSettings} has those that any part with a connection to a Redis needs; a part adds its own in a
subclass.

==============================  ==============================================================================
in the file                     means
==============================  ==============================================================================
C{host}, C{port}                one server
C{url}                          the same with user, password and database: C{rediss://user:password@host:port/1}
C{path}                         one server, by the path of its UNIX socket
C{sentinels}, C{name}           the primary C{name}, as one of these Sentinels knows it
C{nodes}, C{redisOptions}       a Redis Cluster; C{redisOptions} are more options for the connections
the options are a text          it is the C{url}
==============================  ==============================================================================

Options of the Node server's libraries that mean nothing here are noted (L{dstwist.config.redis_ignored}).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from dstwist.config.fields import (
    as_section,
    flag,
    from_mapping,
    integer,
    integer_reader,
    key_of,
    milliseconds,
    option,
    optional,
    read_flag,
    read_text,
    shown,
    text,
    typed,
)
from dstwist.config.file import Reading, join
from dstwist.config.redis_ignored import ignored, renamed
from dstwist.config.redis_nodes import RedisAddress, nodes_reader, read_host, read_password
from dstwist.config.redis_tls import RedisTlsSettings, read_redis_tls
from dstwist.config.redis_url import RedisUrl, read_redis_url
from dstwist.errors import ConfigError

_S = TypeVar("_S", bound="RedisConnectionSettings")

_PORT = 6379
_SENTINEL_PORT = 26379

#: The most bytes of an answer besides the data of a record.
_ANSWER_BYTES = 1000


#: The option for the first letters of channels, by that for the first letters of keys, and the other way round.
_PREFIXES = {"prefix": "channelPrefix", "channelPrefix": "prefix"}


def _read_socket(value: Any, path: str, reading: Reading) -> str:
    socket = read_text(value, path)
    if "://" in socket:
        # The log has the path, and the URL may have a password.
        raise ConfigError(path, "expected the path of a UNIX socket; a URL is the option url")
    return reading.absolute(socket, path)


def _read_family(value: Any, path: str, reading: Reading) -> int:
    found: int = integer_reader(0, 6)(value, path, reading)
    if found not in (0, 4, 6):
        raise ConfigError(path, f"expected 4, 6, or 0 for both, got {found}")
    return found


def _read_role(value: Any, path: str, reading: Reading) -> str:
    found = read_text(value, path)
    if found != "master":
        raise ConfigError(path, f"expected master, got {shown(found)}: only the primary can be written to")
    return found


@dataclass(frozen=True)
class RedisConnectionSettings:
    """
    How to connect to a Redis.
    """

    # The server.
    host: str = option(read_host, "127.0.0.1")
    port: int = integer(_PORT, maximum=65535)
    # The UNIX socket of the server, instead of host and port.
    path: str | None = option(optional(_read_socket), None)
    # The user of the access control list, and the password.
    username: str | None = option(read_password, None)
    password: str | None = option(read_password, None)
    # The number of the database.
    db: int = integer(0, minimum=0, maximum=2**31 - 1)
    # TLS; None (false or null in the file): none.
    tls: RedisTlsSettings | None = option(read_redis_tls, None)
    # 4 or 6: only connections over IPv4 or IPv6; 0: either.
    family: int = option(_read_family, 0)
    # The nodes of a Redis Cluster that are asked for the others, instead of host and port.
    nodes: tuple[RedisAddress, ...] = option(
        nodes_reader(_PORT),
        (),
    )
    # The Sentinels that are asked for the primary, instead of host and port.
    sentinels: tuple[RedisAddress, ...] = option(
        nodes_reader(_SENTINEL_PORT),
        (),
    )
    # The name that the Sentinels have for the primary.
    name: str | None = text(None)
    # The role of the server: only the primary can be written to.
    role: str = option(_read_role, "master")
    # The user and the password for the Sentinels themselves.
    sentinel_username: str | None = option(read_password, None)
    sentinel_password: str | None = option(read_password, None)
    # TLS for the Sentinels themselves. By default it is that of the servers if enableTLSForSentinelMode is true.
    sentinel_tls: RedisTlsSettings | None = option(read_redis_tls, None, key="sentinelTLS")
    # How long an attempt to connect may take; at the start, how long all attempts together may take.
    connect_timeout: float = milliseconds(1500)
    # How long a command may take until the connection counts as broken. An addition of dstwist unless ioredis has it,
    # like all below.
    command_timeout: float = milliseconds(3000)
    # How often an idle connection is asked for an answer.
    probe_interval: float = milliseconds(1000)
    # The longest time between two attempts to connect again.
    max_reconnect_delay: float = milliseconds(2000)
    # How long commands wait while there is no connection, before they fail.
    reconnect_wait: float = milliseconds(500, minimum=0)
    # The most commands, and bytes of commands, that wait for a connection or for an answer; others are refused.
    max_waiting: int = integer(20000)
    max_waiting_bytes: int = integer(268435456)
    # The largest answer.
    max_reply_bytes: int = integer(67108864)

    # The path of the options, for messages.
    where: str = field(default="", compare=False)
    # The part of the server that has the connection, for the log.
    part: str = field(default="", compare=False)

    def __repr__(self) -> str:
        # Settings may be logged; the passwords must not be.
        return f"<{type(self).__name__} {self.address}>"

    @property
    def place(self) -> str:
        """
        The server, or the servers.
        """
        if self.nodes:
            return f"cluster {', '.join(map(str, self.nodes))}"
        if self.sentinels:
            return f"{self.name} of sentinel {', '.join(map(str, self.sentinels))}"
        if self.path is not None:
            return f"unix:{self.path}"
        return str(RedisAddress(self.host, self.port))

    @property
    def address(self) -> str:
        """
        Where Redis is, for the log.
        """
        database = f", database {self.db}" if self.db else ""
        return f"{self.place}{database}{', TLS' if self.tls is not None else ''}"


def _read_ttl(value: Any, path: str, reading: Reading) -> int | None:
    found: int = integer_reader(0, 10**9)(value, path, reading)
    return found or None


def _read_prefix(value: Any, path: str, reading: Reading) -> str:
    if typed(value) is None or value == "":
        return ""
    return read_text(value, path)


@dataclass(frozen=True, repr=False)
class RedisSettings(RedisConnectionSettings):
    """
    C{options} of a cache or storage of the type C{redis}.
    """

    # The first letters of all keys. Servers with records of their own need different prefixes on the same Redis.
    prefix: str = option(_read_prefix, "")
    # How many seconds a record is kept after its last write. None (null or 0 in the file): for ever.
    ttl: int | None = option(optional(_read_ttl), None)
    # Whether a record is one key, as in the connectors for v2 and v3, and not two.
    legacy_layout: bool = flag(False)
    # How many replicas must have a write before it counts as done. An addition of dstwist.
    min_replicas: int = integer(0, minimum=0, maximum=1000)


@dataclass(frozen=True, repr=False)
class RedisBusSettings(RedisConnectionSettings):
    """
    The options of a message bus of the type C{redis}.
    """

    # The first letters of all channels. Clusters on one Redis need different ones, because channels belong to no
    # database. An addition of dstwist.
    channel_prefix: str = option(_read_prefix, "")


def read_redis(options: Any, path: str, reading: Reading, **fallbacks: Any) -> RedisSettings:
    """
    The options of a cache or storage.

    @param fallbacks: defaults of fields.
    """
    settings = read_connection(RedisSettings, options, path, reading, **fallbacks)
    if settings.nodes and set("{}") & set(settings.prefix):
        raise ConfigError(
            join(path, "prefix"), "braces decide about the server of a key in a Redis Cluster; leave them out"
        )
    if settings.nodes and settings.min_replicas:
        raise ConfigError(join(path, "minReplicas"), "this is not possible with a Redis Cluster")
    return settings


def check_apart(cache: RedisSettings, storage: RedisSettings) -> None:
    """
    Check that no key belongs to both.

    @raise ConfigError: some do.
    """
    same = (cache.place, cache.db) == (storage.place, storage.db)
    if same and (cache.prefix.startswith(storage.prefix) or storage.prefix.startswith(cache.prefix)):
        raise ConfigError(
            cache.where,
            "cache and storage have the same keys in the same Redis; leave out the storage (the cache is one then), "
            "or give each a prefix of its own",
        )


def check_record_size(settings: RedisSettings, max_size: int) -> None:
    """
    Check that each record that can be written can be read again.

    @raise ConfigError: the largest records could not.
    """
    if settings.max_reply_bytes < max_size + _ANSWER_BYTES:
        raise ConfigError(
            join(settings.where, "maxReplyBytes"),
            f"expected at least {max_size + _ANSWER_BYTES}, since a record may have {max_size} bytes (record.maxSize)",
        )


def read_connection(cls: type[_S], options: Any, path: str, reading: Reading, **fallbacks: Any) -> _S:
    """
    The options of a part with a connection to a Redis.

    @param cls: its class.
    @raise ConfigError: the options cannot be used. More problems may be in C{reading}.
    """
    problems = len(reading.problems)
    given = _known({"url": options} if isinstance(options, str) else as_section(options, path), cls, path, reading)
    url = read_redis_url(given.pop("url"), join(path, "url")) if "url" in given else RedisUrl()
    more = _pop_redis_options(given, cls, path, reading)
    flagged = given.pop("enableTLSForSentinelMode", False)
    settings = from_mapping(cls, given, path, reading, where=reading.written(path), **fallbacks)
    if len(reading.problems) > problems:
        return settings
    said = {name for key, name in _options_of(cls) if key in given}
    found: dict[str, Any] = {}
    for name, value in (*more.items(), *_from_url(url), *_from_nodes(settings)):
        present = getattr(settings, name) if name in said else found.get(name)
        if present not in (None, value):
            key = _key_of(cls, name)
            raise ConfigError(join(path, key), f"{key} is said twice, with different values")
        found[name] = value
    if url.tls and found.get("tls", settings.tls) is None:
        if "tls" in said:
            raise ConfigError(join(path, "tls"), "the url begins with rediss, which means TLS")
        found["tls"] = RedisTlsSettings()
    if settings.sentinel_tls is None and read_flag(flagged, join(path, "enableTLSForSentinelMode")):
        found["sentinel_tls"] = found.get("tls", settings.tls)
    found["nodes"] = tuple(node.address for node in settings.nodes)  # type: ignore[attr-defined]
    found["sentinels"] = tuple(node.address for node in settings.sentinels)  # type: ignore[attr-defined]
    settings = replace(settings, **found)
    _check(settings, said | found.keys(), path)
    return settings


def _options_of(cls: type) -> Iterator[tuple[str, str]]:
    """
    The names of the options, and of the fields that they fill.
    """
    return ((key_of(field), field.name) for field in fields(cls) if "read" in field.metadata)


def _key_of(cls: type, name: str) -> str:
    return next(key for key, field in _options_of(cls) if field == name)


def _known(given: dict[str, Any], cls: type, path: str, reading: Reading) -> dict[str, Any]:
    """
    The options without those that are noted, and with today's names.
    """
    known: dict[str, Any] = {}
    names = {key for key, _ in _options_of(cls)}
    for key, value in given.items():
        name = renamed(key)
        note = None if name in names else ignored(key)
        meant = None if name in names else _PREFIXES.get(name)
        if note is not None:
            reading.notes.append(f"CONFIG | {join(path, key)} has no effect: {note}")
        elif meant is not None:
            with reading.collecting():
                raise ConfigError(join(path, key), f"unknown option; did you mean {meant}?")
        elif name != key and name in given:
            raise ConfigError(join(path, key), f"this is another name of {name}, which is there too; leave it out")
        else:
            known[name] = value
            if name != key:
                reading.renamed[join(path, name)] = join(path, key)
    return known


def _pop_redis_options(given: dict[str, Any], cls: type[_S], path: str, reading: Reading) -> dict[str, Any]:
    """
    The fields of C{redisOptions}: options of each connection to a Redis Cluster.
    """
    where = join(path, "redisOptions")
    options = _known(as_section(given.pop("redisOptions", None), where), cls, where, reading)
    for key in ("nodes", "sentinels", "url"):
        if key in options:
            raise ConfigError(join(where, key), f"this belongs one level up, to {path}")
    read = from_mapping(cls, options, where, reading)
    return {name: getattr(read, name) for key, name in _options_of(cls) if key in options}


def _from_url(url: RedisUrl) -> Iterator[tuple[str, Any]]:
    for name in ("host", "port", "path", "username", "password", "db", "family"):
        value = getattr(url, name)
        if value is not None:
            yield name, value


def _from_nodes(settings: RedisConnectionSettings) -> Iterator[tuple[str, Any]]:
    """
    The users and passwords that entries of lists have. All entries share one.
    """
    for prefix, nodes in (("", settings.nodes), ("sentinel_", settings.sentinels)):
        for node in nodes:
            for name in ("username", "password"):
                value = getattr(node, name)
                if value is not None:
                    yield prefix + name, value


def _check(settings: RedisConnectionSettings, said: set[str], path: str) -> None:
    """
    Check that the options name one way to Redis.
    """
    ways = ("nodes", "sentinels", "path", "host", "port")
    named = [way for way in ways if way in said and getattr(settings, way)]
    for name in named[1:]:
        if named[0] != "host":
            raise ConfigError(join(path, name), f"{named[0]} says already where Redis is; leave out one of them")
    if settings.sentinels and settings.name is None:
        raise ConfigError(join(path, "name"), "missing; it is the name that the Sentinels have for the primary")
    if not settings.sentinels:
        for name in ("name", "sentinel_username", "sentinel_password", "sentinel_tls"):
            if name in said and getattr(settings, name) is not None:
                where = join(path, _key_of(type(settings), name))
                raise ConfigError(where, "this is for sentinels, and there are none")
    if settings.nodes and settings.db:
        raise ConfigError(join(path, "db"), "a Redis Cluster has only the database 0")
    if settings.path is not None and settings.tls is not None:
        raise ConfigError(join(path, "tls"), "a UNIX socket has no TLS")
    if settings.username is not None and settings.password is None:
        raise ConfigError(join(path, "password"), "missing; a user needs one")
