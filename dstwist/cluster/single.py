"""
A cluster of one.
"""

from __future__ import annotations

from zope.interface import implementer

from dstwist.interfaces import ICluster
from dstwist.protocol.message import Message


@implementer(ICluster)
class SingleNode:
    """
    There is nobody to tell.
    """

    is_single = True

    def publish(self, message: Message) -> None:
        pass
