"""
Writes that are refused: each client learns of it in a way that triggers its callback, and then has the current record.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from dstwist.errors import RuleError, StoreError
from dstwist.interfaces import IWriteService, Record
from dstwist.protocol import protobuf, text
from dstwist.protocol.dialect import JAVASCRIPT, PROTOBUF, TEXT, Dialect
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Malformed, Message
from dstwist.services.record.acks import ACK_DELAY_SECONDS
from dstwist.services.record.reminders import MAX_REMINDERS, QUIET_SECONDS, REFUSALS_BEFORE_SENDING
from tests.fakes import FakeConnection
from tests.requesters import for_each_requester
from tests.services.record.stage import A, RecordTestCase, ask, patch, update, wanting_ack, written

WANTED = '|{"writeSuccess":true}+'

LARGE = '{"x":"' + "y" * 2000 + '"}'

ROOMY = {"list": [1], "x": 1}


def deny(message: Message, record: Record | None) -> bool:
    return False


def break_down(message: Message, record: Record | None) -> Deferred[bool]:
    return fail(RuleError("no such thing"))


def allow(message: Message, record: Record | None) -> bool:
    return True


@for_each_requester
class RefusalTests(RecordTestCase):
    """
    Each reason that lets the record be read.
    """

    #: The writes to version 3: the fields of the text message, the data it is about, the rule.
    REASONS: tuple[tuple[str, str | None, Any, Callable[..., Any], str], ...] = (
        ("MESSAGE_DENIED", None, {"x": 2}, deny, "MESSAGE_DENIED"),
        ("MESSAGE_DENIED", "x", 2, deny, "MESSAGE_DENIED"),
        ("MESSAGE_PERMISSION_ERROR", None, {"x": 2}, break_down, "MESSAGE_PERMISSION_ERROR"),
        ("INVALID_MESSAGE_DATA", "list.length", 1, allow, "length is no index of an array"),
        ("INVALID_MESSAGE_DATA", "list[70000]", 1, allow, "the index 70000 is too far behind the end of the array"),
        ("INVALID_MESSAGE_DATA", "constructor", 1, allow, "the key constructor is forbidden in a path"),
        ("INVALID_MESSAGE_DATA", None, {"x": "y" * 2000}, allow, "the record would be larger than 1000 bytes"),
    )

    def setUp(self) -> None:
        self.serve(max_size=1000, storage_hot_path_prefixes=("hot/",))
        self.have("a", 3, ROOMY)
        self.truth = update("a", 3, ROOMY)
        self.shown = 'R|U|a|3|{"list":[1],"x":1}+'

    def test_v4(self) -> None:
        """
        A client of v4 and later is shown the record before it hears the error, by the correlation id: what its callback
        writes is good.
        """
        for code, path, value, rule, _ in self.REASONS:
            ann = self.young("a")
            self.rules.rule = rule
            request = wanting_ack(update("a", 4, value) if path is None else patch("a", 4, path, value))
            truth, error = self.say(ann, request)
            self.assertEqual(truth, self.truth, code)
            self.assertEqual(
                (error.action.name, error.correlation_id, error.is_write_ack, error.is_error), (code, "1", True, True)
            )
            self.rules.rule = allow
            self.assertEqual(self.say(ann, wanting_ack(update("a", 4, {}))), [written("a")])
            self.have("a", 3, ROOMY)

    def test_text(self) -> None:
        """
        So is a client of v2 and v3, whose callback is triggered only by the acknowledgement.
        """
        for code, path, value, rule, _ in self.REASONS:
            old = self.old("a")
            self.rules.rule = rule
            data = dumps(value).decode()
            write = f"R|U|a|4|{data}" if path is None else f"R|P|a|4|{path}|N{data}"
            shown, error, acknowledgement = self.say_text(old, write + WANTED)
            self.assertEqual(shown, self.shown, code)
            self.assertTrue(error.startswith(f"R|E|{code}|"), error)
            self.assertTrue(acknowledgement.startswith("R|WA|a|[4]|S"), acknowledgement)
            if code != "INVALID_MESSAGE_DATA":
                self.assertEqual(acknowledgement, f"R|WA|a|[4]|S{code}+")
            self.rules.rule = allow
            self.assertEqual(self.say_text(old, "R|U|a|4|{}" + WANTED), ["R|WA|a|[4]|L+"])
            self.have("a", 3, ROOMY)

    def test_deleted_meanwhile(self) -> None:
        """
        Another client deletes the record while the write is on its way: a client of v2 and v3 has destroyed the
        callback when the write is refused, and client 2.3.4 throws on an acknowledgement. It hears the error alone.
        """
        for code, path, value, rule, _ in self.REASONS:
            old = self.old("a")
            self.rules.rule = allow
            self.say(self.young(), ask(A.DELETE, "a"))
            self.assertEqual(self.say_text(old, ""), ["R|A|D|a+"])
            self.rules.rule = rule
            data = dumps(value).decode()
            write = f"R|U|a|4|{data}" if path is None else f"R|P|a|4|{path}|N{data}"
            answers = self.say_text(old, write + WANTED)
            self.assertEqual([answer[:4] for answer in answers], ["R|E|"], (code, answers))
            self.have("a", 3, ROOMY)

    def test_made_anew_meanwhile(self) -> None:
        """
        The deleted record is made anew as well: a client of v2 and v3 hears an error for each write to the old one,
        and is not shown the new one. It may have asked for that already, and VERSION_EXISTS would break it.
        """
        old, ann = self.old("a"), self.young("a")
        self.say(ann, ask(A.DELETE, "a"))
        self.say(ann, ask(A.SUBSCRIBECREATEANDREAD, names=("a",)), update("a", 5, {"new": 1}))
        self.assertEqual(old.take(), ["R|A|D|a+"])
        self.assertEqual(
            self.say_text(old, f"R|U|a|4|{{}}{WANTED}R|SN|a+R|U|a|5|{{}}{WANTED}R|P|a|6|y|N1+"),
            [
                "R|E|RECORD_UPDATE_ERROR|4+",
                'R|R|a|5|{"new":1}+',
                "R|E|RECORD_UPDATE_ERROR|5+",
                "R|E|RECORD_UPDATE_ERROR|6+",
            ],
        )
        self.assertEqual(self.say_text(old, "R|CR|a+"), ["R|A|S|a+", 'R|R|a|5|{"new":1}+'])
        self.assertEqual(self.say_text(old, "R|U|a|6|{}" + WANTED), ["R|WA|a|[6]|L+"])

    def test_far_ahead_of_anew(self) -> None:
        """
        So it is if the client has sent more writes than one, and a later one has the next version of the new record.
        """
        old, ann = self.old("a"), self.young("a")
        self.say(ann, ask(A.DELETE, "a"))
        self.have("a", 5, {"new": 1})
        self.assertEqual(self.say_text(old, "R|U|a|6|{}+"), ["R|A|D|a+", "R|E|RECORD_UPDATE_ERROR|6+"])
        self.assert_stored("a", 5, {"new": 1})

    def test_no_copy(self) -> None:
        """
        A client that is not subscribed has no copy, and is told the reason alone.
        """
        self.rules.rule = deny
        self.assertEqual(
            self.say_text(self.old(), 'R|CU|a|-1|{"x":2}|{"writeSuccess":true}+'),
            ["R|E|MESSAGE_DENIED|a|C+", "R|WA|a|[-1]|SMESSAGE_DENIED+"],
        )
        request = wanting_ack(ask(A.CREATEANDUPDATE, "a", b'{"x":2}', version=-1))
        self.assertEqual(self.say(self.young(), request), [self.denied(request, A.CREATE)])

    def test_hot_path(self) -> None:
        """
        A path of a record on the hot path: the callback hears that it cannot be set.
        """
        self.have("hot/a", 3, {"x": 1})
        request = ask(A.CREATEANDPATCH, "hot/a", b"1", version=-1, path="x")
        refusal = request.error(A.INVALID_PATCH_ON_HOTPATH)
        self.assertEqual(self.say(self.young("hot/a"), request), [update("hot/a", 3, {"x": 1}), refusal])
        reason = "unable to patch record data on hot path"
        self.assertEqual(
            self.say_text(self.old(), 'R|CU|hot/a|-1|x|N1|{"writeSuccess":true}+'),
            [f"R|E|INVALID_MESSAGE_DATA|{reason}+", f"R|WA|hot/a|[-1]|S{reason}+"],
        )

    def test_conflict(self) -> None:
        """
        Another write came first. Client 2.3.4 merges and calls that a success, so it hears the error before; clients of
        v4 and later are shown the record before.
        """
        old, ann = self.old("a"), self.young()
        conflict = 'R|E|VERSION_EXISTS|a|3|{"list":[1],"x":1}+'
        self.assertEqual(
            self.say_text(old, 'R|U|a|3|{"x":2}' + WANTED), ["R|WA|a|[3]|Sanother version of a exists+", conflict]
        )
        self.say(ann, ask(A.SUBSCRIBE, names=("a",)))
        answers = self.say(ann, wanting_ack(update("a", 3, {"x": 2})))
        self.assertEqual([answer.action for answer in answers], [A.VERSION_EXISTS, A.UPDATE, A.RECORD_UPDATE_ERROR])

    def test_others_wrote_meanwhile(self) -> None:
        """
        The first write after a refusal is the next version, so the client has heard of it: no reminder follows.
        """
        self.rules.rule = deny
        for client in (self.young("a"), self.old("a")):
            self.rules.rule = deny
            version = self.cache.records["a"].version + 1
            self.say(client, update("a", version, {"x": "bad"}))
            self.rules.rule = allow
            self.say(client, update("a", version, {"x": "good", "v": version}))
            self.clock.advance(60)
            self.assertEqual([message for message in client.take() if "good" in str(message)], [])


@for_each_requester
class InsistingTests(RecordTestCase):
    """
    Clients that answer an update with another write.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 3, {"x": 1})

    def readable(self, *dialects: Dialect) -> list[FakeConnection]:
        """
        Subscribers of each of C{dialects} that take messages, not text.
        """
        clients = [self.connect("ann", self.wire, dialect) for dialect in dialects]
        for client in clients:
            self.subscriptions.add("a", client)
        return clients

    def run_client(self, client: FakeConnection, react: Callable[[Any], Message | None], seconds: int = 600) -> int:
        """
        Let a client react until it is silent; return how many messages it was sent.
        """
        count = 0
        for _ in range(seconds * 4):
            for _ in range(100):
                sent = client.take()
                count += len(sent)
                writes = [write for message in sent if (write := react(message)) is not None]
                if not writes:
                    break
                for write in writes:
                    self.service.handle(write, client)
            else:
                self.fail("there is no end")
            self.clock.advance(0.25)
        return count

    def test_merges_to_what_is_denied(self) -> None:
        """
        A client whose merge strategy insists on its own data, which is denied, is shown the record a few times at once,
        then after longer and longer, and then no more.
        """
        self.rules.rule = deny
        for client in self.readable(JAVASCRIPT, TEXT):

            def insist(message: Message) -> Message | None:
                if message.action is not A.UPDATE:
                    return None
                return update("a", message.version + 1, {"mine": 1})  # type: ignore[operator]

            self.service.handle(update("a", 4, {"mine": 1}), client)
            # The record and the error each time.
            self.assertLessEqual(self.run_client(client, insist), 2 * (REFUSALS_BEFORE_SENDING + MAX_REMINDERS + 1))

    def test_writes_after_each_reminder(self) -> None:
        """
        A client that writes something new after each reminder is reminded ever less, and then no more.
        """
        for client in self.readable(JAVASCRIPT, TEXT):
            numbers = iter(range(1000))

            def restless(message: Message) -> Message | None:
                if message.action not in (A.UPDATE, A.VERSION_EXISTS):
                    return None
                return update("a", message.version + 1, {"n": next(numbers)})  # type: ignore[operator] # noqa: B023

            self.service.handle(update("a", self.cache.records["a"].version, {"late": 1}), client)
            self.assertLessEqual(self.run_client(client, restless), MAX_REMINDERS + 1)

    def test_several_restless(self) -> None:
        """
        The same holds for several of them, whose writes conflict.
        """
        clients = self.readable(*(TEXT,) * 4)
        numbers = iter(range(100_000))
        copies: dict[FakeConnection, int] = {}
        for client in clients:
            self.service.handle(update("a", 3, {"late": 1}), client)
        silent = 0
        for _ in range(3000):
            busy = True
            rounds = 0
            while busy:
                busy = False
                rounds += 1
                self.assertLess(rounds, 1000, "there is no end")
                for client, sent in [(client, client.take()) for client in clients]:
                    for message in sent:
                        if message.action not in (A.UPDATE, A.VERSION_EXISTS):
                            continue
                        version: Any = message.version
                        in_step = copies.get(client) == version - 1
                        copies[client] = version
                        if in_step and message.action is A.UPDATE:
                            continue
                        busy = True
                        copies[client] = version + 1
                        self.service.handle(update("a", version + 1, {"n": next(numbers)}), client)
            silent = silent + 1 if rounds == 1 else 0
            self.clock.advance(0.25)
        self.assertGreater(silent, 400)

    def test_java(self) -> None:
        """
        Clients for Java and Android write the record again after each UPDATE whose version is not the next one for
        them, even if nothing differs. They are silent after that.
        """
        old = self.old("a")
        other = self.young("a")
        self.say(other, update("a", 4, {"x": 1, "d": 1}))
        old.take()
        conflict = self.say_text(old, "R|P|a|4|c|N1+")
        self.assertEqual(conflict, ['R|E|VERSION_EXISTS|a|4|{"x":1,"d":1}+'])
        self.assertEqual(self.say_text(old, 'R|U|a|5|{"x":1,"d":1}+'), [])
        self.clock.advance(60)
        self.assertEqual(old.take(), [])
        # A merge that changes something is told of once more, since the news could have undone it.
        self.say(other, update("a", 6, {"x": 1}))
        old.take()
        self.say_text(old, "R|P|a|6|c|N1+")
        self.say_text(old, 'R|U|a|7|{"x":1,"c":1}+')
        self.clock.advance(QUIET_SECONDS)
        self.assertEqual(old.take(), ['R|U|a|7|{"x":1,"c":1}+'])
        self.assertEqual(self.say_text(old, 'R|U|a|8|{"x":1,"c":1}+'), [])
        self.clock.advance(60)
        self.assertEqual(old.take(), [])

    def test_java_under_concurrent_writers(self) -> None:
        """
        Several of them among clients that write: all are silent when those are done, and hold what the server has.
        """
        clients = self.readable(*(TEXT,) * 3)
        writer = self.young("a")
        copies: dict[FakeConnection, tuple[int, Any]] = {client: (3, {"x": 1}) for client in clients}
        unheard: dict[FakeConnection, list[Message]] = {client: [] for client in clients}
        chance = random.Random(7)

        def write(client: FakeConnection, data: Any) -> None:
            version = copies[client][0] + 1
            copies[client] = (version, data)
            self.service.handle(update("a", version, data), client)

        def hear(client: FakeConnection, message: Message) -> None:
            version, data = copies[client]
            told: Any = message.version
            assert isinstance(message.data, bytes)
            remote = loads(message.data)
            copies[client] = (told, remote)
            if message.action is A.VERSION_EXISTS or told != version + 1:
                # Its merge keeps what it has set itself.
                mine = {key: value for key, value in data.items() if key == client.user}
                write(client, {**remote, **mine})

        for number, client in enumerate(clients):
            client.user = f"java{number}"
        messages = 0
        silent = 0
        for round_ in range(400):
            if round_ < 20:
                for client in clients:
                    write(client, {**copies[client][1], str(client.user): round_})
                self.say(writer, update("a", -1, {"x": round_}))
            # The messages of the server arrive at one client after the other.
            before = messages
            for _ in range(1000):
                for client in clients:
                    unheard[client] += client.take()
                waiting = [client for client in clients if unheard[client]]
                if not waiting:
                    break
                client = chance.choice(waiting)
                heard, unheard[client] = unheard[client], []
                messages += len(heard)
                for message in heard:
                    hear(client, message)
            else:
                self.fail("there is no end")
            silent = silent + 1 if messages == before else 0
            self.clock.advance(0.25)
        self.assertGreater(silent, 200)
        record = self.cache.records["a"]
        self.assertEqual([copies[client][1] for client in clients], [record.data] * 3)


