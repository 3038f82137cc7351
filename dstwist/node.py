"""
The composition root: builds all parts of one server process and wires them, once.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, TimeoutError, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.python.failure import Failure
from zope.interface import classImplements

from dstwist import __version__
from dstwist.admission import Admission
from dstwist.auth.build import build as build_authentication
from dstwist.auth.build import describe as describe_authentication
from dstwist.auth.build import reload as reload_authentication
from dstwist.auth.exposure import warn_of_open_doors, warn_of_open_tables
from dstwist.budgets import Budget
from dstwist.certificates import TlsEndpoint
from dstwist.cluster.single import SingleNode
from dstwist.config.auth import CertificateSettings
from dstwist.config.http import LimitSettings
from dstwist.config.settings import Settings, WebSocketEndpoint
from dstwist.connection import Connection
from dstwist.custom import Services
from dstwist.denials import Denials
from dstwist.errors import DstwistError
from dstwist.heartbeat import Heartbeat
from dstwist.interfaces import Handshake, ICodec, IConnection, ITopicService
from dstwist.listeners import ListenerRegistry
from dstwist.log import Logger, OperatorLogger, about
from dstwist.log_limit import LogLimit
from dstwist.memory import usable_memory
from dstwist.metering import UserBudgets
from dstwist.outgoing import Outgoing
from dstwist.permission.build import build as build_permission
from dstwist.permission.lookup import RecordLookup
from dstwist.permission.open import OpenPermission
from dstwist.permission.reload import RuleReload
from dstwist.protocol import dialect, protobuf, text
from dstwist.protocol.closing import GOING_AWAY
from dstwist.protocol.constants import EventAction, PresenceAction, RecordAction, RpcAction, Topic
from dstwist.reception import Reception
from dstwist.recheck import Kind
from dstwist.reloading import Reloads
from dstwist.router import Router
from dstwist.services.event import EventService
from dstwist.services.presence import PresenceService
from dstwist.services.record import RecordService
from dstwist.services.rpc import RpcService
from dstwist.store.build import build as build_stores
from dstwist.subscriptions import SubscriptionRegistry
from dstwist.transports.close_delay import CloseDelay
from dstwist.transports.detection import Detection
from dstwist.transports.http import HttpPort, Root
from dstwist.transports.incoming import Incoming
from dstwist.transports.metered import MeteredLink
from dstwist.transports.origins import Origins
from dstwist.transports.pace import Pace, do_not_listen, listen
from dstwist.transports.port import Port
from dstwist.transports.websocket import ConnectionFactory, WebSocketLink
from dstwist.transports.websocket_port import WebSocketPort
from dstwist.transports.wire import WebSocketWire
from dstwist.users import UserRegistry

classImplements(protobuf.ProtobufCodec, ICodec)
classImplements(text.TextCodec, ICodec)

_SPOKEN = {
    ("ws-binary",): "protobuf, for clients of v4 and later",
    ("ws-text",): "text, for clients of v2 and v3",
    ("ws-binary", "ws-text"): "protobuf and text, told apart by who speaks first",
}


class _NotStarted(Exception):
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
    @ivar port: the factory of all its connections.
    @ivar web_sockets: what takes over from it, by path.
    @ivar reloads: what L{reload} reads again.
    @ivar failed: why it ends although nobody stopped it: a part could not start. C{None} if that is not so.
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
        self._endpoints = list(endpoints)
        self._reactor = reactor
        self._certificates = [each.certificate for each in self._endpoints if isinstance(each, TlsEndpoint)]
        self.reloads = Reloads(settings, reread)
        for certificate in self._certificates:
            self.reloads.add("certificate", certificate.reload)
        self.reloads.add_section("auth", self._reload_users)
        self._listening: list[IListeningPort] = []
        self._stores = stores = build_stores(
            settings.cache, settings.storage, data_dir, reactor, settings.record.storage_exclusion_prefixes
        )
        self._cache = stores.cache
        self._storage = stores.storage
        self._authenticator = build_authentication(settings.auth, reactor, stores.storage)
        self._users = UserRegistry()
        self._budgets = UserBudgets(settings.limits, reactor)
        self._admission = Admission(settings.limits, reactor, _room_for_connections())
        self._outgoing = _outgoing(settings.limits, reactor)
        self._incoming = Incoming(settings.limits.max_incoming_bytes)
        limits = settings.limits
        self._close_delay = CloseDelay(limits.close_delay, limits.max_delayed_closes, reactor)
        self._listeners: list[ListenerRegistry] = []
        records = RecordLookup(stores.cache, stores.storage, settings.record, reactor)
        self._permission = build_permission(
            settings.permission, reactor.seconds, records.load, Services(reactor, stores.storage)
        )
        self._pending = Budget(settings.limits.max_pending_bytes)
        self._records: RecordService | None = None
        # What is not to react any more when the clients are sent away.
        self._reacting: list[RpcService | PresenceService] = []
        # What clients can have that new rules may take from them.
        self._kinds: list[Kind] = []
        self._denials = Denials(self._permission, settings.logger.log_denied)
        services = self._build_services()
        self._router = Router(self._permission, services, settings.limits.max_name_length, reactor, self._denials)
        self._rules = RuleReload(self._permission, settings.permission, self._kinds, reactor, self._router.settled)
        self.reloads.add_section("permission", lambda settings: self._rules.reload(settings.permission))
        self._spoken, self.web_sockets = self._build_web_sockets()
        self.port = Port(
            {path.encode("utf-8"): port for path, port in self.web_sockets.items()},
            HttpPort(
                Root(settings.http.health_check_path, Origins(settings.http)), settings.http.max_message_size, reactor
            ),
            reactor,
            settings.http,
            self._admission,
        )
        self.port.open = False
        self._pace: Pace | None = None
        rate = settings.limits.max_connection_rate
        if rate is not None:
            self._pace = Pace(rate, self._listening, reactor)
            self.port.pace = self._pace.arrived
        self.failed: str | None = None
        self._starting: Deferred[None] | None = None
        # What has been started, and is to be stopped in the reverse order.
        self._started: list[tuple[str, Any]] = []

    # -- building

    def _build_services(self) -> dict[Topic, ITopicService]:
        services: dict[Topic, ITopicService] = {}
        most = self._settings.limits.max_subscriptions
        room = Budget(self._settings.limits.max_subscription_bytes)
        # Names are not judged one by one where everything is permitted.
        offers = None if isinstance(self._permission, OpenPermission) else self._permission
        if self._settings.features.event:
            subscriptions = SubscriptionRegistry(
                Topic.EVENT, limit=most, room=room, outgoing=self._outgoing, clock=self._reactor
            )
            listeners = ListenerRegistry(
                Topic.EVENT, subscriptions, self._settings.listen, self._reactor, permission=offers
            )
            self._listeners.append(listeners)
            services[Topic.EVENT] = EventService(subscriptions, listeners, SingleNode())
            self._kinds += (
                Kind(subscriptions, Topic.EVENT, EventAction.SUBSCRIBE, EventAction.SUBSCRIBE),
                Kind(listeners, Topic.EVENT, EventAction.LISTEN, EventAction.LISTEN),
                Kind(listeners.offered, Topic.EVENT, EventAction.LISTEN, None),
            )
        if self._settings.features.record:
            subscriptions = SubscriptionRegistry(
                Topic.RECORD, limit=most, room=room, outgoing=self._outgoing, clock=self._reactor
            )
            listeners = ListenerRegistry(
                Topic.RECORD, subscriptions, self._settings.listen, self._reactor, announce=True, permission=offers
            )
            self._listeners.append(listeners)
            services[Topic.RECORD] = self._records = RecordService(
                subscriptions,
                listeners,
                SingleNode(),
                self._permission,
                self._cache,
                self._storage,
                self._settings.record,
                self._reactor,
                self._pending,
                self._denials,
            )
            self._kinds += (
                Kind(subscriptions, Topic.RECORD, RecordAction.READ, RecordAction.SUBSCRIBECREATEANDREAD),
                Kind(listeners, Topic.RECORD, RecordAction.LISTEN, RecordAction.LISTEN),
                Kind(listeners.offered, Topic.RECORD, RecordAction.LISTEN, None),
            )
        if self._settings.features.rpc:
            providers = SubscriptionRegistry(Topic.RPC, "MULTIPLE_PROVIDERS", most, room, clock=self._reactor)
            services[Topic.RPC] = calls = RpcService(providers, self._settings.rpc, self._reactor, room=self._pending)
            self._reacting.append(calls)
            self._kinds.append(Kind(providers, Topic.RPC, RpcAction.PROVIDE, RpcAction.PROVIDE))
        if self._settings.features.presence:
            services[Topic.PRESENCE] = presence = PresenceService(
                self._users, self._settings.presence, self._reactor, most, room, self._outgoing
            )
            self._reacting.append(presence)
            one, all_ = PresenceAction.SUBSCRIBE, PresenceAction.SUBSCRIBE_ALL
            self._kinds += (
                Kind(presence.single, Topic.PRESENCE, one, one),
                Kind(presence.everybody, Topic.PRESENCE, all_, all_, named=False),
            )
        return services

    def _build_web_sockets(self) -> tuple[dict[str, str], dict[str, WebSocketPort]]:
        """
        By path: what is spoken there, and the port of its WebSockets.
        """
        paths: dict[str, dict[str, WebSocketEndpoint]] = {}
        for endpoint in self._settings.endpoints:
            paths.setdefault(endpoint.url_path, {})[endpoint.type] = endpoint
        spoken = {path: _SPOKEN[tuple(sorted(endpoints))] for path, endpoints in paths.items()}
        return spoken, {path: self._build_web_socket(endpoints) for path, endpoints in paths.items()}

    def _build_web_socket(self, endpoints: dict[str, WebSocketEndpoint]) -> WebSocketPort:
        reactor = self._reactor
        if len(endpoints) == 1:
            (settings,) = endpoints.values()
            connect = self._connections(settings)
            return self._port(settings, connect)
        for_binary, for_text = endpoints["ws-binary"], endpoints["ws-text"]
        timeout = for_text.detection_timeout
        # A silent client has waited for the detection already.
        for_text = replace(for_text, greeting_delay=max(for_text.greeting_delay - timeout, 0.0))
        connect_text, connect_binary = self._connections(for_text), self._connections(for_binary)

        def detect(link: WebSocketLink, handshake: Handshake) -> Detection:
            return Detection(link, handshake, connect_text, connect_binary, reactor, timeout)

        # The limits of the transport are those of the newer generation.
        return self._port(for_binary, detect)

    def _port(self, settings: WebSocketEndpoint, connect: ConnectionFactory) -> WebSocketPort:
        return WebSocketPort(
            settings, connect, self._reactor, self._budgets, self._outgoing, self._close_delay, self._incoming
        )

    def _connections(self, endpoint: WebSocketEndpoint) -> ConnectionFactory:
        many_wire = None
        if endpoint.type == "ws-binary":
            wire, spoken = WebSocketWire(protobuf.SERVER, binary=True), dialect.PROTOBUF
            many_wire = WebSocketWire(protobuf.SERVER, binary=True, patches_many=True)
        else:
            wire, spoken = WebSocketWire(text.SERVER, binary=False), dialect.TEXT
        heartbeat = Heartbeat(endpoint.heartbeat_interval, self._reactor)
        reception = Reception(
            endpoint,
            self._authenticator,
            self._router,
            heartbeat,
            self._reactor,
            self._users,
            self._admission,
            self._settings.limits.max_connections_per_user,
            many_wire,
            self._settings.limits.close_delay,
        )

        def connect(link: WebSocketLink, handshake: Handshake) -> Connection:
            connection = Connection(link, wire, spoken, handshake, reception)
            if isinstance(link, MeteredLink):
                connection.count_with(link.meter)
            if self._authenticator.departures:
                connection.on_close(self._departed)
            return connection

        return connect

    def _departed(self, connection: IConnection) -> None:
        if connection.user is not None:
            self._authenticator.departed(connection.user)

    def _reload_users(self, settings: Settings) -> str:
        return reload_authentication(self._authenticator, self._settings.auth, settings.auth)

    # -- life

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

    def privilegedStartService(self) -> None:
        # Before the process gives up its privileges: the port may need them.
        problems: list[str] = []
        for endpoint in self._endpoints:
            endpoint.listen(self.port).addCallbacks(
                self._listening.append, lambda failure: problems.append(failure.getErrorMessage())
            )
        if problems:
            raise SystemExit("\n".join(f"dstwist: {problem}" for problem in problems))
        # Clients that come before all is ready wait in the system's queue.
        do_not_listen(self._listening, self._reactor)

    def startService(self) -> None:
        """
        Start all parts, and then take connections. If a part cannot start, the process ends with its reason.
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
        for certificate in self._certificates:
            certificate.start(self._reactor)
        self._rules.start(lambda: self.reloads.run_section("permission"))
        self._starting = starting = Deferred.fromCoroutine(self._start())
        starting.addErrback(self._not_started)
        if self.failed is not None:
            raise SystemExit(f"dstwist: {self.failed}")

    async def _start(self) -> None:
        settings, stores = self._settings, self._stores
        if stores.storage is not None:
            await self._start_part("storage", stores.storage)
        self._say("storage ready: {description}", description=stores.storage_description)
        await self._start_part("cache", stores.cache)
        self._say("cache ready: {description}", description=stores.cache_description)
        await self._start_part("authentication", self._authenticator)
        self._say("authentication ready: {description}", description=describe_authentication(settings.auth))
        await warn_of_open_tables(settings.auth, self._permission)
        await warn_of_open_doors(settings.auth, self._permission, [port.getHost() for port in self._listening])
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
        if self._reactor.running:
            self._reactor.stop()

    def _open(self) -> None:
        """
        Take connections.
        """
        settings = self._settings
        self.port.open = True
        listen(self._listening, self._reactor)
        for port in self._listening:
            self._say("Listening for http connections on {where}", where=_where(port))
        self._say("Listening for health checks on path {path}", path=settings.http.health_check_path)
        for path, spoken in self._spoken.items():
            self._say("Listening for websocket connections on path {path} ({spoken})", path=path, spoken=spoken)
        self._say("dstwist started")

    def stopService(self) -> Deferred[None]:
        """
        Stop accepting, tell the clients, and wait until they are gone or C{shutdownTimeout} has passed.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ports = list(self.web_sockets.values())
        self.port.open = False
        if self._pace is not None:
            self._pace.stop()
        for certificate in self._certificates:
            certificate.stop()
        self._rules.stop()
        await gatherResults([maybeDeferred(port.stopListening) for port in self._listening])
        if self._starting is not None:
            await self._starting
        self.port.close()
        for service in self._reacting:
            service.stop()
        for port in ports:
            port.close(GOING_AWAY, "server shutting down")
        drained = gatherResults([port.drained() for port in ports])
        late = self._reactor.callLater(self._settings.shutdown_timeout, self._give_up, ports)
        await drained
        if late.active():
            late.cancel()
        self._admission.stop()
        for listeners in self._listeners:
            listeners.stop()
        if self._records is not None:
            await self._records.stop()
        for name, part in reversed(self._started):
            try:
                await part.stop().addTimeout(self._settings.shutdown_timeout, self._reactor)
            except TimeoutError:
                self._log.error("PLUGIN_ERROR | {name} did not stop in time", name=name, event="PLUGIN_ERROR")
            except Exception:
                self._log.failure("PLUGIN_ERROR | {name} did not stop in order", name=name, event="PLUGIN_ERROR")
        if self._log_limit is not None:
            self._log_limit.stop()
        self._say("dstwist stopped")

    def _give_up(self, ports: list[WebSocketPort]) -> None:
        self._log.warn("INFO | some clients did not close in time, dropping them", event="INFO")
        for port in ports:
            port.abort()

    def _say(self, text: str, **fields: object) -> None:
        self._log.info(f"INFO | {text}", event="INFO", **fields)


def _room_for_connections() -> int | None:
    """
    How many connections there can be before the process runs out of files, of which it needs some itself.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else max(soft - 100, 1)


def _outgoing(settings: LimitSettings, reactor: Any) -> Outgoing:
    """
    The budgets of outgoing bytes.
    """
    most = settings.max_outgoing_bytes
    return Outgoing(reactor, settings.max_outgoing_bytes_per_turn, usable_memory() // 8 if most is None else most)


def _where(port: IListeningPort) -> str:
    host: Any = port.getHost()
    if hasattr(host, "port"):
        return f"[{host.host}]:{host.port}" if ":" in host.host else f"{host.host}:{host.port}"
    return str(getattr(host, "name", host))
