"""
C{admin}: how an operator reaches the administration of a running server. An addition of dstwist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dstwist.config.fields import as_section, flag, from_mapping, option, optional, read_text, text
from dstwist.config.file import Reading, join
from dstwist.errors import ConfigError

#: The name of the socket in the data directory.
SOCKET_NAME = "admin.sock"

#: A shorter token could be guessed.
MIN_TOKEN_CHARACTERS = 16


def _read_token(value: Any, path: str, reading: Reading) -> str:
    # A file with a token has a line break at its end.
    token = read_text(value, path).strip()
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise ConfigError(path, f"a token has at least {MIN_TOKEN_CHARACTERS} characters")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(path, "a token has printable ASCII characters only, and no blanks")
    return token


def _read_socket(value: Any, path: str, reading: Reading) -> str:
    return reading.absolute(read_text(value, path), path)


@dataclass(frozen=True)
class AdminSettings:
    """
    C{admin}: the administration of a running server.
    """

    # Whether the server has an administration.
    enabled: bool = flag(True)
    # The path of the unix socket. None: admin.sock in the data directory, if there is one.
    socket: str | None = option(optional(_read_socket), None)
    # A TCP endpoint beside the socket, as of --listen. None: there is none.
    listen: str | None = text(None)
    # The token that requests at the TCP endpoint have to have.
    token: str | None = option(optional(_read_token), None)

    def __repr__(self) -> str:
        return f"<AdminSettings {self.socket} {self.listen}>"


def read_admin(value: Any, path: str, reading: Reading) -> AdminSettings:
    """
    The section.

    @raise ConfigError: among others, there is a TCP endpoint without a token.
    """
    settings = from_mapping(AdminSettings, value, path, reading)
    if settings.listen is not None and as_section(value, path).get("token") is None:
        raise ConfigError(join(path, "token"), "listen needs a token: whoever reaches the port could end the server")
    return settings
