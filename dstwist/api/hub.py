"""
All handles of one node.

::

    the node starts: start() --> requests are made --> the node stops: stop() --> all handles are closed

Always true: no request of a handle reaches the server before L{Hub.start} and after L{Hub.stop}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.api.errors import HandleClosed, InvalidValue
from dstwist.api.figures import Figures
from dstwist.api.handle import Handle
from dstwist.api.logins import UserLogins
from dstwist.api.requester import API_PATH, Identity
from dstwist.api.values import to_json
from dstwist.connections.expiry import Expiry
from dstwist.connections.login import LoginDecision
from dstwist.connections.request_logins import RequestLogins
from dstwist.interfaces import HandshakeData
from dstwist.limits.rates import RateLimits, UserRateLimits
from dstwist.log import Logger, about
from dstwist.routing.router import Router


class Hub:
    """
    Makes the handles, and closes them when the node stops.

    @ivar server: the handle of the server itself, which makes no requests before L{start}.
    @ivar kick_user: closes the connections of a user, and the handles that have logged in as the user.
    @param rates: the limits that all requesters of a user share.
    @param count: gives the figures of the node, from the number of open handles.
    @param metrics: gives the metrics of the node.
    @param node: the label of the node, for logs.
    """

    _log = Logger()

    def __init__(
        self,
        router: Router,
        rates: UserRateLimits,
        clock: IReactorTime,
        logins: RequestLogins,
        kick: Callable[[str, str], int],
        count: Callable[[int], Figures],
        metrics: Callable[[], dict[str, float]],
        node: str = "",
    ) -> None:
        self._router = router
        self._node = node
        self._rates = RateLimits(None, None, rates, clock)
        self._clock = clock
        self.kick_user = kick
        self._count = count
        self.metrics = metrics
        self._handles: dict[Handle, None] = {}
        # Those of users who have logged in, by user.
        self._logged_in: dict[str, dict[Handle, None]] = {}
        self._refusal: str | None = "the node has not started"
        self.server = Handle(Identity(is_server=True, node=node), router, clock, None, HandleClosed(self._refusal))
        self._add(self.server)
        self._logins = UserLogins(logins, self.server.deliveries, self._accept)

    def open(self, identity: Identity) -> Handle:
        """
        A new handle.

        @raise HandleClosed: the node does not run.
        """
        if self._refusal is not None:
            raise HandleClosed(self._refusal)
        handle = Handle(replace(identity, node=self._node), self._router, self._clock, self._rates)
        self._add(handle)
        return handle

    def _add(self, handle: Handle) -> None:
        self._handles[handle] = None
        handle.requester.on_close(lambda requester: self._remove(handle))

    def _remove(self, handle: Handle) -> None:
        self._handles.pop(handle, None)
        user = handle.identity.user or ""
        handles = self._logged_in.get(user)
        if handles is not None:
            handles.pop(handle, None)
            if not handles:
                del self._logged_in[user]

    def login(self, credentials: Any, address: str, headers: Mapping[str, str]) -> Deferred[Handle]:
        """
        Have the node's authentication decide on C{credentials}, and make the handle of the user.

        @raise HandleClosed: the node does not run.
        @raise InvalidValue: the credentials are no object.
        """
        if self._refusal is not None:
            raise HandleClosed(self._refusal)
        if not isinstance(credentials, dict):
            raise InvalidValue("credentials are an object")
        lower = {name.lower(): value for name, value in headers.items()}
        client = HandshakeData(address, lower, path=API_PATH, node=self._node)
        return self._logins.begin(client, to_json(credentials))

    def _accept(self, client: HandshakeData, decision: LoginDecision) -> Handle:
        login = decision.login
        server_data = None if login is None else login.server_data
        handle = self.open(Identity(decision.user, decision.client_data, server_data, client.address))
        self._logged_in.setdefault(decision.user, {})[handle] = None
        if login is not None and login.expires_at is not None:
            Expiry(handle.requester, login.expires_at, self._clock)
        return handle

    def count(self, user: str) -> int:
        """
        How many handles have logged in as C{user}.
        """
        return len(self._logged_in.get(user, ()))

    def kicked(self, user: str, reason: str) -> int:
        """
        Close the handles that have logged in as C{user}.

        @return: how many.
        """
        kicked = list(self._logged_in.get(user, ()))
        for handle in kicked:
            self._log.info("KICKED | {client}: {reason}", reason=reason, event="KICKED", **about(handle.requester))
            handle.close(reason)
        return len(kicked)

    def figures(self) -> Figures:
        """
        The figures of the node.
        """
        return self._count(len(self._handles))

    def start(self) -> None:
        """
        The stores answer from now on.
        """
        self._refusal = None
        self.server.start()

    def stop(self) -> None:
        """
        Close all handles, and cancel all logins.
        """
        self._refusal = "the node has stopped"
        self._logins.stop(HandleClosed(self._refusal))
        for handle in list(self._handles):
            handle.close(self._refusal)
