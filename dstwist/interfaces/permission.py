"""
Decisions on what a client may do.
"""

from __future__ import annotations

from enum import IntEnum

from twisted.internet.defer import Deferred
from zope.interface import Interface

from dstwist.interfaces.requests import IIdentity
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message
from dstwist.record import Change


class IPermission(Interface):
    """
    Decides on requests. The router asks it, and so do services for the actions that they authorize themselves.
    """

    def allows(message: Message, identity: IIdentity, change: Change | None = None) -> bool | Deferred[bool]:
        """
        Whether C{identity} may do what C{message} asks, at once or later. If the rule cannot be evaluated, this gives a
        Deferred that fails, which denies the request as well. The caller logs the failure once. Its text says which
        rule failed and why; no client gets it.

        @param message: for a bulk request, a copy with C{name} set to the name in question; for a request that does
            several things, a copy with the action in question. The checks of a request that may create the record have
            the request's action as C{original_action}.
        @param change: the record as it is now, and as the request would make it. Without it, a rule that refers to the
            record looks it up.
        """


class ISimplePermission(IPermission):
    """
    A permission that can tell at once what is permitted to all.
    """

    def permits_all(topic: Topic, action: IntEnum, name: str) -> bool:
        """
        Whether C{allows} gives C{True} at once for each message with that topic, action and name, by any sender and for
        any content of the record. If this gives C{False}, only C{allows} can tell.
        """


class IDecider(Interface):
    """
    A permission that can name the rule that decided.
    """

    def decider(message: Message, name: str | None) -> str:
        """
        The rule that decides about C{message}, as a text for the log.

        @param name: the refused name, if the message has several.
        """
