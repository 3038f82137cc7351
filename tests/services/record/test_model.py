"""
Records under fire: clients of both generations do anything to a few records, in any order, while the stores are slow,
and then also broken. Once with a plain model that predicts every answer, once with what must hold whatever fails.

C{DSTWIST_MODEL_EXAMPLES} in the environment is how many histories are tried, C{DSTWIST_MODEL_STEPS} how long they are.
"""

from __future__ import annotations

import itertools
import math
import os
from collections import Counter
from functools import partial
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import ListenSettings, RecordSettings
from dstwist.interfaces import IRequester
from dstwist.log import Logger
from dstwist.protocol import drafts, patched, paths
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.dialect import JAVASCRIPT, PROTOBUF, TEXT
from dstwist.protocol.jsontext import dumps, loads
from dstwist.protocol.message import Message
from dstwist.protocol.path_tokens import parse
from dstwist.protocol.typed import UNDEFINED
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record import service
from dstwist.services.record.answers import other_version
from dstwist.services.record.news import RecordNews
from dstwist.services.record.service import RecordService
from dstwist.store.tiers import TieredStore
from tests.fakes import FakeCallbackStore, FakeConnection, FakeStore
from tests.services.record.stage import A, Rules, ask

NAMES = ("a", "cached")
CLIENTS = 4
PATHS = {"p": ("p",), "q.r": ("q", "r"), "l[1]": ("l", 1)}
LOAD_ERRORS = (A.RECORD_LOAD_ERROR, A.CACHE_RETRIEVAL_TIMEOUT, A.STORAGE_RETRIEVAL_TIMEOUT)
CREATING = (A.CREATEANDUPDATE, A.CREATEANDPATCH)

names = st.sampled_from(NAMES)
clients = st.integers(0, CLIENTS - 1)
written_paths = st.sampled_from(sorted(PATHS))
#: The version and the data of a client that has taken an error for the record.
NOTHING = (math.nan, None)
# Mostly what a client would write; else the same again, something old, or something to come.
offsets = st.sampled_from([1, 1, 1, 1, 0, -1, 2, None, None])


def set_at(data: Any, tokens: tuple[str | int, ...], value: Any) -> Any:
    """
    The data after a change, as ordinary values.
    """
    return patched.plain(paths.set_at(data, tokens, value))


