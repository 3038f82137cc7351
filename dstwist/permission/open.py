"""
All requests are allowed: C{permission: {type: none}}.
"""

from __future__ import annotations

from zope.interface import implementer

from dstwist.interfaces import Change, IIdentity, IPermission
from dstwist.protocol.message import Message


@implementer(IPermission)
class OpenPermission:
    """
    Allows everything.
    """

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool:
        return True