@for_each_requester
class UnknownRecordTests(RecordTestCase):
    """
    Refusals while the record cannot be told.
    """

    def setUp(self) -> None:
        self.serve(max_queued_requests=1)
        self.have("a", 3, {"x": 1})
        self.addCleanup(self.flushLoggedErrors, StoreError)

    def test_full_queue(self) -> None:
        """
        The queue of the record is full: the client is told what the record holds when it has not written for a while,
        and then writes on.
        """
        bob = self.young("a")
        self.storage.delay = 0.2
        for client, shown in ((self.young("a"), update("a", 5, {"n": 2})), (self.old("a"), 'R|U|a|7|{"n":2}+')):
            client.take()
            version = self.cache.records["a"].version
            self.say(bob, update("a", version + 1, {"n": 1}), update("a", version + 2, {"n": 2}))
            if client.dialect.knows_writes_by_version:
                error, acknowledgement = self.say_text(client, f"R|U|a|{version + 1}|{{}}{WANTED}")
                self.assertEqual(acknowledgement, f"R|WA|a|[{version + 1}]|Stoo many requests are waiting for a+")
            else:
                (error,) = self.say(client, wanting_ack(update("a", version + 1, {})))
                self.assertEqual((error.action, error.correlation_id), (A.RECORD_UPDATE_ERROR, "1"))
            self.clock.pump([0.1] * 8)
            self.assertEqual(client.take()[-1], shown)
        self.say(bob, update("a", 8, {"n": 3}))

    def test_unreadable(self) -> None:
        """
        The stores cannot be read: the client is told what the record holds when they can be read again.
        """
        for client, shown in ((self.young("a"), update("a", 3, {"x": 1})), (self.old("a"), 'R|U|a|3|{"x":1}+')):
            self.cache.records.clear()
            self.storage.outcome = "fails"
            if client.dialect.knows_writes_by_version:
                *_, acknowledgement = self.say_text(client, "R|U|a|4|{}" + WANTED)
                self.assertEqual(acknowledgement, "R|WA|a|[4]|Serror while loading a from storage+")
            else:
                (error,) = self.say(client, wanting_ack(update("a", 4, {})))
                self.assertEqual((error.action, error.correlation_id), (A.RECORD_UPDATE_ERROR, "1"))
            self.clock.pump([0.5] * 30)
            self.assertEqual(client.take(), [])
            self.storage.outcome = "ok"
            self.clock.pump([0.5] * 10)
            self.assertEqual(client.take(), [shown])

    def test_javascript(self) -> None:
        """
        A conflict that follows contains the record as well, although the client got all news.
        """
        ann = self.young("a")
        ann.dialect = JAVASCRIPT
        self.cache.records.clear()
        self.storage.outcome = "fails"
        self.say(ann, update("a", 4, {"ann": 1}))
        self.storage.outcome = "ok"
        late = update("a", 3, {"ann": 2})
        self.assertEqual([message.action for message in self.say(ann, late)], [A.VERSION_EXISTS, A.UPDATE])


