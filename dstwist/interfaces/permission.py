"""
Decisions on what a client may do.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Interface

from dstwist.interfaces.requests import IConnection
from dstwist.protocol.message import Message
from dstwist.record import Change


class IPermission(Interface):
    """
    Who may do what. The router asks, and services for the actions that they judge.
    """

    def allows(message: Message, sender: IConnection, change: Change | None = None) -> bool | Deferred[bool]:
        """
        Whether C{sender} may do what C{message} asks, at once or later. A failure, always one of a Deferred that may
        have failed already, means that the rule could not be evaluated, and denies as well. The caller logs it, once;
        its text tells which rule and why, and is never for the client.

        @param message: of a bulk request, a copy with C{name} set to the one name in question; of a request that does
            several things, a copy with the action in question. The checks of a request that may create the record have
            the request's action as C{original_action}.
        @param change: the record in question at this moment, and what the request makes of it. Without it, a rule that
            refers to the record looks it up.
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
