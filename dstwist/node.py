"""
The composition root: builds all parts of one server process and wires them, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.python.failure import Failure

from dstwist import __version__
from dstwist.auth.methods import build as build_authentication
from dstwist.auth.methods import describe as describe_authentication
from dstwist.auth.reload import AuthReload
from dstwist.cluster.single import SingleNode
from dstwist.config.auth import CertificateSettings
from dstwist.config.limits import LimitSettings
from dstwist.config.settings import Settings
from dstwist.connections.users import UserRegistry
from dstwist.errors import DstwistError, StartError
from dstwist.interfaces import IConnection, IStoreStatus
from dstwist.limits.admission import Admission
from dstwist.limits.log_lines import LogLimit
from dstwist.limits.open_files import FEW, most_files, room
from dstwist.limits.outgoing import Outgoing
from dstwist.log import Logger, OperatorLogger, about
from dstwist.memory import usable_memory
from dstwist.permission.denials import Denials
from dstwist.permission.open import OpenPermission
from dstwist.permission.reload import RuleReload
from dstwist.permission.selection import build as build_permission
from dstwist.plugins import Services
from dstwist.protocol.closing import GOING_AWAY
from dstwist.reload.sections import Reloads
from dstwist.routing.router import Router
from dstwist.services.topics import TopicBuilder
from dstwist.startup_checks import warn_of_open_doors, warn_of_open_tables
from dstwist.store.stores import Stores
from dstwist.store.stores import build as build_stores
from dstwist.store.tiers import TieredStore
from dstwist.tls.certificates import TlsEndpoint
from dstwist.transports.accept_rate import AcceptRate
from dstwist.transports.http import HttpFactory, Root
from dstwist.transports.origins import Origins, Refusal
from dstwist.transports.ports import Ports, where
from dstwist.transports.shared_port import SharedPortFactory
from dstwist.transports.websocket_builder import WebSocketBuilder
from dstwist.transports.websocket_factory import WebSocketFactory


class _NotStarted(StartError):
    """
    A part of the server could not start.
    """

    def __init__(self, event: str, reason: str) -> None:
        super().__init__(reason)
        self.event = event


class Node(Service):
    """
    One server: its services, and the port they are reached through.

    @param log_limit: in force while the node runs. It is for the log of the whole process, so the owner of the process
        decides about it.
    @ivar factory: the factory of all its connections.
    @ivar web_sockets: what takes over from it, by path.
    @ivar reloads: what L{reload} reads again.
    @ivar on_started: called when it takes connections.
    @ivar on_failed: called with the reason if it cannot: a part could not start. Its owner has to stop it then.
    @ivar failed: that reason; C{None} if there is none.
    """

    _log = OperatorLogger()
    # For what is done to clients.
    _client_log = Logger()

    def __init__(
        self,
        settings: Settings,
        endpoints: Iterable[IStreamServerEndpoint],
        reactor: Any,
        data_dir: str | None = None,
        reread: Callable[[], Settings] | None = None,
        log_limit: LogLimit | None = None,
    ) -> None:
        self._settings = settings
        self._log_limit = log_limit
        endpoints = list(endpoints)
        self._reactor = reactor
        self._ports = Ports(endpoints, reactor)
        self._certificates = [each.certificate for each in endpoints if isinstance(each, TlsEndpoint)]
        self.reloads = Reloads(settings, reread)
        for certificate in self._certificates:
            self.reloads.add("certificate", certificate.reload)
        self._stores = stores = build_stores(
            settings.cache, settings.storage, data_dir, reactor, settings.record.storage_exclusion_prefixes
        )
        self._cache = stores.cache
        self._storage = stores.storage
        self._authenticator = build_authentication(settings.auth, reactor, stores.storage)
        self._users = UserRegistry()
        self._logins = AuthReload(self._authenticator, settings.auth, self._users.count, self.kick, reactor)
        self.reloads.add_section("auth", lambda settings: self._logins.reload(settings.auth))
        self._files = most_files()
        self._admission = Admission(settings.limits, reactor, room(self._files))
        tiers = TieredStore(stores.cache, stores.storage, settings.record, reactor)
        self._permission = build_permission(
            settings.permission, reactor.seconds, tiers.load, Services(reactor, stores.storage)
        )
        outgoing = _outgoing(settings.limits, reactor)
        denials = Denials(self._permission, settings.logger.log_denied)
        self._topics = TopicBuilder(
            settings,
            reactor,
            SingleNode(),
            self._users,
            outgoing,
            self._permission,
            # Names are not judged one by one where everything is permitted.
            None if isinstance(self._permission, OpenPermission) else self._permission,
            tiers,
            denials,
        ).build()
        self._router = Router(
            self._permission, self._topics.by_topic, settings.limits.max_name_length, reactor, denials
        )
        self._rules = RuleReload(
            self._permission, settings.permission, self._topics.grant_types, reactor, self._router.drain
        )
        self.reloads.add_section("permission", lambda settings: self._rules.reload(settings.permission))
        self._spoken, self.web_sockets = WebSocketBuilder(
            settings,
            reactor,
            self._authenticator,
            self._router,
            self._users,
            self._admission,
            outgoing,
            self._departed if self._authenticator.departures else None,
        ).build()
        self.factory = SharedPortFactory(
            {path.encode("utf-8"): port for path, port in self.web_sockets.items()},
            HttpFactory(
                Root(settings.http, Origins(settings.http), self.not_ready), settings.http.max_message_size, reactor
            ),
            reactor,
            settings.http,
            self._admission,
        )
        self.factory.open = False
        self._accept_rate: AcceptRate | None = None
        rate = settings.limits.max_connection_rate
        if rate is not None:
            self._accept_rate = AcceptRate(rate, self._ports.listening, reactor)
            self.factory.pace = self._accept_rate.arrived
        self.on_started: Callable[[], object] = lambda: None
        self.on_failed: Callable[[str], object] = lambda reason: None
        self.failed: str | None = None
        self._starting: Deferred[None] | None = None
        # What has been started, and is to be stopped in the reverse order.
        self._started: list[tuple[str, Any]] = []

    def _departed(self, connection: IConnection) -> None:
        if connection.user is not None:
            self._authenticator.departed(connection.user)

    @property
    def settings(self) -> Settings:
        """
        The settings that the node was made from.
        """
        return self._settings

    # -- life

    @property
    def longest_start(self) -> float:
        """
        How long the stores and the authentication may take to start, in seconds.
        """
        return 3 * self._settings.dependency_initialization_timeout

    @property
    def longest_stop(self) -> float:
        """
        How long the clients, the stores and the authentication may take to stop, in seconds.
        """
        return 4 * self._settings.shutdown_timeout

    def reload(self) -> bool:
        """
        Read again what can be: certificates, users, permission rules. Whoever is connected stays, but may lose what new
        rules do not permit. Whether all of it could be used; what could not stays as it was, and the log says why.
        """
        return self.reloads.run()

    def kick(self, user: str, reason: str) -> int:
        """
        Close all connections of C{user} on this node, with close code 1008 and C{reason}; how many.

        It keeps nobody out: whoever may log in can come back, and the official clients do so by themselves.
        """
        connections = self._users.connections(user)
        for connection in connections:
            self._client_log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(connection))
            connection.close(reason)
        return len(connections)

    def not_ready(self) -> str | None:
        """
        Why clients should go to another server, in a few words that may be shown to any client; C{None} if there is no
        reason.
        """
        if self.factory.refusal is not None:
            return "the server is stopping"
        for name, store in (("storage", self._storage), ("cache", self._cache)):
            status = _status(store)
            if status is not None and status.problem() is not None:
                return f"the {name} cannot write"
        return None

    def privilegedStartService(self) -> None:
        """
        Bind the ports, before the process gives up its privileges.

        @raise StartError: a port cannot be bound.
        """
        self._ports.bind(self.factory)

    def startService(self) -> None:
        """
        Start all parts, and then take connections.
        """
        super().startService()
        if self._log_limit is not None:
            self._log_limit.start()
        settings = self._settings
        self._say("server name: {name}", name=settings.server_name)
        self._say("dstwist version: {version}", version=__version__)
        if settings.source is not None:
            self._say("configuration file loaded from {path}", path=settings.source)
        for note in settings.notes:
            # All but what was loaded is about what does not do what the operator may think.
            (self._log.info if note.startswith("CONFIG_TRANSFORM") else self._log.warn)("{note}", note=note)
        self._tell_of_files()
        for certificate in self._certificates:
            certificate.start(self._reactor)
        self._rules.start(lambda: self.reloads.run_section("permission"))
        self._logins.start(lambda: self.reloads.run_section("auth"))
        self._starting = starting = Deferred.fromCoroutine(self._start())
        starting.addErrback(self._not_started)

    def _tell_of_files(self) -> None:
        files = self._files
        most = room(files)
        if files is None or most is None:
            self._say("open files: there is no limit, nor is one for connections")
            return
        wanted = self._settings.limits.max_connections or 0
        if most < FEW or most < wanted:
            self._log.warn(
                "INFO | open files: {files} at most, which allows {most} connections{instead}. Raise the hard limit"
                " (LimitNOFILE of systemd, ulimit -Hn)",
                files=files,
                most=most,
                instead=f" instead of the {wanted} of limits.maxConnections" if most < wanted else "",
                event="INFO",
            )
        else:
            self._say("open files: {files} at most, which allows {most} connections", files=files, most=most)

    async def _start(self) -> None:
        settings, stores = self._settings, self._stores
        if stores.storage is not None:
            await self._start_part("storage", stores.storage)
        self._say("storage ready: {description}{found}", description=stores.storage_description, found=_found(stores))
        await self._start_part("cache", stores.cache)
        self._say("cache ready: {description}", description=stores.cache_description)
        await self._start_part("authentication", self._authenticator)
        self._say("authentication ready: {description}", description=describe_authentication(settings.auth))
        await warn_of_open_tables(settings.auth, self._permission)
        await warn_of_open_doors(settings.auth, self._permission, self._ports.hosts)
        self._warn_of_unasked_certificates()
        if self.running:
            self._open()

    def _warn_of_unasked_certificates(self) -> None:
        asked = any(certificate.asks for certificate in self._certificates)
        if not asked and any(isinstance(each, CertificateSettings) for each in self._settings.auth):
            self._log.warn(
                "AUTH_ERROR | auth of type certificate: no port asks clients for theirs (requestCert), so nobody can "
                "log in by it",
                event="AUTH_ERROR",
            )

    async def _start_part(self, name: str, part: Any) -> None:
        try:
            await part.start().addTimeout(self._settings.dependency_initialization_timeout, self._reactor)
        except TimeoutError:
            # It may still get there.
            self._started.append((name, part))
            time = f"dependencyInitializationTimeout, {self._settings.dependency_initialization_timeout:g} s"
            raise _NotStarted("PLUGIN_INITIALIZATION_TIMEOUT", f"{name} wasn't initialised in time ({time})") from None
        except Exception as error:
            if not isinstance(error, DstwistError):
                # Not what it says that cannot: a mistake in it.
                self._log.failure("{name} broke", name=name)
            raise _NotStarted("PLUGIN_INITIALIZATION_ERROR", f"{name}: {error}") from error
        self._started.append((name, part))

    def _not_started(self, failure: Failure) -> None:
        self.failed = failure.getErrorMessage()
        if isinstance(failure.value, _NotStarted):
            self._log.critical("{event} | {reason}", reason=self.failed, event=failure.value.event)
        else:
            self._log.failure("dstwist does not start", failure)
        self.on_failed(self.failed)

    def _open(self) -> None:
        """
        Take connections.
        """
        settings = self._settings
        try:
            self._ports.open()
        except StartError as error:
            raise _NotStarted("PLUGIN_INITIALIZATION_ERROR", str(error)) from None
        self.factory.open = True
        for port in self._ports.listening:
            self._say("Listening for http connections on {where}", where=where(port))
        self._say("Listening for health checks on path {path}", path=settings.http.health_check_path)
        self._say("Listening for checks whether it is ready on path {path}", path=settings.http.ready_path)
        for path, spoken in self._spoken.items():
            self._say("Listening for websocket connections on path {path} ({spoken})", path=path, spoken=spoken)
        self._say("dstwist started")
        self.on_started()

    def stopService(self) -> Deferred[None]:
        """
        Tell the clients, and wait until they are gone or C{shutdownTimeout} has passed. HTTP is served until the end;
        new WebSockets are refused.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ports = list(self.web_sockets.values())
        self.factory.refusal = Refusal(503, "The server is stopping.")
        self._ports.let_go()
        for certificate in self._certificates:
            certificate.stop()
        self._rules.stop()
        self._logins.stop()
        if self._starting is not None:
            await self._starting
        self._topics.disconnecting()
        for port in ports:
            port.close(GOING_AWAY, "server shutting down")
        drained = gatherResults([port.drained() for port in ports])
        late = self._reactor.callLater(self._settings.shutdown_timeout, self._give_up, ports)
        await drained
        if late.active():
            late.cancel()
        await self._topics.stop()
        for name, part in reversed(self._started):
            try:
                await part.stop().addTimeout(self._settings.shutdown_timeout, self._reactor)
            except TimeoutError:
                self._log.error("PLUGIN_ERROR | {name} did not stop in time", name=name, event="PLUGIN_ERROR")
            except Exception:
                self._log.failure("PLUGIN_ERROR | {name} did not stop in order", name=name, event="PLUGIN_ERROR")
        if self._accept_rate is not None:
            self._accept_rate.stop()
        self.factory.open = False
        await self._ports.close()
        self.factory.close()
        self._admission.stop()
        if self._log_limit is not None:
            self._log_limit.stop()
        self._say("dstwist stopped")

    def _give_up(self, ports: list[WebSocketFactory]) -> None:
        self._log.warn("INFO | some clients did not close in time, dropping them", event="INFO")
        for port in ports:
            port.abort()

    def _say(self, text: str, **fields: object) -> None:
        self._log.info(f"INFO | {text}", event="INFO", **fields)


def _outgoing(settings: LimitSettings, reactor: Any) -> Outgoing:
    """
    The budgets of outgoing bytes.
    """
    most = settings.max_outgoing_bytes
    return Outgoing(reactor, settings.max_outgoing_bytes_per_turn, usable_memory() // 8 if most is None else most)


def _found(stores: Stores) -> str:
    """
    The content of the storage, for the log.
    """
    status = _status(stores.storage)
    found = "" if status is None else status.contents()
    return found and f": {found}"


def _status(store: object) -> IStoreStatus | None:
    """
    The state of C{store}; C{None} if the store cannot report it.
    """
    return IStoreStatus(store, None)
