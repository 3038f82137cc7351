"""
A Redis as its users see it: one server, or a Redis Cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from dstwist.redis.scripts import Script

#: One word of a command.
Word = bytes | str | int

#: Called when a call has ended: with the argument of the caller, the L{dstwist.errors.StoreError} if the call has
#: failed, and the answer.
Done = Callable[[Any, Exception | None, Any], object]


class ServerIdentity(NamedTuple):
    """
    The server at the other end of a new connection.

    @ivar address: the address, as the log shows it.
    @ivar run_id: the id of the process; another one after a restart.
    @ivar replication_id: the id of the history of its data; another one after a fail-over or a restart.
    @ivar offset: how much of that history the server has.
    @ivar role: C{master}; connections to other servers are not used.
    """

    address: str
    run_id: str
    replication_id: str
    offset: int
    role: str
    version: str


class IRedis(Interface):
    """
    Executes commands.

    Calls with one key are executed in the order of the calls, whether they are made by C{call}, C{submit} or C{run}.
    All calls of a turn leave in one write. While there is no connection, calls wait for it for a limited time. A call
    that was sent is never sent again, unless Redis has answered that it did not execute it.

    The failures of calls are those of L{dstwist.redis.errors}.
    """

    on_connected: list[Callable[[ServerIdentity], object]] = Attribute(
        "Called after each connection, before any waiting call is sent. Calls that they make are executed first."
    )

    def start() -> Deferred[None]:
        """
        Connect. If that takes too long, or Redis refuses, the Deferred fails with a L{dstwist.errors.StoreError} that
        says the address and the reason.
        """

    def stop() -> Deferred[None]:
        """
        Let the calls so far end, for a limited time; then close. Nothing is called after that.
        """

    def call(key: Word | None, *words: Word) -> Deferred[Any]:
        """
        Execute a command.

        @param key: decides which server of a Redis Cluster executes the command; C{None}: any of them. Calls without a
            key have no order among other calls.
        @return: the answer as Redis gives it: bytes, a number, a list of answers, or C{None}. Errors inside of a list
            are items of the list.
        """

    def submit(key: Word | None, words: Sequence[Word], done: Done, argument: Any) -> None:
        """
        Like C{call}, without a Deferred. A call that cannot even wait fails before this method returns.
        """

    def run(script: Script, keys: Sequence[Word], arguments: Sequence[Word], done: Done, argument: Any) -> None:
        """
        Execute a script, like C{submit}. The first of C{keys} is the key of the call. All keys are in one slot.
        """

    def fence() -> Deferred[None]:
        """
        Make sure that no call that was made so far takes effect after a call that is made once the Deferred has fired:
        end the connections that were lost or given up, at their server. The Deferred fails with
        L{StoreUnreachable<dstwist.errors.StoreUnreachable>} if there is no connection for too long.
        """

    def problem() -> str | None:
        """
        Why no call can be executed at present, for the log and C{/ready}; C{None} if calls can be executed.
        """