class Client(FakeConnection):
    """
    A client as the official ones are where it matters here: it holds records, writes to them before it is answered, or
    has even heard what others wrote, and merges what does not fit by taking what the server says.

    @ivar deaf: whether what it is sent is still on the way; see L{hear}.
    @ivar views: what it holds: version and data.
    @ivar answers: the answers by the correlation id of the request.
    @ivar counts: answers that have none: by action, or the action of the request, and name.
    @ivar reckless: records that it wrote to as no client would who holds them.
    @ivar astray: records that it has asked for and has not been sent.
    @ivar to_read: records that it has to read, because news of a path did not fit.
    @ivar merging: records of which it takes no news before it has read them.
    @ivar waiting: the requests for each record that are not answered, if it takes the first answer for all of them.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"client {number}", dialect=(TEXT, JAVASCRIPT, TEXT, PROTOBUF)[number])
        self.deaf = False
        self.unheard: list[Message] = []
        self.views: dict[str, tuple[Any, Any]] = {}
        self.answers: dict[str, list[Message]] = {}
        self.counts: Counter[tuple[RecordAction, str]] = Counter()
        self.read: dict[str, list[tuple[int, Any]]] = {name: [] for name in NAMES}
        self.astray: set[str] = set()
        self.reckless: set[str] = set()
        self.to_read: set[str] = set()
        self.merging: set[str] = set()
        self.waiting: dict[str, list[RecordAction]] = {name: [] for name in NAMES}

    def write(self, frame: Any) -> None:
        if self.deaf:
            self.unheard.append(frame)
        else:
            self._hear(frame)

    def hear(self) -> None:
        """
        What was sent to it arrives, and so does what will be sent.
        """
        self.deaf = False
        unheard, self.unheard = self.unheard, []
        for message in unheard:
            self._hear(message)

    def forget(self, name: str) -> None:
        """
        It does not hold that record.
        """
        self.views.pop(name, None)
        self.to_read.discard(name)
        self.merging.discard(name)

    def _hear(self, message: Any) -> None:
        name = message.name or (message.names[0] if message.names else "")
        if message.correlation_id is not None:
            self.answers.setdefault(message.correlation_id, []).append(message)
        action = message.action
        if action in (A.DELETED, A.DELETE_SUCCESS):
            self.forget(name)
        if action is A.DELETE_SUCCESS or action is A.RECORD_DELETE_ERROR:
            self.counts[A.DELETE, name] += 1
            if self.dialect.lets_go_of_what_it_deletes:
                self.forget(name)
        elif action is A.RECORD_UPDATE_ERROR and message.original_action is A.SUBSCRIBECREATEANDREAD:
            # Its record stops to wait; the error has been counted.
            pass
        elif action is A.READ_RESPONSE:
            self.counts[A.READ, name] += 1
            state = (message.version, loads(message.data))
            self.read[name].append(state)
            self._take(name, state)
        elif message.is_error and message.original_action in (A.READ, A.SUBSCRIBECREATEANDREAD):
            self.counts[A.READ, name] += 1
            if self.dialect.reads_once:
                self._take(name, NOTHING)
        elif action is A.RECORD_CREATE_ERROR or (
            action in LOAD_ERRORS and message.original_action is None and not self.dialect.acks_reading_at_once
        ):
            self.counts[action, name] += 1
        elif action is A.HEAD_RESPONSE or message.original_action is A.HEAD:
            self.counts[A.HEAD, name] += 1
        elif name in self.views and not self.views[name][0] < 0:
            self._news(name, message)

    def _take(self, name: str, state: tuple[Any, Any]) -> None:
        """
        An answer to a read, or to the request for the record itself. Client 7 takes the first one, even an error to a
        read.
        """
        answered = self.waiting[name].pop(0) if self.dialect.reads_once else None
        if name not in self.views or (state is NOTHING and answered is not A.READ):
            return
        if self.views[name][0] < 0 or name in self.merging or not self.dialect.reads_once:
            self.views[name] = state
            self.merging.discard(name)
        if answered is not A.READ:
            self.astray.discard(name)

    def _news(self, name: str, message: Any) -> None:
        version, data = self.views[name]
        action = message.action
        if name in self.merging and action in (A.UPDATE, A.PATCH):
            pass
        elif action is A.UPDATE:
            self._know(name, message.version, loads(message.data))
        elif action is A.PATCH:
            if message.version == version + 1:
                value = UNDEFINED if message.data is None else loads(message.data)
                self.views[name] = (version + 1, set_at(data, PATHS[message.path], value))
            else:
                self.to_read.add(name)
                if self.dialect is JAVASCRIPT:
                    self.merging.add(name)
        elif action is A.VERSION_EXISTS:
            if self.dialect is JAVASCRIPT and name not in self.merging:
                # It adopts the version, and not the data.
                self.views[name] = (message.version, data)
            else:
                self._know(name, message.version, loads(message.data))

    def _know(self, name: str, version: int | None, data: Any) -> None:
        assert version is not None
        self.views[name] = (version, data)
        self.astray.discard(name)
        self.merging.discard(name)


class Model:
    """
    What should be: everything happens at once, in the order in which it is asked for.

    @ivar removed: the versions at which the records were deleted last.
    @ivar news: what the subscribers of each record are told.
    @ivar outcomes: by correlation id, what comes of a write.
    """

    def __init__(self) -> None:
        self.records: dict[str, tuple[int, Any]] = {}
        self.removed = dict.fromkeys(NAMES, -1)
        self.news: dict[str, list[tuple[Any, ...]]] = {name: [] for name in NAMES}
        self.outcomes: dict[str, str] = {}
        self.reads: dict[tuple[int, str], list[tuple[int, Any]]] = {}

    def write(self, message: Message, young: bool) -> None:
        assert message.name is not None and message.correlation_id is not None
        name = message.name
        self.outcomes[message.correlation_id] = self._write(name, message, young)

    def _write(self, name: str, message: Message, young: bool) -> str:
        state = self.records.get(name)
        if message.path == "" or (message.path is None and message.data is None):
            return "invalid"
        if state is None:
            if message.action not in CREATING and not (message.is_write_ack and young):
                return "missing"
            # Version 1 is high enough after version 0.
            state = (self.removed[name] + 1 if self.removed[name] > 0 else 0, {})
            expected, highest = (-1, 1), 1
        else:
            highest = state[0] + 1
            expected = (-1, highest)
        version, data = state
        if message.version not in expected:
            assert message.version is not None
            return "ahead" if young and message.version > highest else "conflict"
        value = UNDEFINED if message.data is None else loads(message.data)
        if message.path is None:
            data = value
            if message.action is A.PATCH_MULTI:
                data = state[1]
                for change in value:
                    data = set_at(data, PATHS[change["path"]], change.get("data", UNDEFINED))
        else:
            data = set_at(data, PATHS[message.path], value)
        self.records[name] = (version + 1, data)
        self.news[name].append((version + 1, data))
        return "written"

    def read(self, client: int, name: str, create: bool) -> None:
        if create:
            self.records.setdefault(name, (self.removed[name] + 1, {}))
        if name in self.records:
            self.reads.setdefault((client, name), []).append(self.records[name])

    def delete(self, name: str) -> None:
        if name in self.records:
            self.removed[name] = self.records.pop(name)[0]
        self.news[name].append((-1, None))


class TellingNews(RecordNews):
    """
    Tells the test what it would tell other nodes.
    """

    def __init__(self, published: list[Message], *parts: Any) -> None:
        super().__init__(*parts)
        self._published = published
        self._publish_remote = self._publish

    def _publish(self, name: str, message: Message, version: int) -> None:
        self._published.append(message)

    def deleted(self, name: str, version: int, sender: IRequester) -> None:
        self._published.append(ask(A.DELETED, name))
        super().deleted(name, version, sender)


class Machine(RuleBasedStateMachine):
    """
    The clients, the service and its stores.
    """

    settings = RecordSettings(storage_exclusion_prefixes=("cached",))
    storage_class = FakeStore

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.cache, self.storage = FakeStore(self.clock), self.storage_class(self.clock)
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        listeners = ListenerRegistry(Topic.RECORD, self.subscriptions, ListenSettings(), self.clock, announce=True)
        self.published: list[Message] = []
        with patch.object(service, "RecordNews", partial(TellingNews, self.published)):
            self.service = RecordService(
                self.subscriptions,
                listeners,
                None,
                Rules(),
                TieredStore(self.cache, self.storage, self.settings, self.clock),
                self.settings,
                self.clock,
            )
        self.clients = [Client(number) for number in range(CLIENTS)]
        self.model = Model()
        self.requests: dict[str, tuple[Client, Message]] = {}
        self.asked: Counter[tuple[int, RecordAction, str]] = Counter()
        # Writes that were not acknowledged yet when their text client had to let go of its copy.
        self.let_go: set[str] = set()
        self.serial = 0

    @initialize(instant=st.booleans())
    def choose_cache(self, instant: bool) -> None:
        """
        The cache may do without Deferreds what takes no time.
        """
        self.cache.instant = instant

    # -- what clients do

    @rule(
        number=clients,
        name=names,
        path=written_paths,
        offset=offsets,
        ack=st.booleans(),
        kind=st.sampled_from(["update", "update", "patch", "patch", "erase", "multi", "set", "set path", "wrong"]),
    )
    def write(self, number: int, name: str, path: str, offset: int | None, ack: bool, kind: str) -> None:
        """
        A client writes.
        """
        client = self.clients[number]
        if name in client.views and (not client.views[name][0] >= 0 or self.pending(number, A.READ, name)):
            return  # clients keep what is written to a record until they have it, and throw if they have an error
        self.serial += 1
        version = self.known_version(client, name)
        fields: dict[str, Any] = {
            "version": -1 if offset is None else max(version + offset, -1),
            "correlation_id": str(self.serial),
            "is_write_ack": ack or None,
        }
        value = dumps(self.serial)
        if kind in ("update", "set"):
            action = A.UPDATE if kind == "update" else A.CREATEANDUPDATE
            message = ask(action, name, dumps({"u": self.serial}), **fields)
        elif kind == "multi":
            changes = [{"path": path, "data": self.serial}, {"path": "p"}, {"path": "s", "data": self.serial}]
            PATHS["s"] = ("s",)
            message = ask(A.PATCH_MULTI, name, dumps(changes), **fields)
        elif kind == "wrong":
            message = ask(A.PATCH, name, value, path="", **fields)
        else:
            action = {"patch": A.PATCH, "erase": A.ERASE, "set path": A.CREATEANDPATCH}[kind]
            message = ask(action, name, None if kind == "erase" else value, path=path, **fields)
        view = client.views.get(name)
        if view is not None and message.version == view[0] + 1 and kind in ("update", "patch"):
            data = {"u": self.serial} if message.path is None else set_at(view[1], PATHS[path], self.serial)
            client.views[name] = (view[0] + 1, data)
        elif view is not None:
            # Not what a client does with what it holds: nothing is to be expected of its copy.
            client.reckless.add(name)
        self.requests[str(self.serial)] = (client, message)
        self.model.write(message, client.dialect is not TEXT)
        self.service.handle(message, client)
        self.read_what_did_not_fit()

    @rule(numbers=st.lists(clients, min_size=2, max_size=6), name=names, whole=st.booleans(), ack=st.booleans())
    def compete(self, numbers: list[int], name: str, whole: bool, ack: bool) -> None:
        """
        Several clients write what they take for the next version, some of them more than once.
        """
        for number in numbers:
            self.write(number, name, "p", 1, ack, "update" if whole else "patch")

    @rule(number=clients)
    def lag(self, number: int) -> None:
        """
        What a client is sent takes its time.
        """
        self.clients[number].deaf = True

    @rule(number=clients)
    def catch_up(self, number: int) -> None:
        """
        It arrives.
        """
        self.clients[number].hear()
        self.read_what_did_not_fit()

    def read_what_did_not_fit(self) -> None:
        for number, client in enumerate(self.clients):
            while client.to_read:
                name = client.to_read.pop()
                self.asked[number, A.READ, name] += 1
                self.model.read(number, name, create=False)
                self.ask_for(name, A.READ, client)

    def known_version(self, client: Client, name: str) -> int:
        view = client.views.get(name)
        return view[0] if view is not None else self.model.records.get(name, (0, None))[0]

    @rule(number=clients, name=names)
    def get(self, number: int, name: str) -> None:
        """
        A client gets a record that it does not hold.
        """
        client = self.clients[number]
        client.hear()
        reads = client.dialect.reads_once and set(client.waiting[name]) == {A.READ}
        if name in client.views or (self.pending(number, A.READ, name) and not reads) or self.discarding(client, name):
            return
        client.views[name] = (-1, None)
        client.astray.add(name)
        client.reckless.discard(name)
        self.asked[number, A.READ, name] += 1
        self.model.read(number, name, create=True)
        self.ask_for(name, A.SUBSCRIBECREATEANDREAD, client)

    def ask_for(self, name: str, action: RecordAction, client: Client) -> None:
        if client.dialect.reads_once:
            client.waiting[name].append(action)
        message = ask(A.READ, name) if action is A.READ else ask(action, names=(name,))
        self.service.handle(message, client)

    def pending(self, number: int, action: RecordAction, name: str) -> bool:
        client = self.clients[number]
        return self.asked[number, action, name] > client.counts[action, name]

    def discarding(self, client: Client, name: str) -> bool:
        """
        Whether a client still has a record that it discarded: those of v2 and v3 do until that is acknowledged.
        """
        return client.dialect is TEXT and any(
            sender is client and message.action is A.UNSUBSCRIBE and name in message.names
            for serial, (sender, message) in self.requests.items()
            if serial not in client.answers
        )

    @rule(number=clients, name=names)
    def discard(self, number: int, name: str) -> None:
        """
        A client discards a record.
        """
        self.serial += 1
        client = self.clients[number]
        client.hear()
        client.forget(name)
        # It has the answers to all its reads before it discards a record.
        client.waiting[name] = [A.UNSUBSCRIBE for _ in client.waiting[name]]
        self.end(name, client)
        message = ask(A.UNSUBSCRIBE, names=(name,), correlation_id=str(self.serial))
        self.requests[str(self.serial)] = (client, message)
        self.service.handle(message, client)

    @rule(number=clients, name=names)
    def read(self, number: int, name: str) -> None:
        """
        A client reads, and asks for the version.
        """
        self.clients[number].hear()
        if name in self.clients[number].views:
            return  # clients know that themselves
        for action in (A.READ, A.HEAD):
            self.asked[number, action, name] += 1
        self.ask_for(name, A.READ, self.clients[number])
        self.service.handle(ask(A.HEAD, name), self.clients[number])
        self.model.read(number, name, create=False)

    @rule(number=clients, name=names)
    def delete(self, number: int, name: str) -> None:
        """
        A client deletes a record.
        """
        self.asked[number, A.DELETE, name] += 1
        self.model.delete(name)
        for client in self.clients:
            self.end(name, client)
        self.service.handle(ask(A.DELETE, name), self.clients[number])

    def end(self, name: str, client: Client) -> None:
        """
        The copy that a client has is about to end, or has ended; a text client may get no acknowledgement any more.
        """
        for serial, (sender, message) in self.requests.items():
            acked = any(answer.action is A.WRITE_ACKNOWLEDGEMENT for answer in client.answers.get(serial, []))
            if sender is client and client.dialect is TEXT and message.name == name and not acked:
                self.let_go.add(serial)

    @rule(seconds=st.sampled_from([0.05, 0.3, 2.0]))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        for _ in range(20):
            self.clock.advance(seconds / 20)
            self.read_what_did_not_fit()

    def kept(self, name: str) -> tuple[int, Any] | None:
        """
        What is kept for good of a record: version and data.
        """
        record = (self.storage if name == "a" else self.cache).records.get(name)
        return None if record is None else (record.version, record.data)

    # -- what must hold in the end

    def teardown(self) -> None:
        for store in (self.cache, self.storage):
            store.behave = lambda operation, name: (0.0, "ok")
        for _ in range(30):
            for client in self.clients:
                client.hear()
            self.pass_time(10.0)
        assert self.service.stop().called, "something never ended"
        assert not self.clock.getDelayedCalls()
        self.check_stores()
        self.check_answers()
        self.check_views()
        self.check_more()
        self.check_news()

    def check_stores(self) -> None:
        """
        Cache and storage agree.
        """
        for name in NAMES:
            cached = self.cache.records.get(name)
            assert cached is None or (cached.version, cached.data) == self.kept(name), (name, cached, self.kept(name))

    def check_answers(self) -> None:
        """
        Every request has exactly one answer, in the words of its client.
        """
        for (number, action, name), count in self.asked.items():
            client = self.clients[number]
            answered = client.counts[action, name]
            if action is A.READ and client.dialect is TEXT:
                # A getRecord that failed is told in general words only, and a read that failed in both.
                extra = sum(client.counts[code, name] for code in LOAD_ERRORS)
                assert answered <= count <= answered + extra, (number, action, name, count, client.counts)
            else:
                assert answered == count, (number, action, name, count, client.counts)
        for serial, (client, message) in self.requests.items():
            answers = client.answers.get(serial, [])
            if message.action is A.UNSUBSCRIBE:
                assert len(answers) == 1, (serial, answers)
                continue
            pattern = self.pattern(client, message, answers, serial in self.let_go)
            assert self.outcome(client, message, pattern) is not None, (serial, message, answers)

    def pattern(
        self, client: Client, message: Message, answers: list[Message], let_go: bool
    ) -> tuple[tuple[Any, bool], ...]:
        """
        The answers to a write, with the acknowledgement that a text client did not get because it had let go.
        """
        pattern = [(answer.action, bool(answer.is_write_ack)) for answer in answers]
        done, conflict = (A.WRITE_ACKNOWLEDGEMENT, True), (A.VERSION_EXISTS, False)
        if pattern == [done] and answers[0].detail == other_version(message.name or ""):
            # Several conflicts of a text client have one VERSION_EXISTS, and none if the record is deleted meanwhile.
            pattern.append(conflict)
        deleted = any(action is A.DELETE and name == message.name for _, action, name in self.asked)
        if client.dialect is TEXT and message.is_write_ack and deleted and answers and done not in pattern:
            # The write came behind the deletion, of which the client had not heard: its callback went with the record.
            pattern = [(action, action is not A.VERSION_EXISTS) for action, _ in pattern]
            let_go = True
        if let_go and message.is_write_ack and done not in pattern:
            pattern.insert(0 if A.VERSION_EXISTS in dict(pattern) else len(pattern), done)
        return tuple(pattern)

    def outcome(self, client: Client, message: Message, pattern: tuple[Any, ...]) -> str | None:
        """
        What a writer was told; C{None} if that was no proper answer.
        """
        ack = bool(message.is_write_ack)
        done, failed = (A.WRITE_ACKNOWLEDGEMENT, True), (A.RECORD_UPDATE_ERROR, ack)
        if pattern == ((done,) if ack else ()):
            return "written"
        if pattern == ((failed, done) if ack and client.dialect is TEXT else (failed,)):
            return "failed"
        conflict = (A.VERSION_EXISTS, ack and client.dialect is not TEXT)
        if pattern == ((conflict,) if not ack else (done, conflict) if client.dialect is TEXT else (conflict, failed)):
            return "conflict"
        if pattern == ((A.INVALID_MESSAGE_DATA, ack), *((done,) if ack and client.dialect is TEXT else ())):
            return "invalid"
        return {((A.INVALID_VERSION, ack),): "ahead" if client.dialect is not TEXT else None}.get(pattern)

    def check_views(self) -> None:
        """
        Whoever is subscribed holds what the storage holds, if it did not go its own ways.
        """
        for client in self.clients:
            for name, view in client.views.items():
                if name not in client.astray | client.reckless:
                    assert view == self.kept(name), (client.user, name, view, self.kept(name))

    def check_news(self) -> None:
        """
        Whoever is subscribed hears of one more write.
        """
        last = FakeConnection("last")
        for name in NAMES:
            kept = self.kept(name)
            if kept is not None:
                self.service.handle(ask(A.UPDATE, name, b'{"last":1}', version=kept[0] + 1), last)
                self.clock.advance(1.0)
                assert self.kept(name) == (kept[0] + 1, {"last": 1}), name
        self.check_views()

    def check_more(self) -> None:
        raise NotImplementedError


class SlowMachine(Machine):
    """
    Stores that take their time, and a model that knows what comes of everything.
    """

    settings = RecordSettings(storage_exclusion_prefixes=("cached",), deletion_memory=0)

    @rule(cache=st.sampled_from([0.0, 0.1]), storage=st.sampled_from([0.0, 0.01, 0.2]))
    def change_pace(self, cache: float, storage: float) -> None:
        """
        The stores get faster or slower.
        """
        self.cache.delay, self.storage.delay = cache, storage

    def check_more(self) -> None:
        for serial, (client, message) in self.requests.items():
            if message.action is not A.UNSUBSCRIBE:
                answers = client.answers.get(serial, [])
                pattern = self.pattern(client, message, answers, serial in self.let_go)
                expected = self.model.outcomes[serial]
                told = self.outcome(client, message, pattern)
                if not answers and serial in self.let_go and expected == "conflict":
                    continue  # it throws on VERSION_EXISTS as well
                expected = "failed" if expected == "missing" else expected
                if expected == "conflict" and client.dialect is JAVASCRIPT and told in ("written", "failed"):
                    continue  # it knows by the news
                assert told == expected, (message, told, expected)
        for number, client in enumerate(self.clients):
            for name in NAMES:
                reads, states = client.read[name], self.model.reads.get((number, name), [])
                assert len(reads) == len(states), (client.user, name)
                for read, asked in zip(reads, states, strict=True):
                    # A text client whose write met a conflict is told a little later what it has read.
                    later = client.dialect is TEXT and read in self.model.news[name]
                    assert read == asked or later, (client.user, name)
        for name in NAMES:
            assert self.history(name) == self.model.news[name]
            assert self.kept(name) == self.model.records.get(name)

    def history(self, name: str) -> list[tuple[Any, ...]]:
        """
        What a client that has missed nothing was told of a record, put together.
        """
        states: list[tuple[Any, ...]] = []
        message: Any
        for message in self.published:
            if message.name != name:
                continue
            if message.action is A.DELETED:
                states.append((-1, None))
                continue
            before = states[-1][1] if states and states[-1][0] >= 0 else {}
            if message.path is not None:
                value = UNDEFINED if message.data is None else loads(message.data)
                states.append((message.version, set_at(before, PATHS[message.path], value)))
            elif message.action is A.PATCH_MULTI:
                changes = [(parse(change["path"]), change.get("data", UNDEFINED)) for change in loads(message.data)]
                states.append((message.version, patched.plain(paths.set_many(before, changes))))
            else:
                states.append((message.version, loads(message.data)))
        return states


class RacingMachine(SlowMachine):
    """
    Clients that all hold everything, and write as the official ones do, while what they hear is late.
    """

    @initialize()
    def hold(self) -> None:
        """
        Everybody gets everything.
        """
        for number in range(CLIENTS):
            for name in NAMES:
                super().get(number, name)

    # What is no rule any more happens only as a part of others.
    def write(self, *details: Any) -> None:
        super().write(*details)

    def get(self, *details: Any) -> None:
        super().get(*details)

    def discard(self, *details: Any) -> None:
        super().discard(*details)

    def read(self, *details: Any) -> None:
        super().read(*details)

    def delete(self, *details: Any) -> None:
        super().delete(*details)


class BrokenMachine(Machine):
    """
    Stores that fail in all ways there are.
    """

    outcomes = st.sampled_from(["ok", "ok", "fails", "lost", "hangs", "mute"])
    weather = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.1, 0.4, 3.0, 12.0]), outcomes), min_size=1, max_size=4)

    def __init__(self) -> None:
        super().__init__()
        self.change_weather([(0.0, "ok")], [(0.0, "ok"), (0.0, "fails"), (0.1, "ok")])

    @rule(cache=weather, storage=weather)
    def change_weather(self, cache: list[tuple[float, str]], storage: list[tuple[float, str]]) -> None:
        """
        The next operations of the stores go well or not, over and over.
        """
        for store, forecast in ((self.cache, cache), (self.storage, storage)):
            days = itertools.cycle(forecast)
            store.behave = lambda operation, name, days=days: next(days)  # type: ignore[misc]

    def known_version(self, client: Client, name: str) -> int:
        view = client.views.get(name)
        return view[0] if view is not None else (self.kept(name) or (0, None))[0]

    def check_more(self) -> None:
        told: dict[str, set[int]] = {name: set() for name in NAMES}
        for name in NAMES:
            versions: dict[int, bytes] = {}
            news: Any
            for news in self.published:
                if news.name != name:
                    continue
                if news.action is A.DELETED:
                    versions.clear()
                    continue
                assert news.version is not None
                content = dumps([news.path, news.data and news.data.decode()])
                told[name] |= _serials(news.data)
                if news.path is not None:
                    # One winner for each version.
                    assert versions.setdefault(news.version, content) == content, (name, news.version)
        for serial, (client, message) in self.requests.items():
            if message.action is A.UNSUBSCRIBE or message.data is None or message.path == "":
                continue
            assert message.name is not None
            answers = client.answers.get(serial, [])
            outcome = self.outcome(client, message, self.pattern(client, message, answers, False))
            if outcome == "written" and (message.is_write_ack or client.dialect is not JAVASCRIPT):
                assert int(serial) in told[message.name], (serial, "was acknowledged, and nobody heard of it")
            elif outcome in ("conflict", "ahead"):
                assert int(serial) not in told[message.name], (serial, "was refused, and told to all")


def _serials(data: Any) -> set[int]:
    """
    The writes that data comes from.
    """

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, int):
            found.add(value)

    found: set[int] = set()
    if data is not None:
        collect(loads(data))
    return found


class ModelTests(SynchronousTestCase):
    """
    Many histories.
    """

    def setUp(self) -> None:
        # Hundreds of thousands of complaints about stores that are meant to fail.
        threshold = Logger._threshold
        self.addCleanup(setattr, Logger, "_threshold", threshold)
        Logger.set_level("OFF")

    def explore(self, machine: type[Machine]) -> None:
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=int(os.environ.get("DSTWIST_MODEL_EXAMPLES", "80")),
                    stateful_step_count=int(os.environ.get("DSTWIST_MODEL_STEPS", "30")),
                    deadline=None,
                    derandomize="DSTWIST_MODEL_EXAMPLES" not in os.environ,
                    database=None,
                    print_blob=True,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except Exception as error:
            # The notes contain the steps of the history. Trial does not show the notes of an exception.
            raise self.failureException("\n".join([repr(error), *getattr(error, "__notes__", ())])) from error

    def test_slow_stores(self) -> None:
        """
        With slow stores everything comes out as if each request were served at once, in the order of asking.
        """
        self.explore(SlowMachine)

    def test_large_containers(self) -> None:
        """
        So it does if the records are patched, and not copied, as large ones are.
        """
        for module in (drafts, paths):
            self.patch(module, "LARGE_ITEMS", 1)
        self.patch(patched, "_MIN_CHANGES", 2)
        self.explore(SlowMachine)

    def test_callbacks(self) -> None:
        """
        So it does if the storage writes without Deferreds.
        """

        class CallbackMachine(SlowMachine):
            storage_class = FakeCallbackStore

        self.explore(CallbackMachine)

    def test_races(self) -> None:
        """
        Whoever writes before it has heard of the others: in the end all hold what is kept.
        """
        self.explore(RacingMachine)

    def test_broken_stores(self) -> None:
        """
        Whatever the stores do: one winner per version, no acknowledged write lost, every subscriber in step with the
        storage in the end, and one answer to every request.
        """
        self.explore(BrokenMachine)

    def test_broken_callbacks(self) -> None:
        """
        So it is if the storage writes without Deferreds.
        """

        class CallbackMachine(BrokenMachine):
            storage_class = FakeCallbackStore

        self.explore(CallbackMachine)
