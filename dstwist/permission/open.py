"""
All requests are allowed: C{permission: {type: none}}.
"""

from __future__ import annotations

from enum import IntEnum

from zope.interface import implementer

from dstwist.interfaces import Change, IIdentity, ISimplePermission
from dstwist.protocol.constants import Topic
from dstwist.protocol.message import Message


@implementer(ISimplePermission)
class OpenPermission:
    """
    Allows everything.
    """

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool:
        return True

    def permits_all(self, topic: Topic, action: IntEnum, name: str) -> bool:
        return True
