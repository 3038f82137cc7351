"""
The URL of a Redis, as the Node server's libraries and hosting providers write it.

::

    redis://host                            redis://:password@host:6380/1
    rediss://user:password@host:6380/0      (with TLS)
    redis+unix:///run/redis.sock?db=1       unix:///run/redis.sock

User, password and path may have C{%}-escapes. No error text contains the URL, because it may have a password.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from dstwist.config.fields import one_of, read_text
from dstwist.errors import ConfigError

_SCHEMES = ("redis", "rediss", "unix", "redis+unix", "redis+socket")
_EXAMPLE = "redis://user:password@host:6379/0"

#: Parameters that mean nothing here: the user of the URL is always used.
_IGNORED_PARAMETERS = ("allowUsernameInURI",)


class RedisUrl(NamedTuple):
    """
    The parts of a URL; C{None}: it does not say.

    @ivar tls: whether the connection is encrypted.
    """

    host: str | None = None
    port: int | None = None
    path: str | None = None
    username: str | None = None
    password: str | None = None
    db: int | None = None
    family: int | None = None
    tls: bool = False


def read_redis_url(value: Any, path: str) -> RedisUrl:
    """
    The parts of the URL C{value}.
    """
    text = read_text(value, path)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        # The text of the error may repeat the URL.
        raise ConfigError(
            path, f"not a URL such as {_EXAMPLE}; write special characters of the password as %XX"
        ) from None
    if parts.scheme not in _SCHEMES:
        problem = one_of(parts.scheme, _SCHEMES) if "://" in text else "there is no ://"
        raise ConfigError(path, f"expected a URL such as {_EXAMPLE}: {problem}")
    if parts.fragment or (port is None and parts.netloc.rpartition("@")[2].count(":") and parts.hostname is None):
        raise ConfigError(path, f"not a URL such as {_EXAMPLE}; write special characters of the password as %XX")
    found = RedisUrl(
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
    )
    if parts.scheme in ("redis", "rediss"):
        found = found._replace(host=parts.hostname or None, port=port, db=_read_db(parts.path.strip("/"), path))
    elif parts.hostname or not parts.path:
        raise ConfigError(path, "expected the path of a UNIX socket behind three slashes: unix:///run/redis.sock")
    else:
        found = found._replace(path=unquote(parts.path))
    for name, given in parse_qsl(parts.query, keep_blank_values=True):
        if name == "db":
            found = found._replace(db=_read_db(given, path))
        elif name == "family" and given in ("4", "6"):
            found = found._replace(family=int(given))
        elif name not in _IGNORED_PARAMETERS:
            raise ConfigError(path, f"the parameter {name} is not taken in the URL; write it as an option")
    return found


def _read_db(text: str, path: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigError(path, "what follows the host is not the number of a database")
    return int(text)
