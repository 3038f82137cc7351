"""
Tests for L{dstwist.cluster.single}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.cluster.single import SingleNode
from dstwist.interfaces import ICluster
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message


class SingleNodeTests(SynchronousTestCase):
    """
    L{SingleNode}.
    """

    def test_interface(self) -> None:
        """
        L{SingleNode} provides L{ICluster}.
        """
        verifyObject(ICluster, SingleNode())

    def test_alone(self) -> None:
        """
        It says that there are no other nodes, so that services need not make messages for them; one that they publish
        all the same is dropped.
        """
        node = SingleNode()
        self.assertTrue(node.is_single)
        node.publish(Message(Topic.EVENT, EventAction.EMIT, "news", b"1"))
