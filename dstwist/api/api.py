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

from types import TracebackType
from typing import Any

from dstwist.api.events import Events
from dstwist.api.handle import Handle
from dstwist.api.hub import Hub
from dstwist.api.records import Records
from dstwist.api.requester import Identity
from dstwist.api.values import to_json


class Api:
    """
    One handle. C{close} it when it is not needed any more, or use it in a C{with} or C{async with} statement. The node
    closes all handles when it stops.

    @ivar events: emits events, and subscribes to them.
    @ivar records: reads and writes records, and subscribes to them.
    """

    def __init__(self, hub: Hub, handle: Handle) -> None:
        self._hub = hub
        self._handle = handle
        self.events = Events(handle)
        self.records = Records(handle)

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

        @param server_data: the data about the user for rules; so far as the rules see it, the authenticator gave it.
        @param client_data: the data about the user for clients, as JSON: for providers of procedures.
        @raise HandleClosed: the node does not run.
        """
        client_text = None if client_data is None else to_json(client_data)
        return Api(self._hub, self._hub.open(Identity(user, client_text, server_data, address)))

    def close(self, reason: str = "the application has closed it") -> None:
        """
        End all requests and subscriptions of this handle. Requests that wait fail with L{HandleClosed
        <dstwist.api.errors.HandleClosed>}.
        """
        self._handle.close(reason)

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
