"""
Tests for L{dstwist.node_service}. L{tests.nodes.test_embedding} has the same for whole nodes.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.errors import StartError
from dstwist.node_service import NodeService


class FakeLifecycle:
    """
    Starts and stops when the test says so.
    """

    longest_start = 6.0
    longest_stop = 40.0

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.problem: StartError | None = None
        self.starting: Deferred[None] = Deferred()

    def bind(self) -> None:
        self.calls.append("bind")
        if self.problem is not None:
            raise self.problem

    def refuse(self, problem: StartError) -> None:
        self.calls.append(problem)

    def start(self) -> Deferred[None]:
        self.calls.append("start")
        return self.starting

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        return succeed(None)


class NodeServiceTests(SynchronousTestCase):
    """
    L{NodeService}.
    """

    def setUp(self) -> None:
        self.life = FakeLifecycle()
        self.service = NodeService()
        life: Any = self.life
        self.service._lifecycle = life

    def test_interface(self) -> None:
        """
        A node is a service, and can say how long it may take.
        """
        verifyObject(IService, self.service)
        self.assertEqual((self.service.longest_start, self.service.longest_stop), (6.0, 40.0))

    def test_among_services(self) -> None:
        """
        It starts and stops with the services around it; the ports are bound first, before privileges are given up.
        """
        services = MultiService()
        self.service.setServiceParent(services)
        services.privilegedStartService()
        services.startService()
        self.life.starting.callback(None)
        self.assertTrue(self.service.running)
        self.successResultOf(services.stopService())
        self.assertFalse(self.service.running)
        self.assertEqual(self.life.calls, ["bind", "start", "stop"])

    def test_port_taken(self) -> None:
        """
        A port that is taken is an error for the caller of C{bind}. The services around it start all the same, and the
        start of the node fails with it.
        """
        self.life.problem = StartError("taken")
        self.assertRaises(StartError, self.service.bind)
        self.service.privilegedStartService()
        self.assertEqual(self.life.calls, ["bind", "bind", self.life.problem])

    def test_start_fails(self) -> None:
        """
        A node that could not start does not run. As a service it raises nothing, and leaves no failure unhandled.
        """
        self.service.startService()
        started = self.service.start()
        self.assertTrue(self.service.running)
        self.life.starting.errback(StartError("locked"))
        self.assertFalse(self.service.running)
        self.successResultOf(started)

    def test_block(self) -> None:
        """
        In an asynchronous block it runs, and it stops also if the block fails.
        """

        async def program() -> None:
            async with self.service as node:
                self.assertIs(node, self.service)
                raise ZeroDivisionError

        ended = Deferred.fromCoroutine(program())
        self.life.starting.callback(None)
        self.failureResultOf(ended, ZeroDivisionError)
        self.assertEqual(self.life.calls, ["start", "stop"])
