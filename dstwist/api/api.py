"""
C{Node.api}: records, events and so on for the application that embeds the node.

==========================  ==========================================================================================
handle                      makes its requests
==========================  ==========================================================================================
C{node.api}                 as the server itself: everything is permitted
C{node.api.as_user(...)}    in the name of a user: the rules apply
C{node.api.login(...)}      in the name of the user who has these credentials, until the login expires
==========================  ==========================================================================================

A handle is no connection: its user is not online because of it, and no limit of connections counts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.api.errors import make_error
from dstwist.api.events import Events
from dstwist.api.failing import failing
from dstwist.api.figures import Figures
from dstwist.api.handle import Handle
from dstwist.api.hub import Hub
from dstwist.api.lists import Lists
from dstwist.api.presence import Presence
from dstwist.api.record_feed import record_feeds
from dstwist.api.records import Records
from dstwist.api.requester import Identity
from dstwist.api.rpc import Rpc
from dstwist.api.values import check_name, check_text, copied, to_json


class Api:
    """
    One handle. C{close} it when it is not needed any more, or use it in a C{with} or C{async with} statement. The node
    closes all handles when it stops.

    @ivar events: emits events, and subscribes to them.
    @ivar records: reads and writes records, and subscribes to them.
    @ivar lists: reads and changes lists.
    @ivar rpc: calls procedures, and provides them.
    @ivar presence: tells which users are online.
    """

    def __init__(self, hub: Hub, handle: Handle) -> None:
        self._hub = hub
        self._handle = handle
        self.events = Events(handle)
        feeds = record_feeds(handle)
        self.records = Records(handle, feeds)
        self.lists = Lists(self.records, feeds)
        self.rpc = Rpc(handle)
        self.presence = Presence(handle)

    def __repr__(self) -> str:
        owner = "the server" if self._handle.identity.is_server else f"user {self.user!r}"
        return f"<Api of {owner}{', closed' if self.closed else ''}>"

    @property
    def user(self) -> str | None:
        """
        The user in whose name requests are made; C{None}: the server itself.
        """
        return self._handle.identity.user

    @property
    def closed(self) -> bool:
        return self._handle.closed

    def as_user(self, user: str, server_data: Any = None, client_data: Any = None, address: str = "") -> Api:
        """
        A handle that makes requests in the name of C{user}: the rules apply, and the limits of rates of the user.

        @param server_data: the data about the user for rules, as JSON; so far as the rules see it, the authenticator
            gave it.
        @param client_data: the data about the user for clients, as JSON: for providers of procedures.
        @raise MessageDenied: this is not the handle of the server.
        @raise HandleClosed: the node does not run.
        """
        self._only_server()
        check_name(user, "user")
        client_text = None if client_data is None else to_json(client_data)
        return Api(self._hub, self._hub.open(Identity(user, client_text, copied(server_data), address)))

    @failing
    def login(
        self, credentials: dict[str, Any], address: str = "", headers: Mapping[str, str] | None = None
    ) -> Deferred[Api]:
        """
        A handle for the user with these credentials. The authentication of the node decides, with the limits for failed
        logins. It fails with L{LoginRefused<dstwist.api.errors.LoginRefused>} or L{LoginUndecided
        <dstwist.api.errors.LoginUndecided>}. The handle is closed when the login expires, or the user is kicked.

        @param credentials: as a client would send them: C{{"username": "ann", "password": "..."}}.
        @param address: the address of the client in whose place the application logs in, for limits and logs.
        @param headers: the headers of the request of the client, for authenticators that look at them.
        """
        self._handle.check_open()
        login = self._hub.login(credentials, address, headers or {})
        return login.addCallback(lambda handle: Api(self._hub, handle))

    def kick(self, user: str, reason: str) -> int:
        """
        Close all connections and streams of C{user} on this node, and all handles that have logged in as the user, and
        refuse the rest of the user's requests. A handle of a user may not do this.

        @param reason: is sent to the clients.
        @return: how many connections, streams, handles and requests.
        @raise MessageDenied: this is not the handle of the server.
        @raise HandleClosed: the node has stopped.
        @raise InvalidValue: the reason cannot be sent.
        """
        self._only_server()
        check_text(reason, "reason")
        return self._hub.kick_user(user, reason)

    def figures(self) -> Figures:
        """
        How many connections, users and so on the node has.

        @raise MessageDenied: this is not the handle of the server.
        @raise HandleClosed: the node has stopped.
        """
        self._only_server()
        return self._hub.figures()

    def metrics(self) -> dict[str, float]:
        """
        The metrics of the node, as it gives them to Prometheus: each value by its name and its labels.

        @raise MessageDenied: this is not the handle of the server.
        @raise HandleClosed: the node has stopped.
        """
        self._only_server()
        return self._hub.metrics()

    def _only_server(self) -> None:
        if not self._handle.identity.is_server:
            raise make_error("MESSAGE_DENIED", self.user, "only the server itself may do this, with node.api")
        self._handle.check_open()

    def close(self, reason: str = "the application has closed it") -> None:
        """
        End all requests and subscriptions of this handle. Requests that wait fail with L{HandleClosed
        <dstwist.api.errors.HandleClosed>}.

        @raise MessageDenied: this is the handle of the server. All parts of the program share it, and the node closes
            it.
        """
        self._only_user()
        self._handle.close(reason)

    def _only_user(self) -> None:
        if self._handle.identity.is_server:
            raise make_error("MESSAGE_DENIED", None, "the node closes the handle of the server itself")

    def __enter__(self) -> Api:
        # Not at the end of the block: it may raise an exception of its own.
        self._only_user()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Api:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