@for_each_requester
class DeletionTests(RecordTestCase):
    """
    Deletions that are refused.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 3, {"x": 1})
        self.addCleanup(self.flushLoggedErrors, StoreError)

    def delete(self, dialect: Dialect) -> list[tuple[Any, Any, Any]]:
        ann = self.connect("ann", self.wire, dialect)
        answers = self.say(ann, ask(A.DELETE, "a"))
        return [(answer.action, answer.name, answer.original_action or answer.is_ack) for answer in answers]

    def test_failed(self) -> None:
        """
        JavaScript clients of v4 and later call the callback of a deletion only by a RECORD_UPDATE_ERROR, and wait on
        until it is acknowledged. All others are told that it failed.
        """
        self.storage.outcome = "fails"
        error = (A.RECORD_DELETE_ERROR, "a", A.DELETE)
        self.assertEqual(self.delete(TEXT), [error])
        self.assertEqual(self.delete(PROTOBUF), [error])
        self.assertEqual(
            self.delete(JAVASCRIPT), [error, (A.RECORD_UPDATE_ERROR, "a", A.DELETE), (A.DELETE, "a", True)]
        )

    def test_denied(self) -> None:
        """
        The callback understands a denial, and the client waits on all the same.
        """
        self.rules.rule = deny
        error = (A.MESSAGE_DENIED, "a", A.DELETE)
        self.assertEqual(self.delete(PROTOBUF), [error])
        self.assertEqual(self.delete(JAVASCRIPT), [error, (A.DELETE, "a", True)])


@for_each_requester
class MalformedTests(RecordTestCase):
    """
    Writes that the codec refuses.
    """

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 3, {"x": 1})

    def test_interface(self) -> None:
        """
        The service helps on after such writes.
        """
        verifyObject(IWriteService, self.service)

    def test_text(self) -> None:
        """
        The callback hears of it by the acknowledgement, and the client is told what the record holds.
        """
        deep = "[" * 300 + "]" * 300
        old = self.old("a")
        for payload in (f"R|U|a|4|{deep}", f"R|P|a|4|y|O{deep}"):
            (malformed,) = text.SERVER.decode((payload + WANTED).replace("|", "\x1f").replace("+", "\x1e"))
            assert isinstance(malformed, Malformed) and malformed.request is not None
            self.service.malformed(malformed.request, old)
            self.clock.advance(ACK_DELAY_SECONDS)
            self.assertEqual(old.take(), ["R|WA|a|[4]|SINVALID_MESSAGE_DATA+"])
            self.clock.advance(60)
            self.assertEqual(old.take(), ['R|U|a|3|{"x":1}+'])
            self.assertEqual(self.say_text(old, "R|U|a|4|{}" + WANTED), ["R|WA|a|[4]|L+"])
            self.have("a", 3, {"x": 1})

    def test_v4(self) -> None:
        """
        The error finds the callback by itself; the record follows.
        """
        deep = b"[" * 300 + b"]" * 300
        ann = self.young("a")
        (malformed,) = protobuf.SERVER.decode(protobuf.CLIENT.encode(wanting_ack(ask(A.UPDATE, "a", deep, version=4))))
        assert isinstance(malformed, Malformed) and malformed.request is not None
        self.service.malformed(malformed.request, ann)
        self.assertEqual(ann.take(), [])
        self.clock.advance(60)
        self.assertEqual(ann.take(), [update("a", 3, {"x": 1})])

    def test_no_write(self) -> None:
        """
        Other requests leave no copy wrong.
        """
        ann = self.young("a")
        self.service.malformed(ask(A.READ, "a"), ann)
        self.clock.advance(60)
        self.assertEqual(ann.take(), [])


@for_each_requester
class DestroyedCallbackTests(RecordTestCase):
    """
    Client 2.3.4 destroys the callbacks of its writes to a record when it deletes or discards the record, and throws on
    their acknowledgements.
    """

    WRITE = 'R|U|a|4|{"x":2}' + WANTED

    def setUp(self) -> None:
        super().setUp()
        self.have("a", 3, {"x": 1})

    def test_right_behind(self) -> None:
        """
        It does so right behind the write: that is done, and not acknowledged.
        """
        for end, answer in (("R|D|a+", "R|A|D|a+"), ("R|US|a+", "R|A|US|a+")):
            self.have("a", 3, {"x": 1})
            self.assertEqual(self.say_text(self.old("a"), self.WRITE + end), [answer])
        self.assert_stored("a", 4, {"x": 2})
        self.rules.rule = lambda message, record: message.action is not A.UPDATE
        self.assertEqual(
            self.say_text(self.old("a"), self.WRITE + "R|D|a+")[1:],
            [f'R|E|MESSAGE_DENIED|a|U|4|{{"x":2}}{WANTED}', "R|A|D|a+"],
        )

    def test_right_behind_others(self) -> None:
        """
        Writes to other records are acknowledged, those behind the end, and those of records that the client does not
        hold.
        """
        self.have("b", 3, {})
        self.assertEqual(
            self.say_text(
                self.old("a", "b"), f"R|U|b|4|{{}}{WANTED}R|CU|a|-1|{{}}{WANTED}R|D|a+R|CU|a|-1|{{}}{WANTED}"
            ),
            ["R|WA|a|[-1]|L+", "R|A|D|a+", "R|WA|a|[-1]|L+", "R|WA|b|[4]|L+"],
        )

    def test_while_the_write_is_stored(self) -> None:
        """
        It does so while the write is being stored.
        """
        self.storage.delay = 0.1
        for end, answer in (("R|D|a+", "R|A|D|a+"), ("R|US|a+", "R|A|US|a+")):
            self.have("a", 3, {"x": 1})
            old, other = self.old("a"), self.old("a")
            self.say_text(old, self.WRITE)
            self.say_text(other, f'R|U|a|5|{{"x":3}}{WANTED}')
            self.say_text(old, end)
            self.clock.pump([0.1] * 10)
            self.assertEqual([sent for sent in old.take() if "U|a|5" not in str(sent)], [answer])
            self.assertIn("R|WA|a|[5]|L+", other.take())
        self.have("a", 3, {"x": 1})
        self.assertEqual(self.say_text(self.old("a"), self.WRITE), [])
        self.clock.pump([0.1] * 10)

    def test_no_place_for_the_end(self) -> None:
        """
        A deletion that finds no place in the queue is over: what is written from then on is acknowledged.
        """
        self.serve(max_queued_requests=1)
        self.have("a", 3, {"x": 1})
        self.storage.delay = 0.1
        old = self.old("a")
        self.say_text(old, self.WRITE)
        self.say_text(self.old(), "R|SN|a+")
        self.say_text(old, "R|D|a+")
        self.clock.pump([0.1] * 10)
        self.assertIn("R|WA|a|[4]|L+", old.take())
