"""
The lists C{nodes} and C{sentinels} of a Redis: entries C{{host, port, username, password}}, or texts C{host:port}.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dstwist.config.fields import Reader, as_list, as_section, integer_reader, read_text, shown
from dstwist.config.file import Reading, join
from dstwist.config.redis_ignored import ignored
from dstwist.config.redis_url import read_redis_url
from dstwist.errors import ConfigError

_read_port = integer_reader(1, 65535)


class RedisAddress(NamedTuple):
    """
    Where a Redis server or a Sentinel listens.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_host(value: Any, path: str, reading: Reading | None = None) -> str:
    host = read_text(value, path)
    if "://" in host or "@" in host:
        # There may be a password in front of the host.
        raise ConfigError(path, "expected the name or address of a host; a URL is the option url")
    if not host.isprintable() or any(letter in host for letter in " /"):
        raise ConfigError(path, f"expected the name or address of a host, got {shown(host)}")
    return host.removeprefix("[").removesuffix("]")


def read_password(value: Any, path: str, reading: Reading) -> str | None:
    # A password of digits is a number in YAML. Its text may differ from what the operator wrote.
    if value is not None and not isinstance(value, str):
        raise ConfigError(path, "expected a text; put it in quotes")
    # An empty password is how files leave it out: password: ${REDIS_PASSWORD}
    return str(value) if value else None


class RedisNode(NamedTuple):
    """
    An entry of C{nodes} or C{sentinels}.
    """

    address: RedisAddress
    username: str | None
    password: str | None


_NODE_KEYS = ("host", "port", "username", "password")


def nodes_reader(default_port: int) -> Reader:
    """
    A reader for a list; C{null} is an empty one.
    """

    def read(value: Any, path: str, reading: Reading) -> tuple[RedisNode, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            # It may be a URL with a password.
            raise ConfigError(path, "expected a list, got a text")
        items = as_list(value, path)
        if not items:
            raise ConfigError(path, "expected at least one server")
        nodes = []
        for i, item in enumerate(items):
            with reading.collecting():
                nodes.append(_read_node(item, join(path, i), default_port, reading))
        return tuple(nodes)

    return read


def _read_node(value: Any, path: str, default_port: int, reading: Reading) -> RedisNode:
    if isinstance(value, str):
        url = read_redis_url(value if "://" in value else f"redis://{value}", path)
        return RedisNode(RedisAddress(url.host or "127.0.0.1", url.port or default_port), url.username, url.password)
    section = as_section(value, path)
    for key in section:
        if key not in _NODE_KEYS:
            note = ignored(key)
            if note is None:
                raise ConfigError(join(path, key), "unknown option; options of all servers belong to redisOptions")
            reading.notes.append(f"CONFIG | {join(path, key)} has no effect: {note}")
    return RedisNode(
        RedisAddress(
            read_host(section.get("host", "127.0.0.1"), join(path, "host")),
            _read_port(section.get("port", default_port), join(path, "port"), reading),
        ),
        read_password(section.get("username"), join(path, "username"), reading),
        read_password(section.get("password"), join(path, "password"), reading),
    )
