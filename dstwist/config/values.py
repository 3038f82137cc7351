"""
Readers of options whose values have a form of their own.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from dstwist.config.fields import MAX_MILLISECONDS, integer_reader, one_of, read_text, read_texts, shown, typed
from dstwist.config.file import FileText, JoinedText, Reading, join
from dstwist.config.tree import read_bytes
from dstwist.errors import ConfigError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The values of minVersion, oldest first.
TLS_VERSIONS = ("TLSv1.2", "TLSv1.3")

LOG_LEVELS = {"DEBUG": 0, "INFO": 1, "WARN": 2, "ERROR": 3, "OFF": 100}


def generate_uid() -> str:
    """
    A name for a node without a name, in the form of the Node server: C{<base36 milliseconds>-<base36 random>}.
    """
    return f"{_base36(time.time_ns() // 1_000_000)}-{_base36(secrets.randbits(63))}"


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def read_server_name(value: Any, path: str, reading: Reading) -> str:
    name = read_text(value, path)
    if not name.isprintable():
        raise ConfigError(path, f"expected a text without control characters, got {shown(name)}")
    return generate_uid() if name == "UUID" else name


def read_log_level(value: Any, path: str, reading: Reading) -> int:
    level = LOG_LEVELS.get(value.upper(), typed(value)) if isinstance(value, str) else value
    if isinstance(level, bool) or level not in LOG_LEVELS.values():
        levels = ", ".join(f"{number} ({name})" for name, number in LOG_LEVELS.items())
        raise ConfigError(path, f"expected one of {levels}, got {shown(value)}")
    return int(level)


def read_url_path(value: Any, path: str, reading: Reading) -> str:
    if not re.fullmatch(r"/[!-~]*", url := read_text(value, path)) or set("?#") & set(url):
        raise ConfigError(path, f"expected the path of a URL, such as /deepstream, got {shown(url)}")
    return url


def read_websocket_url(value: Any, path: str, reading: Reading) -> str:
    url = read_text(value, path)
    try:
        parts = urlsplit(url)
        usable = re.fullmatch(r"[!-~]+", url) and parts.scheme in ("ws", "wss") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(path, f"expected a ws:// or wss:// URL, got {shown(url)}")
    return url


def read_rematch_interval(value: Any, path: str, reading: Reading) -> float | None:
    interval: int = integer_reader(-MAX_MILLISECONDS, MAX_MILLISECONDS)(value, path, reading)
    if interval > 1000:
        return interval / 1000
    reading.notes.append("INVALID_CONFIG_DATA | Setting listen.rematchInterval to less than a second is not permitted.")
    return None


def read_origins(value: Any, path: str, reading: Reading) -> tuple[str, ...]:
    """
    The origins of web pages, exactly as browsers write them: without a path, in lower case, without a default port.
    """
    origins = read_texts(value, path)
    for i, origin in enumerate(origins):
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[a-z0-9.\[\]:_-]+|null", origin):
            problem = f"expected an origin such as https://example.com, without a path, got {shown(origin)}"
            raise ConfigError(join(path, i), problem)
    return origins


def read_proxies(value: Any, path: str, reading: Reading) -> tuple[Network | str, ...]:
    """
    Addresses and networks (C{10.0.0.0/8}); C{unix} stands for all connections on UNIX sockets.
    """
    return tuple(_read_proxy(text, join(path, i)) for i, text in enumerate(read_texts(value, path)))


def _read_proxy(text: str, path: str) -> Network | str:
    if text == "unix":
        return text
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        problem = f"expected an address, a network such as 10.0.0.0/8, or unix, got {shown(text)}"
        raise ConfigError(path, problem) from None


def read_tls_version(value: Any, path: str, reading: Reading) -> str:
    """
    The oldest version of TLS that is accepted, by its name in Node. Older versions are not offered, because they are
    broken.
    """
    version = read_text(value, path)
    if version not in TLS_VERSIONS:
        raise ConfigError(path, one_of(version, TLS_VERSIONS))
    return version


def read_pem(value: Any, path: str, reading: Reading) -> str:
    """
    A key or certificate: its content (C{fileLoad}) or, as with uws, the name of a file.
    """
    pem = read_text(value, path)
    if isinstance(value, FileText):
        pem = value
    elif not pem.lstrip().startswith("-----BEGIN "):
        name = reading.absolute(pem, path)
        try:
            pem = read_again(FileText("", name))
        except OSError as error:
            raise ConfigError(path, f"cannot read {name}: {error.strerror}") from None
    if "-----BEGIN " not in pem:
        raise ConfigError(path, f"{pem.path} is not a PEM file" if isinstance(pem, FileText) else "not PEM")
    return pem


def read_pems(value: Any, path: str, reading: Reading) -> str:
    """
    A key or certificate as in L{read_pem}, or a list of these.
    """
    if not isinstance(value, list):
        return read_pem(value, path, reading)
    if not value:
        raise ConfigError(path, "expected at least one certificate")
    return JoinedText(read_pem(item, join(path, i), reading) for i, item in enumerate(value))


def read_again(text: str) -> str:
    """
    The present content of the files that C{text} comes from; C{text} itself if it comes from no file.

    @raise OSError: a file cannot be read.
    """
    if isinstance(text, JoinedText):
        return JoinedText(map(read_again, text.parts))
    if not isinstance(text, FileText):
        return text
    return FileText(read_bytes(text.path).decode("utf-8", "replace"), text.path)
