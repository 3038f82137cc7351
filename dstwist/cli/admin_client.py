"""
The requests of C{dstwist admin} to a running server.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from dstwist.cli.failure import failed
from dstwist.config.admin import SOCKET_NAME
from dstwist.config.load import find, load
from dstwist.errors import ConfigError

#: How long the server may take to answer, in seconds.
TIMEOUT = 60.0

#: The data directory of the Debian package.
PACKAGE_DIRECTORY = "/var/lib/dstwist"


class _UnixConnection(http.client.HTTPConnection):
    """
    HTTP over a unix socket.
    """

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminClient:
    """
    Asks one server.

    @param place: the path of the socket, or the URL, for error texts.
    """

    def __init__(self, connection: http.client.HTTPConnection, place: str, token: str | None = None) -> None:
        self._connection = connection
        self._place = place
        self._headers = {"Connection": "close"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, command: str, values: Mapping[str, Any]) -> Any:
        """
        The answer to a command that changes nothing.
        """
        return self._answer(self._begin("GET", _target(command, values), None))

    def post(self, command: str, values: Mapping[str, Any]) -> Any:
        """
        The answer to a command that changes the server.
        """
        given = {name: value for name, value in values.items() if value is not None}
        return self._answer(self._begin("POST", f"/{command}", json.dumps(given)))

    def lines(self, command: str, values: Mapping[str, Any]) -> Iterator[str]:
        """
        The lines of an answer without an end. If it ends all the same, the command fails.
        """
        response = self._begin("GET", _target(command, values), None)
        if response.status != 200:
            self._answer(response)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(None)
        try:
            while line := response.readline():
                yield line.decode("utf-8", "replace").rstrip("\n")
        except (OSError, http.client.HTTPException):
            pass
        raise failed(f"{self._place}: the server has closed the connection")

    def _begin(self, method: str, target: str, body: str | None) -> http.client.HTTPResponse:
        try:
            self._connection.request(method, target, body, self._headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise failed(f"no server answers at {self._place}: {_reason(error)}") from None

    def _answer(self, response: http.client.HTTPResponse) -> Any:
        try:
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise failed(f"{self._place}: {_reason(error)}") from None
        try:
            answer = json.loads(text)
        except ValueError:
            raise failed(f"{self._place} has no administration: {response.status} {response.reason}") from None
        if response.status != 200:
            raise failed(str(answer.get("error", response.reason)))
        return answer


def _target(command: str, values: Mapping[str, Any]) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in values.items()
        if value is not None and value is not False
    }
    query = urlencode(given, errors="surrogatepass")
    return f"/{command}?{query}" if query else f"/{command}"


def _reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied; only the user of the server and root may open the socket"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def connect(
    socket_path: str | None,
    url: str | None,
    token_file: str | None,
    data_dir: str | None,
    config_file: str | None,
) -> AdminClient:
    """
    The client for the server that the options of a command name.
    """
    if url is not None:
        return _at_url(url, token_file)
    if token_file is not None:
        raise failed("--token-file is for --url")
    path = socket_path or _find_socket(data_dir, config_file)
    return AdminClient(_UnixConnection(path), path)


def _at_url(url: str, token_file: str | None) -> AdminClient:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise failed(f"--url {url}: {error}") from None
    if parts.scheme not in ("http", "https") or host is None or parts.path not in ("", "/"):
        raise failed(f"--url {url}: expected http://HOST:PORT or https://HOST:PORT")
    token = None
    if token_file is not None:
        try:
            with open(token_file, encoding="ascii") as file:
                token = file.read().strip()
        except (OSError, ValueError) as error:
            raise failed(f"--token-file {token_file}: {error}") from None
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return AdminClient(kind(host, port, timeout=TIMEOUT), url, token)


def _find_socket(data_dir: str | None, config_file: str | None) -> str:
    """
    The socket in C{data_dir}, or the one that the configuration names.
    """
    if data_dir is not None:
        return os.path.join(data_dir, SOCKET_NAME)
    found = config_file or find(os.environ)
    if found is not None:
        try:
            path = load(found, os.environ).admin.socket
        except ConfigError as error:
            if config_file is not None:
                raise failed(str(error)) from None
            # Variables of the service may be missing here. Most files do not name the socket anyway.
            path = None
        if path is not None:
            return path
        if config_file is not None:
            # The server of the package may be another one, and the command may change it.
            raise failed(f"{config_file} has no admin.socket; name the server with --data-dir, --socket or --url")
    packaged = os.path.join(PACKAGE_DIRECTORY, SOCKET_NAME)
    if not os.path.exists(packaged):
        raise failed(f"there is no {packaged}; name the server with --data-dir, --socket or --url")
    return packaged
