"""
Acknowledged writes of clients of v2 and v3 that came too late: the answer is held, and dropped if the client lets go.
"""

from __future__ import annotations

from dstwist.errors import StoreError
from dstwist.protocol.message import Message
from dstwist.services.record import held_conflicts
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from dstwist.services.record.held_conflicts import MAX_HELD_CONFLICTS, MAX_HELD_CONFLICTS_EACH
from dstwist.services.record.reminders import QUIET_SECONDS
from tests.fakes import FakeConnection
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, patch, update, wanting_ack

LOST = "R|WA|a|[{}]|Sanother version of a exists+"
EXISTS = "R|E|VERSION_EXISTS|a|{}|{}+"


class ConflictCase(RecordTestCase):
    """
    A record of version 3, and a text client that has it.
    """

    def setUp(self) -> None:
        self.serve()

    def serve(self, *args: object, **settings: object) -> None:
        super().serve(*args, **settings)  # type: ignore[arg-type]
        self.have("a", 3, {"x": 1})
        self.ann, self.bob = self.old("a"), self.young("a")

    def lose(self, version: int = 3, client: FakeConnection | None = None, name: str = "a") -> None:
        """
        A write that comes too late, with a callback.
        """
        write = wanting_ack(update(name, version, {"ann": version}))
        write.correlation_id = None
        self.service.handle(write, client or self.ann)

    def delete(self, client: FakeConnection | None = None) -> None:
        self.service.handle(ask(A.DELETE, "a"), client or self.ann)

    def discard(self) -> None:
        self.service.handle(ask(A.UNSUBSCRIBE, names=("a",)), self.ann)

    def later(self, seconds: float = ACK_DELAY_SECONDS) -> list[Message]:
        self.clock.advance(seconds)
        return self.ann.take()

    def answer(self, version: int, data: str, *lost: int) -> list[str]:
        return [LOST.format(each) for each in lost] + [EXISTS.format(version, data)]


