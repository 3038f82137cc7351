"""
Tests for L{dstwist.routing.providers}.
"""

from __future__ import annotations

from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import TEXT
from dstwist.routing.providers import Providers
from dstwist.routing.registrations import Registration, Registrations
from dstwist.routing.subscriptions import SubscriptionRegistry
from tests.fakes import FakeConnection
from tests.logs import Lines
from tests.routing.stage import ANN, SearchCase, Stage


class ProvidersTests(SearchCase):
    """
    L{Providers}, and the log.
    """

    def make(self, announce: bool = True) -> tuple[Providers, Registration, FakeConnection, FakeConnection]:
        """
        Providers, a registration, its connection, and a subscriber of C{a1} and C{a2}.
        """
        subscriptions = SubscriptionRegistry(Topic.RECORD)
        listener, subscriber = FakeConnection(), FakeConnection()
        for name in ("a1", "a2"):
            subscriptions.add(name, subscriber)
        registration = Registrations().add(listener, "a", 100, {})
        return Providers(Topic.RECORD, subscriptions, announce), registration, listener, subscriber

    def test_provide(self) -> None:
        """
        A provider is known to its name and to its registration, and the subscribers are told.
        """
        providers, registration, _, subscriber = self.make()
        self.assertNotIn("a1", providers)
        providers.add("a1", registration)
        self.assertEqual((providers.get("a1"), list(registration.provides)), (registration, ["a1"]))
        self.assertIn("a1", providers)
        self.assertEqual(self.stage.heard(subscriber), ["PROVIDED a1"])

    def test_release(self) -> None:
        """
        When a name is not wanted any more its provider is told to stop; when the provider is to be replaced, the
        subscribers are told as well.
        """
        providers, registration, listener, subscriber = self.make()
        for name in ("a1", "a2"):
            providers.add(name, registration)
        subscriber.take()
        providers.release("a1")
        self.assertEqual((self.stage.heard(listener), self.stage.heard(subscriber)), (["REMOVED a a1"], []))
        providers.remove("a2")
        self.assertEqual(
            (self.stage.heard(listener), self.stage.heard(subscriber)), (["REMOVED a a2"], ["UNPROVIDED a2"])
        )
        providers.release("a1")
        self.assertEqual((list(registration.provides), self.stage.heard(listener)), ([], []))

    def test_not_notified(self) -> None:
        """
        A client that has stopped listening is not told that it provides nothing any more.
        """
        providers, registration, listener, _ = self.make()
        providers.add("a1", registration)
        registration.notified = False
        providers.release("a1")
        self.assertEqual(self.stage.heard(listener), [])

    def test_quiet(self) -> None:
        """
        Subscribers that are not to be told of providers receive nothing.
        """
        providers, registration, _, subscriber = self.make(announce=False)
        providers.add("a1", registration)
        providers.remove("a1")
        self.assertEqual(self.stage.heard(subscriber), [])

    def test_log(self) -> None:
        """
        A provider that leaves costs one line: with the name if it provided one, else with their number.
        """
        lines = Lines(self)
        stopped = "LISTEN_PROVIDER_STOPPED | listen provider has stopped for"
        for names, expected in (
            (["a1"], [f"{stopped} RECORD:a1: {ANN}"]),
            (
                ["a1", "a2", "b1"],
                [f"{stopped} 3 names of RECORD: {ANN}"],
            ),
            ([], []),
        ):
            subscriber = self.subscriber(*names)
            provider = self.stage.listener("a", "b")
            for name in names:
                self.stage.accept(provider, name[0], name)
            provider.close()
            self.assertEqual(lines.of("info"), expected)
            lines.clear()
            subscriber.close()

    def test_log_braces(self) -> None:
        """
        Whatever a name looks like, the line says it.
        """
        self.stage = Stage(Topic.EVENT, clock=self.clock)
        self.subscriber("{count}a{")
        provider = self.stage.listener("a", dialect=TEXT)
        self.stage.accept(provider, "a", "{count}a{")
        lines = Lines(self)
        self.stage.unlisten(provider, "a")
        self.assertEqual(
            lines.of("info"), ["LISTEN_PROVIDER_STOPPED | listen provider has stopped for EVENT:{count}a{: " + ANN]
        )
