"""
Tests for L{dstwist.connections.connection}, in both dialects.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from dstwist.interfaces import IConnection, IReceiver, Work
from dstwist.protocol import text
from dstwist.protocol.closing import INTERNAL_ERROR
from dstwist.protocol.constants import ACTIONS, ConnectionAction, EventAction, Topic
from dstwist.protocol.dialect import TEXT
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.scheduling.turns import TIME_SLICE
from tests.connections.stage import CHALLENGE, EMIT, HEARTBEAT, LOGIN, PING, PONG, ConnectionTestCase
from tests.fakes import FakePermission
from tests.logs import Lines
from tests.wire import wire


class BothDialects:
    """
    Claims that hold for both generations.
    """

    def test_interface(self: Any) -> None:
        """
        L{Connection} is a connection for services, and a receiver for its link.
        """
        verifyObject(IConnection, self.connection)
        verifyObject(IReceiver, self.connection)

    def test_sent(self: Any) -> None:
        """
        Each message to the client counts, from the handshake on.
        """
        self.log_in()
        self.say(PING)
        sent = self.router.sent.named()
        self.assertEqual(sent["CONNECTION"]["PONG"], 1)
        self.assertEqual(sent["AUTH"], {"AUTH_SUCCESSFUL": 1})

    def test_time_slices(self: Any) -> None:
        """
        A payload full of requests that take long is served a few in each turn of the reactor, in order with what comes
        after it; meanwhile the client is not read from.
        """
        self.log_in()
        self.serve_by(lambda: self.pass_time(TIME_SLICE / 4))
        handled = self.service.handled
        self.receive(self.client.encode(EMIT) * 20)
        self.assertEqual((len(handled), self.link.paused), (5, True))
        self.say(PING)
        self.next_turn()
        self.assertEqual((len(handled), self.link.paused, self.actions()), (10, True, []))
        for _ in range(3):
            self.next_turn()
        self.assertEqual((len(handled), self.link.paused, self.actions()), (20, False, [ConnectionAction.PONG]))

    def test_long_payload(self: Any) -> None:
        """
        A very long payload is decoded as it is served; nothing of it is lost, and nothing overtaken.
        """
        self.log_in()
        numbered = [Message(Topic.EVENT, EventAction.EMIT, f"news/{number}", EMIT.data) for number in range(5000)]
        decoded = self.count_decoded()
        self.serve_by(lambda: self.pass_time(TIME_SLICE / 400))
        self.receive(b"".join(self.client.encode(message) for message in numbered))
        self.assertTrue(0 < len(self.service.handled) < 1000)
        self.assertLess(sum(decoded), 20_000)
        self.say(PING)
        while self.link.paused:
            self.next_turn()
        self.assertEqual([m.name for m in self.service.handled], [m.name for m in numbered])
        self.assertEqual(self.actions(), [ConnectionAction.PONG])

    def test_time_slices_end(self: Any) -> None:
        """
        A client that has gone meanwhile is not served any more.
        """
        self.log_in()
        self.serve_by(lambda: self.pass_time(TIME_SLICE))
        self.receive(self.client.encode(EMIT) * 20)
        served = len(self.service.handled)
        self.connection.lost("gone")
        self.next_turn()
        self.assertEqual((served, len(self.service.handled)), (2, 2))

    def test_failing_slice(self: Any) -> None:
        """
        A mistake of ours in a later turn ends the connection like one in the first.
        """
        self.log_in()

        def serve() -> None:
            self.pass_time(TIME_SLICE)
            if len(self.service.handled) == 3:
                raise ZeroDivisionError

        self.serve_by(serve)
        self.receive(self.client.encode(EMIT) * 20)
        self.next_turn()
        self.assertEqual(self.link.closed, (INTERNAL_ERROR, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_few_slow(self: Any) -> None:
        """
        It depends on the time that requests take, not on their number or size, whether those behind them wait.
        """
        self.log_in()
        self.serve_by(lambda: self.pass_time(2 * TIME_SLICE))
        self.receive(self.client.encode(EMIT) * 3)
        for served in (1, 2, 3):
            self.assertEqual((len(self.service.handled), self.link.paused), (served, served < 3))
            self.next_turn()

    def test_long_names(self: Any) -> None:
        """
        A message whose name is too long is refused, in each kind of payload: alone, among others, or in a very long
        one. The messages beside it are served.
        """
        self.limit_names(100)
        for beside in (0, 1, 20, 2000):
            self.service.handled.clear()
            self.connect()
            self.log_in()
            fits, long = (Message(Topic.EVENT, EventAction.EMIT, "x" * length, EMIT.data) for length in (100, 101))
            self.receive(self.client.encode(EMIT) * beside + self.client.encode(long) + self.client.encode(fits))
            (refusal,) = self.heard()
            self.assertEqual(refusal.action, EventAction.INVALID_MESSAGE_DATA)
            reason = "EMIT: a name of 101 characters, more than 100"
            self.assertIn(reason, refusal.detail or refusal.data.decode())
            self.assertEqual([message.name for message in self.service.handled], [EMIT.name] * beside + ["x" * 100])

    def test_ping(self: Any) -> None:
        """
        A PING is answered in every state, also before login: clients would give up otherwise.
        """
        self.heard()
        for step in (None, CHALLENGE, LOGIN):
            if step is not None:
                self.say(step)
                self.heard()
            self.receive(self.client.encode(PING))
            self.assertEqual(self.actions(), [ConnectionAction.PONG])

    def test_silence(self: Any) -> None:
        """
        A client that is silent for two heartbeat intervals is closed, and that is no error of ours; any data keeps it.
        """
        self.log_in()
        for _ in range(5):
            self.clock.pump([HEARTBEAT / 10] * 10)
            self.connection.heard = True
        self.assertFalse(self.connection.closed)
        self.clock.pump([HEARTBEAT / 10] * 19)
        self.assertFalse(self.connection.closed)
        lines = Lines(self)
        self.clock.pump([HEARTBEAT / 10] * 12)
        self.assertTrue(self.connection.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIn(
            "INFO | Heartbeat missing on websocket, terminating connection of ann (192.0.2.1, /deepstream, #7)",
            lines.of("info"),
        )
        self.assertEqual(lines.of("error"), [])

    def test_close_callbacks(self: Any) -> None:
        """
        The callbacks for the end are called once, in order, and the connection counts as closed by then.
        """
        told: list[Any] = []
        for number in (1, 2):
            self.connection.on_close(lambda connection, number=number: told.append((number, connection.closed)))
        self.connection.close("enough")
        self.connection.close("enough")
        self.connection.lost("gone")
        self.assertEqual(told, [(1, True), (2, True)])

    def test_close_callback_breaks(self: Any) -> None:
        """
        If one of them breaks that is logged, and all others are called, and the transport is closed all the same.
        """
        told: list[str] = []
        self.log_in()
        self.connection.on_close(lambda connection: 1 // 0)
        self.connection.on_close(lambda connection: told.append("second"))
        self.connection.close("bye")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((told, self.link.closed), (["second"], (1008, "bye")))

    def test_user_goes(self: Any) -> None:
        """
        A user is gone once all others know that his connection is.
        """
        told: list[Any] = []
        self.users.observe(lambda user: None, told.append)
        self.log_in()
        self.connection.on_close(lambda connection: told.append("connection"))
        self.connection.lost("gone")
        self.assertEqual(told, ["connection", "ann"])
        self.assertEqual(self.users.connections("ann"), [])

    def test_lost(self: Any) -> None:
        """
        A connection whose transport is gone has no clock running, says nothing and hears nothing.
        """
        self.log_in()
        self.connection.lost("gone")
        self.connection.send(PONG)
        self.say(EMIT)
        self.connection.resume()
        self.assertEqual((self.heard(), self.service.handled), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pause(self: Any) -> None:
        """
        Pausing a connection pauses its transport.
        """
        self.connection.pause()
        self.assertTrue(self.link.paused)
        self.connection.resume()
        self.assertFalse(self.link.paused)

    def test_no_form(self: Any) -> None:
        """
        A message that has no form in the protocol is not sent.
        """
        self.log_in()
        self.connection.send(Message(Topic.MONITORING, ACTIONS[Topic.MONITORING](0), is_ack=True))
        self.connection.send(Message(Topic.PRESENCE, ACTIONS[Topic.PRESENCE]["UNKNOWN"]))
        self.assertTrue(all(frame for frame in self.link.take()))

    def test_silent_about_a_mistake(self: Any) -> None:
        """
        A mistake that a protocol has no answer to is not answered, and what stands beside it is served.
        """
        self.log_in()
        self.patch(self.connection, "decode", lambda payload: [Malformed(Fault.INVALID_DATA), EMIT])
        self.connection.receive(b"")
        self.assertEqual((self.heard(), self.service.handled, self.connection.closed), ([], [EMIT], False))


class WaitingTests(ConnectionTestCase):
    """
    A request that has to wait for its permission makes all later ones wait.
    """

    def decisions(self, *names: str) -> list[Deferred[bool]]:
        decisions: dict[str, Deferred[bool]] = {name: Deferred() for name in names}
        self.permission = FakePermission(**decisions)
        self.connection.lost("gone")
        self.connect()
        self.log_in()
        return list(decisions.values())

    def emit(self, *names: str) -> None:
        self.say(*(Message(Topic.EVENT, EventAction.EMIT, name, b"1") for name in names))

    def handled(self) -> list[str | None]:
        return [message.name for message in self.service.handled]

    def test_order(self) -> None:
        """
        Messages that come while a permission is looked up wait for their turn, whatever payloads they come in.
        """
        (decision,) = self.decisions("b")
        encoded = [self.client.encode(Message(Topic.EVENT, EventAction.EMIT, name, b"1")) for name in "abccc"]
        self.assertTrue(self.connection.receive(b"".join(encoded)))
        self.emit("d")
        self.assertEqual((self.handled(), self.link.paused), (["a"], True))
        self.next_turn()
        self.assertEqual(self.handled(), ["a"])
        decision.callback(True)
        self.assertEqual((self.handled(), self.link.paused), (["a", "b", "c", "c", "c", "d"], False))

    def test_twice(self) -> None:
        """
        Order holds if a later message has to wait as well.
        """
        first, second = self.decisions("a", "b")
        self.emit("a", "b", "c")
        first.callback(True)
        self.emit("d")
        self.assertEqual((self.handled(), self.link.paused), (["a"], True))
        second.callback(False)
        self.assertEqual((self.handled(), self.link.paused), (["a", "c", "d"], False))
        self.assertEqual(self.actions(), [EventAction.MESSAGE_DENIED])

    def test_there_already(self) -> None:
        """
        A decision that is there already is not waited for.
        """
        self.decisions("a")[0].callback(True)
        self.emit("a", "b")
        self.assertEqual((self.handled(), self.link.paused), (["a", "b"], False))

    def test_time_slices(self) -> None:
        """
        Messages behind a decision are served in slices, too, when the decision is there.
        """
        decisions = self.decisions(*(f"n{number}" for number in range(20)))
        self.emit(*(f"n{number}" for number in range(20)), *"x" * 20)
        for number, decision in enumerate(decisions, 1):
            self.next_turn()
            self.serve_by(lambda: self.pass_time(TIME_SLICE / 3.5))
            decision.callback(True)
            self.assertEqual(len(self.handled()), number if number < 20 else 23)
        self.assertTrue(self.link.paused)
        for expected in (27, 31, 35, 39, 40):
            self.next_turn()
            self.assertEqual(len(self.handled()), expected)
        self.assertFalse(self.link.paused)

    def test_gone_meanwhile(self) -> None:
        """
        W55: when the client goes, neither the request that waits is served, nor those behind it.
        """
        (decision,) = self.decisions("a")
        self.emit("a", "b")
        self.connection.lost("gone")
        decision.callback(True)
        self.next_turn()
        self.assertEqual((self.handled(), self.clock.getDelayedCalls()), ([], []))

    def test_service_breaks(self) -> None:
        """
        A service that fails after a wait costs the one connection, and a traceback in the log.
        """
        (decision,) = self.decisions("a")

        def broken() -> None:
            raise ZeroDivisionError

        self.emit("a")
        self.serve_by(broken)
        decision.callback(True)
        self.assertEqual(self.link.closed, (INTERNAL_ERROR, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_silence(self) -> None:
        """
        A client that is not read from is not taken for one that is silent.
        """
        (decision,) = self.decisions("a")
        self.emit("a")
        self.clock.pump([HEARTBEAT / 10] * 50)
        self.assertFalse(self.connection.closed)
        decision.callback(True)
        self.clock.pump([HEARTBEAT / 10] * 31)
        self.assertTrue(self.connection.closed)


class WorkTests(ConnectionTestCase):
    """
    L{IConnection.do}, whose rules are tested with L{dstwist.scheduling.work_queue}.
    """

    def test_done(self) -> None:
        """
        Work of a service is done before anything else that the client asks, and the client is not read from until then.
        """
        self.log_in()
        awaited: Deferred[None] = Deferred()
        done: list[str] = []

        def work() -> Work:
            yield awaited
            done.append("work")

        self.serve_by(lambda: self.connection.do(work()))
        self.say(EMIT, PING)
        self.assertEqual((done, self.link.paused, self.actions()), ([], True, []))
        awaited.callback(None)
        self.assertEqual((done, self.link.paused, self.actions()), (["work"], False, [ConnectionAction.PONG]))


class ProtobufConnectionTests(BothDialects, ConnectionTestCase):
    """
    v4+ clients: C{binary-protocol.md} sections 5 to 7.
    """

    def test_no_server_ping(self) -> None:
        """
        The server does not ping v4+ clients.
        """
        self.log_in()
        self.clock.pump([HEARTBEAT / 10] * 10)
        self.assertEqual(self.heard(), [])


class TextConnectionTests(BothDialects, ConnectionTestCase):
    """
    v2/v3 clients: C{text-protocol.md} sections 5 to 7.
    """

    dialect = TEXT
    server = text.SERVER
    client = text.CLIENT

    def test_while_open(self) -> None:
        """
        No mistake of an open connection closes it (section 7.1).
        """
        self.log_in()
        for received, answered in [
            ("junk+", "X|E|MESSAGE_PARSE_ERROR|null+"),
            ("Z|S|x+", "X|E|UNKNOWN_TOPIC|Z+"),
            ("C|CHR|x+", "X|E|UNKNOWN_TOPIC|C+"),
            ("C|A+", "X|E|UNKNOWN_TOPIC|C+"),
            ("A|REQ|{}+", "X|E|UNKNOWN_TOPIC|A+"),
            ("R|CR|x+", "X|E|UNKNOWN_TOPIC|R+"),
            ("E|H|x+", "E|E|UNKNOWN_ACTION|unknown action H+"),
            ("E|S+", "E|E|INVALID_MESSAGE_DATA|E|S+"),
            ("C|PO+", ""),
            ("C|PI+", "C|PO+"),
            ("+", ""),
            ("", ""),
        ]:
            self.receive(wire(received))
            self.assertEqual(self.written(), wire(answered), received)
        self.assertFalse(self.connection.closed)

    def test_binary_payload(self) -> None:
        """
        A binary frame is read as the text it holds.
        """
        self.written()
        self.connection.receive(wire("C|CHR|u+").encode())
        self.assertEqual(self.written(), wire("C|A+"))

    def test_not_text(self) -> None:
        """
        A binary frame that is no UTF-8 ends the connection, in every state.
        """
        for before in ([], [CHALLENGE], [CHALLENGE, LOGIN]):
            self.connect()
            self.say(*before)
            self.connection.receive(b"\xff\xfe")
            self.assertEqual(self.link.closed, (1007, "invalid UTF-8"))

    def test_server_pings(self) -> None:
        """
        The server pings, before login as well, and within the first interval.
        """
        self.written()
        self.clock.pump([HEARTBEAT / 10] * 10)
        self.assertEqual(self.written(), wire("C|PI+"))
        self.connection.heard = True
        self.clock.pump([HEARTBEAT / 10] * 10)
        self.assertEqual(self.written(), wire("C|PI+"))