@for_each_requester
class AnswerTests(ConflictCase):
    """
    A client that keeps the record gets the answer a moment later.
    """

    def test_held(self) -> None:
        """
        The error for the callback comes first, the record behind it.
        """
        self.lose()
        self.assertEqual(self.later(ACK_DELAY_SECONDS / 2), [])
        self.assertEqual(self.later(ACK_DELAY_SECONDS / 2), self.answer(3, '{"x":1}', 3))
        self.assertEqual(self.later(), [])

    def test_several(self) -> None:
        """
        Several writes in one turn hear their errors, and then the client merges once.
        """
        for version in (1, 2, 3):
            self.lose(version)
        self.assertEqual(self.later(), self.answer(3, '{"x":1}', 1, 2, 3))
        self.assertEqual(self.later(60), [])

    def test_nothing_overtakes(self) -> None:
        """
        News that come meanwhile are in the answer: a path with the version that is next for the wrong copy would hide
        from the client that it has to merge. News behind the answer come as always.
        """
        self.lose()
        self.say(self.bob, patch("a", 4, "y", 2))
        self.assertEqual(self.ann.take(), [])
        self.assertEqual(self.later(), self.answer(4, '{"x":1,"y":2}', 3))
        self.say(self.bob, patch("a", 5, "z", 3))
        self.assertEqual(self.ann.take(), ["R|P|a|5|z|N3+"])

    def test_accepted_by_accident(self) -> None:
        """
        A second write of the client has the right version by chance. The answer to the first contains it, so it is not
        taken back in the client's copy, and no reminder is needed.
        """
        self.lose(3)
        self.say_text(self.ann, 'R|P|a|4|y|N2|{"writeSuccess":true}+')
        self.ann.take()
        self.lose(4)
        self.service.handle(patch("a", 5, "y", 3), self.ann)
        self.assertEqual(self.later(), self.answer(5, '{"x":1,"y":3}', 4))
        self.assertEqual(self.later(QUIET_SECONDS), [])

    def test_crossed(self) -> None:
        """
        A write that crosses the answer, and is accepted, leaves the client unsure: it is sent the record when it has
        not written for a while.
        """
        self.lose()
        self.later()
        self.service.handle(update("a", 4, {"crossed": 1}), self.ann)
        self.assertEqual(self.later(QUIET_SECONDS), ['R|U|a|4|{"crossed":1}+'])

    def test_lost_again(self) -> None:
        """
        A client that loses again and again gets its answers all the same, together, after some time.
        """
        answers = []
        for number in range(12):
            self.lose(number % 3 + 1)
            answers.append(self.later(ACK_DELAY_SECONDS / 3 + 0.0001))
        sizes = [len(answer) for answer in answers]
        self.assertEqual(sum(1 for size in sizes if size > 1), 1)
        self.assertEqual(self.later(4 * ACK_DELAY_SECONDS)[-1], EXISTS.format(3, '{"x":1}'))

    def test_at_once(self) -> None:
        """
        Clients without a copy, or without a callback, and clients of v4 and later are answered at once.
        """
        for client in (self.old(), self.young("a")):
            self.lose(client=client)
            self.assertEqual(len(client.take()), 2)
        self.service.handle(update("a", 3, {}), self.ann)
        self.assertEqual(len(self.ann.take()), 1)
        self.lose(-1)
        self.assertEqual(self.later(), ["R|WA|a|[-1]|L+"])

    def test_too_many(self) -> None:
        """
        A client that has too many of them is answered further ones at once, and the answers of others are held.
        """
        self.lose()
        greedy = self.old()
        for number in range(MAX_HELD_CONFLICTS_EACH + 1):
            name = str(number)
            self.have(name, 3, {})
            self.subscriptions.add(name, greedy)
            self.lose(client=greedy, name=name)
        self.assertEqual(len(greedy.take()), 2)
        self.assertEqual(self.ann.take(), [])
        self.patch(held_conflicts, "MAX_HELD_CONFLICTS", MAX_HELD_CONFLICTS_EACH + 1)
        other = self.old("a")
        self.lose(client=other)
        self.assertEqual(len(other.take()), 2)
        self.assertEqual(len(self.later()), 2)
        self.assertEqual(len(greedy.take()), 2 * MAX_HELD_CONFLICTS_EACH)
        self.assertGreater(MAX_HELD_CONFLICTS, MAX_HELD_CONFLICTS_EACH)

    def test_provider(self) -> None:
        """
        A provider that comes or goes meanwhile is told behind the answer.
        """
        self.lose()
        provider = self.young()
        self.say(provider, ask(A.LISTEN, "a"), ask(A.LISTEN_ACCEPT, "a", subscription="a"))
        self.assertEqual(self.ann.take(), [])
        told, *answer = self.later()
        self.assertEqual((told, answer), ("R|SH|a|T+", self.answer(3, '{"x":1}', 3)))
        self.lose()
        provider.close()
        told, *answer = self.later()
        self.assertEqual((told, answer), ("R|SH|a|F+", self.answer(3, '{"x":1}', 3)))
        self.lose()
        self.assertEqual(self.later(), self.answer(3, '{"x":1}', 3))

    def test_read(self) -> None:
        """
        A client that reads the record gets the answer first. If the record had the version that is next for the wrong
        copy, the client would apply it instead of merging.
        """
        self.lose()
        self.say(self.bob, update("a", 4, {"bob": 1}))
        self.assertEqual(self.say_text(self.ann, "R|SN|a+R|SN|a+"), [])
        self.say(self.bob, update("a", 5, {"bob": 2}))
        self.assertEqual(self.later(), [*self.answer(5, '{"bob":2}', 3), *['R|R|a|5|{"bob":2}+'] * 2])
        self.lose(4)
        self.assertEqual(self.later(), self.answer(5, '{"bob":2}', 4))

    def test_read_and_ended(self) -> None:
        """
        However the hold ends, the read is answered.
        """
        self.addCleanup(self.flushLoggedErrors, StoreError)
        shown = 'R|R|a|3|{"x":1}+'
        lost, over = LOST.format(3), "R|A|D|a+"

        def cannot_be_read() -> None:
            self.cache.records.clear()
            self.storage.outcome = "fails"
            self.clock.advance(ACK_DELAY_SECONDS)

        for end, expected in (
            (self.discard, [shown, "R|A|US|a+"]),
            (self.delete, [shown, over]),
            (lambda: self.delete(self.bob), [lost, shown, over]),
            (lambda: self.subscriptions.revoke("a", self.ann), [lost, shown]),
            (cannot_be_read, [lost, shown]),
        ):
            self.serve()
            self.lose()
            self.assertEqual(self.say_text(self.ann, "R|SN|a+"), [])
            end()
            self.assertEqual(self.ann.take(), expected)

    def test_other_refusals(self) -> None:
        """
        If another write of the client is refused for another reason, the record comes with the answer only.
        """
        self.lose(2)
        self.say(self.bob, update("a", 4, {"bob": 1}))
        self.assertEqual(self.say_text(self.ann, "R|P|a|3||N1+"), ["R|E|INVALID_MESSAGE_DATA|R|P|a|3||N1+"])
        self.assertEqual(self.later(), self.answer(4, '{"bob":1}', 2))

    def test_reminder(self) -> None:
        """
        A reminder that is due meanwhile is part of the answer.
        """
        self.lose()
        self.later()
        self.service.handle(update("a", 4, {"crossed": 1}), self.ann)
        self.storage.delay = 1.0
        self.say(self.bob, update("a", 5, {"bob": 1}))
        self.lose(5)
        self.say(self.bob, update("a", 6, {"bob": 2}))
        self.assertEqual(self.later(1.0), ['R|U|a|5|{"bob":1}+'])
        self.assertEqual(self.later(1.0), [])
        self.assertEqual(self.later(), self.answer(6, '{"bob":2}', 5))

    def test_slow_stores(self) -> None:
        """
        The answer waits for what is asked of the record before it, and contains that.
        """
        self.lose()
        self.storage.delay = 1.0
        self.say(self.bob, update("a", 4, {"bob": 1}))
        self.assertEqual(self.later(0.5), [])
        self.lose(4)
        self.assertEqual(self.later(1.0), self.answer(4, '{"bob":1}', 3))
        self.assertEqual(self.later(1.0), self.answer(4, '{"bob":1}', 4))

    def test_batches(self) -> None:
        """
        The answers to several clients divide the writes that wait for a slow storage only once.
        """
        other = self.old("a")
        self.lose()
        self.clock.advance(ACK_DELAY_SECONDS / 2)
        self.lose(client=other)
        self.storage.delay = 1.0
        for version in (4, 5, 6):
            self.say(self.bob, update("a", version, {"bob": version}))
            self.clock.advance(ACK_DELAY_SECONDS / 2)
        self.assertEqual(self.later(1.0), self.answer(4, '{"bob":4}', 3))
        self.assertEqual(other.take(), self.answer(4, '{"bob":4}', 3))
        self.clock.advance(1.0)
        self.assertEqual([call[2] for call in self.storage.calls if call[0] == "set"], [4, 6])

    def test_broken(self) -> None:
        """
        If the server makes a mistake, the clients are closed, so that none of them waits for news in vain.
        """
        other = self.old("a")
        for client in (self.ann, other):
            self.lose(client=client)
        self.patch(self.ann, "write", lambda frame: 1 / 0)
        self.storage.delay = 1.0
        self.say(self.bob, update("a", 4, {"bob": 1}))
        self.clock.pump([ACK_DELAY_SECONDS, 1.0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([client.reason for client in (self.ann, other)], ["internal error"] * 2)

    def test_broken_load(self) -> None:
        """
        The same if the server makes a mistake before it has the record.
        """
        self.lose()
        self.cache.records.clear()
        self.patch(self.storage, "get", lambda name: 1 / 0)
        self.assertRaises(ZeroDivisionError, self.later)
        self.assertEqual(self.ann.reason, "internal error")

    def test_unreadable(self) -> None:
        """
        If the record cannot be read, the callback hears the error, and the client is sent the record when it can.
        """
        self.addCleanup(self.flushLoggedErrors, StoreError)
        self.lose()
        self.cache.records.clear()
        self.storage.outcome = "fails"
        self.assertEqual(self.later(), [LOST.format(3)])
        self.storage.outcome = "ok"
        self.clock.pump([0.5] * 30)
        self.assertEqual(self.ann.take(), ['R|U|a|3|{"x":1}+'])
        self.say(self.bob, update("a", 4, {"x": 2}))
        self.assertEqual(self.ann.take(), ['R|U|a|4|{"x":2}+'])

    def test_stop(self) -> None:
        """
        A server that stops answers all of it, and holds nothing more.
        """
        self.lose()
        self.storage.delay = 1.0
        self.say(self.bob, update("a", 4, {"bob": 1}))
        other = self.old("a")
        for client in (self.ann, other):
            self.lose(4, client)
        stopped = self.service.stop()
        self.assertEqual(self.later(1.0), self.answer(4, '{"bob":1}', 3, 4))
        self.assertEqual(other.take(), ['R|U|a|4|{"bob":1}+', *self.answer(4, '{"bob":1}', 4)])
        self.assertEqual((stopped.called, self.clock.getDelayedCalls()), (True, []))

    def test_deleted_predecessor(self) -> None:
        """
        A write that is meant for a deleted record of the same name shows the new one, whose versions go on.
        """
        self.delete(self.bob)
        self.say(self.bob, ask(A.SUBSCRIBECREATEANDREAD, names=("a",)))
        self.subscriptions.add("a", self.ann)
        self.ann.take()
        self.lose(4)
        self.assertEqual(self.later(), self.answer(4, "{}", 4))
        self.lose(5)
        self.assertEqual(self.later(), ["R|WA|a|[5]|L+"])


@for_each_requester
class LettingGoTests(ConflictCase):
    """
    A client that lets go of the record hears nothing of its writes: client 2.3.4 throws on both messages.
    """

    def test_delete(self) -> None:
        """
        By deleting it.
        """
        self.lose()
        self.delete()
        self.assertEqual(self.ann.take(), ["R|A|D|a+"])
        self.assertEqual(self.later(60), [])

    def test_delete_provided(self) -> None:
        """
        The client is not told that a provider came meanwhile.
        """
        self.lose()
        self.say(self.young(), ask(A.LISTEN, "a"), ask(A.LISTEN_ACCEPT, "a", subscription="a"))
        self.delete()
        self.assertEqual(self.ann.take(), ["R|A|D|a+"])

    def test_several(self) -> None:
        """
        The same behind several writes, one of which was accepted, and news of other clients.
        """
        self.lose(2)
        self.lose(3)
        self.service.handle(wanting_ack(update("a", 4, {"ann": 1})), self.ann)
        self.say(self.bob, update("a", 5, {"bob": 1}))
        self.delete()
        self.assertEqual(self.ann.take(), ["R|A|D|a+"])
        self.assertEqual(self.later(60), [])

    def test_slow_delete(self) -> None:
        """
        By a deletion that takes longer than an answer or an acknowledgement is held.
        """
        self.lose()
        self.storage.delay = 1.0
        self.delete()
        self.assertEqual(self.later(0.5), [])
        self.assertEqual(self.later(60), ["R|A|D|a+"])
        self.serve()
        self.say(self.ann, wanting_ack(update("a", 4, {})))
        self.storage.delay = 1.0
        self.delete()
        self.assertEqual(self.later(0.5), [])
        self.assertEqual(self.later(60), ["R|A|D|a+"])

    def test_denied_delete(self) -> None:
        """
        By a deletion that is denied.
        """
        self.rules.rule = lambda message, record: message.action is not A.DELETE
        self.lose()
        self.delete()
        self.assertEqual(self.ann.take(), ["R|E|MESSAGE_DENIED|a|D+"])
        self.assertEqual(self.later(60), [])

    def test_discard(self) -> None:
        """
        By discarding it, also if the client asks for it anew at once.
        """
        self.lose()
        self.discard()
        self.assertEqual(self.ann.take(), ["R|A|US|a+"])
        self.lose_nothing_more()
        self.lose()
        self.discard()
        self.ann.take()
        self.lose_nothing_more()

    def lose_nothing_more(self) -> None:
        self.assertEqual(self.say_text(self.ann, "R|CR|a+"), ["R|A|S|a+", 'R|R|a|3|{"x":1}+'])
        self.assertEqual(self.later(60), [])

    def test_subscribed_anew(self) -> None:
        """
        What the new copy loses is answered in its own time, and its news are held as well.
        """
        self.lose(2)
        self.clock.advance(ACK_DELAY_SECONDS * 0.9)
        self.discard()
        self.say_text(self.ann, "R|CR|a+")
        self.lose(3)
        self.assertEqual(self.later(ACK_DELAY_SECONDS / 2), [])
        self.say(self.bob, update("a", 4, {"bob": 1}))
        self.assertEqual(self.later(ACK_DELAY_SECONDS / 2), self.answer(4, '{"bob":1}', 3))

    def test_closed(self) -> None:
        """
        By closing the connection.
        """
        self.lose()
        self.ann.close()
        self.assertEqual(self.later(60), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


@for_each_requester
class EndedTests(ConflictCase):
    """
    The subscription ends, and the client has not let go of the record.
    """

    def test_deleted(self) -> None:
        """
        Another client deletes the record: the callbacks hear their error before that.
        """
        self.lose(2)
        self.lose(3)
        self.delete(self.bob)
        self.assertEqual(self.ann.take(), [LOST.format(2), LOST.format(3), "R|A|D|a+"])
        self.assertEqual(self.later(60), [])

    def test_revoked(self) -> None:
        """
        New rules take the subscription away: the callbacks hear their error, and the client is not shown the record.
        """
        self.lose(2)
        self.lose(3)
        self.assertTrue(self.subscriptions.revoke("a", self.ann))
        self.assertEqual(self.ann.take(), [LOST.format(2), LOST.format(3)])
        self.assertEqual(self.later(60), [])

    def test_accepted_and_revoked(self) -> None:
        """
        The same holds for the acknowledgement of a write that was accepted.
        """
        self.say(self.ann, wanting_ack(update("a", 4, {})))
        self.assertTrue(self.subscriptions.revoke("a", self.ann))
        self.assertEqual(self.ann.take(), ["R|WA|a|[4]|L+"])
        self.assertEqual(self.later(60), [])

    def test_all_let_go(self) -> None:
        """
        A client that discards the record while another deletes it is told nothing of its writes.
        """
        self.lose()
        self.storage.delay = 1.0
        self.delete(self.bob)
        self.discard()
        self.assertEqual(self.later(60), ["R|A|D|a+"])
        self.assertEqual(self.later(60), ["R|A|US|a+"])
