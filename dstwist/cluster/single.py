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
    The only node: it drops what it is to publish.
    """

    is_single = True

    def publish(self, message: Message) -> None:
        pass
