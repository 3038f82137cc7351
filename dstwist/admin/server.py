"""
Where the administration is reached: a unix socket, and perhaps a TCP endpoint.

The socket belongs to the user of the server, and no other user may open it (mode 0600). A socket that an earlier server
has left is removed. If the socket cannot be made, the server runs without it, and the log says why. If the TCP endpoint
cannot be made, the server does not start.

Always true: requests at the TCP endpoint need the token.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import UNIXServerEndpoint
from zope.interface import implementer

from dstwist.admin.commands import Command
from dstwist.admin.handler import routes
from dstwist.config.admin import SOCKET_NAME, AdminSettings
from dstwist.endpoints import described_endpoint
from dstwist.errors import StartError
from dstwist.interfaces import ILifecycle
from dstwist.log import OperatorLogger
from dstwist.transports.http_private import PrivateHttpFactory
from dstwist.transports.http_routes import Routes
from dstwist.transports.ports import Ports, binding, where

#: The longest path of a unix socket, in bytes: that of Linux is 107, that of BSD and macOS 103.
MAX_PATH_BYTES = 103

#: How long requests may go on while the server stops, in seconds.
STOP_TIMEOUT = 2.0


def socket_path(settings: AdminSettings, data_dir: str | None) -> str | None:
    """
    The path of the unix socket; C{None} if there is none.
    """
    if not settings.enabled:
        return None
    if settings.socket is not None or data_dir is None:
        return settings.socket
    return os.path.join(os.path.abspath(data_dir), SOCKET_NAME)


@implementer(ILifecycle)
class AdminServer:
    """
    Serves C{commands}.

    @param path: of the unix socket; C{None}: none.
    @raise ConfigError: the endpoint of the settings cannot be used.
    """

    _log = OperatorLogger()

    def __init__(
        self, settings: AdminSettings, path: str | None, commands: Sequence[Command], reactor: Any, label: str = ""
    ) -> None:
        self._path = path
        self._clock = reactor
        self._roots: list[Routes] = []
        self._factories: list[PrivateHttpFactory] = []
        self._label = label
        # The ports, and the factory behind them.
        self._socket: tuple[Ports, PrivateHttpFactory] | None = None
        self._endpoint: tuple[Ports, PrivateHttpFactory] | None = None
        if path is not None:
            endpoint = UNIXServerEndpoint(binding(reactor), path, mode=0o600)
            self._socket = Ports([endpoint], reactor), self._factory(commands, None)
        if settings.enabled and settings.listen is not None:
            described = described_endpoint(settings.listen, reactor, {}, "admin.listen")
            self._endpoint = Ports([described], reactor), self._factory(commands, settings.token)

    def _factory(self, commands: Sequence[Command], token: str | None) -> PrivateHttpFactory:
        root = Routes(routes(commands, token), node=self._label)
        self._roots.append(root)
        self._factories.append(factory := PrivateHttpFactory(root, self._clock, self._label))
        return factory

    @property
    def description(self) -> str:
        """
        Where the commands are served, for the log.
        """
        places = [] if self._socket is None else [str(self._path)]
        if self._endpoint is not None:
            places += [where(port) for port in self._endpoint[0].listening]
        return ", ".join(places) or "not served"

    def _open(self) -> list[tuple[Ports, PrivateHttpFactory]]:
        return [each for each in (self._socket, self._endpoint) if each is not None]

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        if self._socket is not None:
            problem = self._prepare() or self._listen(*self._socket)
            if problem is not None:
                self._socket = None
                self._log.warn(
                    "ADMIN | no administration at {path}: {problem}",
                    path=self._path,
                    problem=problem,
                    event="ADMIN",
                )
        if self._endpoint is not None:
            problem = self._listen(*self._endpoint)
            if problem is not None:
                raise StartError(f"admin.listen: {problem}")

    def _listen(self, ports: Ports, factory: PrivateHttpFactory) -> str | None:
        """
        Accept requests.

        @return: why that is not possible.
        """
        try:
            ports.bind(factory)
            ports.open()
        except StartError as error:
            return str(error)
        return None

    def _prepare(self) -> str | None:
        """
        Remove the socket of an earlier server.

        @return: why there can be no socket.
        """
        path = self._path
        assert path is not None
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            return f"the path is longer than {MAX_PATH_BYTES} bytes; admin.socket can be a shorter one"
        try:
            is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
        except FileNotFoundError:
            return None
        except OSError as error:
            return str(error.strerror)
        if not is_socket:
            return "there is a file that is no socket"
        if _is_served(path):
            return "another server has its socket there"
        try:
            os.unlink(path)
        except OSError as error:
            return str(error.strerror)
        return None

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for ports, _ in self._open():
            await ports.close()
        drained: Deferred[Any] = gatherResults([root.drain() for root in self._roots])
        late = self._clock.callLater(STOP_TIMEOUT, self._abort)
        await drained
        if late.active():
            late.cancel()
        self._abort()

    def _abort(self) -> None:
        for root in self._roots:
            root.abort()
        for factory in self._factories:
            factory.abort()


def _is_served(path: str) -> bool:
    """
    Whether a server accepts connections at a socket.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # A server that accepts nothing at present lives, too.
        client.setblocking(False)
        try:
            client.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def build_admin(
    settings: AdminSettings, data_dir: str | None, commands: Sequence[Command], reactor: Any, label: str = ""
) -> AdminServer | None:
    """
    The administration of one node; C{None} if it is switched off.

    @raise ConfigError: the TCP endpoint cannot be used.
    """
    path = socket_path(settings, data_dir)
    if path is None and (settings.listen is None or not settings.enabled):
        return None
    return AdminServer(settings, path, commands, reactor, label)
