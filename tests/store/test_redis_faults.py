"""
Tests for L{dstwist.store.redis}, with a network to a real Redis server that fails at the worst moments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import StoreError, StoreRefusal
from dstwist.record import Record
from tests.redis_server import RedisServer
from tests.store.contract import PATIENCE
from tests.store.redis_stage import RedisTestCase, replicated_servers
from tests.tcp_proxy import BOTH, TO_CLIENT, TO_SERVER, TCPProxy

#: The first word of each script on the wire. No other command has it.
SCRIPT = b"EVALSHA"


def lost_before(proxy: TCPProxy) -> None:
    """
    The connection ends, and the request does not arrive.
    """
    proxy.cut_after(1, TO_SERVER)


def lost_after(proxy: TCPProxy) -> None:
    """
    The request arrives, and the connection ends before the answer.
    """
    proxy.cut_before_reply(SCRIPT)


def reset_after(proxy: TCPProxy) -> None:
    """
    The same with a reset.
    """
    proxy.cut_before_reply(SCRIPT, rst=True)


def half_an_answer(proxy: TCPProxy) -> None:
    """
    The connection ends in the middle of the answer.
    """
    proxy.cut_after(1, TO_CLIENT)


def swallowed(proxy: TCPProxy) -> None:
    """
    Neither the request arrives nor the end of the connection: it is half-open.
    """
    proxy.swallow(BOTH, later=False)


def deaf(proxy: TCPProxy) -> None:
    """
    The request arrives, and no answer comes.
    """
    proxy.swallow(TO_CLIENT, later=False)


def late(proxy: TCPProxy) -> None:
    """
    The request does not arrive until the connection is ended at the server.
    """
    proxy.stall(TO_SERVER, later=False)


FAULTS: tuple[Callable[[TCPProxy], None], ...] = (
    lost_before,
    lost_after,
    reset_after,
    half_an_answer,
    swallowed,
    deaf,
    late,
)

#: The faults after which the request has had its effect.
EFFECTIVE = (lost_after, reset_after, half_an_answer, deaf)


class FaultTestCase(RedisTestCase):
    """
    A store whose connection passes through a proxy, and a store that sees what is there.
    """

    options: dict[str, Any] = {
        "command_timeout": 0.7,
        "probe_interval": 0.2,
        "max_reconnect_delay": 0.05,
        "reconnect_wait": PATIENCE,
    }
    deletion_memory = 3600.0

    def setUp(self) -> None:
        super().setUp()
        self.proxy = TCPProxy(self.reactor, self.server.port)
        self.proxy.listen()
        self.witness = self.started(self.make())
        self.store = self.started(self.make(port=self.proxy.port))
        # After the stop of the stores.
        self._cleanups.insert(1, (self._stop_proxy, (), {}))

    def _stop_proxy(self) -> None:
        self.result(Deferred.fromCoroutine(self.proxy.stop()))

    def outcome(self, deferred: Deferred[Any]) -> Any:
        """
        The result, or the error.
        """
        self._wait(deferred)
        outcome: list[Any] = []
        deferred.addCallbacks(outcome.append, lambda failure: outcome.append(failure.value))
        return outcome[0]

    def once(self, fault: Callable[[TCPProxy], None] | None, expected: int | None, record: Record | None) -> int:
        """
        Replace or remove the record C{a}, whatever happens.

        @return: in how many attempts.
        """
        attempts = 0
        while True:
            attempts += 1
            if fault is not None:
                fault(self.proxy)
                fault = None
            write = self.store.remove("a", expected) if record is None else self.store.replace("a", expected, record)
            outcome = self.outcome(write)
            if not isinstance(outcome, Exception):
                self.assertIsNone(outcome)
                return attempts
            self.assertIsInstance(outcome, StoreError)
            if isinstance(outcome, StoreRefusal):
                continue
            self.result(self.store.fence())
            found = self.result(self.store.get("a"))
            if found == record:
                return attempts
            self.assertEqual(None if found is None else found.version, expected)


class ExactlyOnceTests(FaultTestCase):
    """
    A writer that fences and reads before it decides again does everything exactly once.
    """

    def test_in_doubt(self) -> None:
        """
        Any fault may meet any operation.
        """
        version = 0
        for fault in FAULTS:
            for step in range(3):
                history = []
                for at, record in enumerate((Record(version, {"n": 0}), Record(version + 1, {"n": 1}), None)):
                    expected = None if at == 0 else version + at - 1
                    history.append(self.once(fault if at == step else None, expected, record))
                    # Nothing comes late.
                    self.proxy.resume()
                    self.result(self.store.heads(["a"]))
                    self.assertEqual(record, self.result(self.witness.get("a")), fault.__doc__)
                repeated = [1 + (at == step and fault not in EFFECTIVE) for at in range(3)]
                self.assertEqual(repeated, history, fault.__doc__)
                version += 2

    def test_race(self) -> None:
        """
        The same while another writer writes in between: each version has exactly one winner, and both know which.
        """
        for version, fault in enumerate(FAULTS):
            self.result(self.witness.set("a", version, {"writer": "none"}))
            fault(self.proxy)
            mine = self.store.replace("a", version, Record(version + 1, {"writer": "mine"}))
            # The request arrives before that of the other writer, if it arrives.
            outcome = self.outcome(mine) if fault is not late else None
            found = self.result(self.witness.replace("a", version, Record(version + 1, {"writer": "other"})))
            self.outcome(mine)
            self.result(self.store.fence())
            there = self.result(self.store.get("a"))
            self.proxy.resume()
            self.result(self.store.heads(["a"]))
            self.assertEqual(Record(version + 1, {"writer": "other"}) if found is None else found, there)
            self.assertEqual(there.data["writer"], "mine" if fault in EFFECTIVE else "other", (fault, outcome))
            self.assertEqual(there, self.result(self.witness.get("a")))

    def test_pipeline(self) -> None:
        """
        If a connection ends, all operations on it have one outcome each, and an order: those that took effect come
        before those that did not.
        """
        for number, fault in enumerate(FAULTS):
            name = f"r/{number}"
            self.result(self.store.replace(name, None, Record(0, {})))
            fault(self.proxy)
            writes = [self.store.replace(name, n, Record(n + 1, {"n": n})) for n in range(50)]
            outcomes = [self.outcome(write) for write in writes]
            self.result(self.store.fence())
            found = self.result(self.store.get(name))
            self.proxy.resume()
            self.result(self.store.heads([name]))
            self.assertEqual(found, self.result(self.witness.get(name)))
            for version, outcome in enumerate(outcomes):
                self.assertIsInstance(outcome, (type(None), StoreError, Record))
                if outcome is None:
                    self.assertLess(version, found.version)


class LegacyExactlyOnceTests(ExactlyOnceTests):
    """
    The same with one key for each record.
    """

    options = FaultTestCase.options | {"legacy_layout": True}


class ReplicatedExactlyOnceTests(ExactlyOnceTests):
    """
    The same with a replica that must have each write.
    """

    # The replica has half of the time.
    options = FaultTestCase.options | {"min_replicas": 1, "command_timeout": 1.5}

    def start_server(self) -> RedisServer:
        return replicated_servers()[0]


class OutageTests(FaultTestCase):
    """
    Redis cannot be reached for a while.
    """

    options = FaultTestCase.options | {"reconnect_wait": 0.1}

    def test_gone(self) -> None:
        """
        Without a connection an operation fails soon, without effect, and the reason is known. It heals by itself.
        """
        self.result(Deferred.fromCoroutine(self.proxy.refuse()))
        self.proxy.cut(rst=True)
        self.reactor.run_until(lambda: self.store.problem() is not None)
        for operation in (
            self.store.replace("a", None, Record(0, {})),
            self.store.set("a", 1, {}),
            self.store.get("a"),
            self.store.heads(["a"]),
        ):
            self.assertIsInstance(self.outcome(operation), StoreRefusal)
        self.assertIn(f"127.0.0.1:{self.proxy.port}", str(self.store.problem()))
        self.proxy.listen()
        self.reactor.run_until(lambda: self.store.problem() is None)
        self.assertIsNone(self.result(self.store.get("a")))
        self.assertIsNone(self.result(self.store.replace("a", None, Record(0, {}))))

    def test_slow(self) -> None:
        """
        A slow network is no failure.
        """
        self.proxy.delay(0.02)
        for version in range(3):
            expected = None if version == 0 else version - 1
            self.assertIsNone(self.result(self.store.replace("a", expected, Record(version, {}))))

    def test_scripts_lost(self) -> None:
        """
        A Redis that has forgotten the scripts gets them again.
        """
        self.result(self.store.replace("a", None, Record(0, {})))
        self.server.command("SCRIPT", "FLUSH")
        writes = [self.store.replace("a", n, Record(n + 1, {})) for n in range(10)]
        self.assertEqual([None] * 10, [self.result(write) for write in writes])


class ShortOutageTests(FaultTestCase):
    """
    Redis can be reached again before an operation has waited for C{reconnectWait}.
    """

    def test_short(self) -> None:
        """
        An operation waits for the next connection.
        """
        self.proxy.cut()
        self.reactor.run_until(lambda: self.store.problem() is not None)
        self.assertIsNone(self.result(self.store.replace("a", None, Record(0, {}))))


class LargeRecordTests(FaultTestCase):
    """
    A record that is too large for an answer.
    """

    def test_once(self) -> None:
        """
        It costs the connection once. Then it is an error until it is smaller.
        """
        for legacy, key in ((False, "a_d"), (True, "a")):
            self.server.command("FLUSHALL")
            store = self.started(self.make(port=self.proxy.port, max_reply_bytes=100_000, legacy_layout=legacy))
            self.result(store.set("a", 1, {"x": "y" * 200_000}))
            self.assertIn("TOOLARGE", self.failure(store.get("a")))
            self.result(store.heads(["b"]))
            accepted = self.proxy.accepted
            for _ in range(3):
                self.assertRegex(
                    self.failure(store.get("a")), rf"\({key if legacy else 'a_v, a_d'}\): it has 2000.. bytes"
                )
            self.assertEqual(accepted, self.proxy.accepted)
            self.result(store.set("a", 2, {}))
            self.assertEqual(Record(2, {}), self.result(store.get("a")))

    def test_refused_write(self) -> None:
        """
        The same if it is the answer to a write of another version.
        """
        store = self.started(self.make(port=self.proxy.port, max_reply_bytes=100_000))
        self.result(store.set("a", 1, {"x": "y" * 200_000}))
        self.assertIn("TOOLARGE", self.failure(store.replace("a", 7, Record(8, {}))))
        self.assertIn("it has 200008 bytes, and maxReplyBytes is 100000", self.failure(store.get("a")))
