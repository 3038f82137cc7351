"""
Tests for L{dstwist.permission.open}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import ISimplePermission
from dstwist.permission.open import OpenPermission
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakeConnection


class OpenPermissionTests(SynchronousTestCase):
    """
    L{OpenPermission}.
    """

    def test_interface(self) -> None:
        """
        L{OpenPermission} provides L{ISimplePermission}.
        """
        verifyObject(ISimplePermission, OpenPermission())

    def test_all(self) -> None:
        """
        A client without an account may delete a record.
        """
        request = Message(Topic.RECORD, RecordAction.DELETE, "a")
        self.assertIs(OpenPermission().allows(request, FakeConnection("open")), True)
        self.assertTrue(OpenPermission().permits_all(Topic.RECORD, RecordAction.DELETE, "a"))
