"""
Dialogs: what a client says, what it must hear, and what another client does meanwhile, a step a line::

    # a comment
    connect                   a connection to the client's default path; in a cluster, to the next node
    connect single            the same, of a client that takes no more than one message from a frame
    > E|S|{event}             the client sends this
    < E|A|S|{event}           the next message that it hears is this
    << R|A|S|{record}         the same; the lines of a run of these may come in any order
    < P|REQ|{rpc}|<id>|N5     a part in such brackets may be anything, and is {id} from here on
    ! emit {event} "hello"    the other client, an official one of v7, does this, or comes to see it: see L{Peer}
    quiet                     the client hears nothing for a while
    cut                       the connection ends without a word

Messages are written with C{|} between their parts; C{{event}} and its like are names that no other dialog uses.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.e2e.clients import Client, Outcome
from tests.e2e.languages.wire import Wire
from tests.e2e.records import Record
from tests.e2e.server import PATIENCE

HERE = Path(__file__).resolve().parent

#: How long a client listens to be sure that it hears nothing, in seconds: longer than the server waits with a reminder.
QUIET = 0.8

_VARIABLE = re.compile(r"\{(\w+)\}")
_CAPTURE = re.compile(r"<(\w+)>")


class Peer:
    """
    The actions of the other client: the methods are the words of the dialogs.
    """

    def __init__(self, make: Callable[[str], Client], user: str) -> None:
        self._make = make
        self.client = make(user)
        self.client.watch_users()
        self._records: dict[str, Record] = {}
        self._calls: dict[str, Outcome] = {}

    def subscribe(self, event: str) -> None:
        self.client.subscribe(event)

    def unsubscribe(self, event: str) -> None:
        self.client.unsubscribe(event)

    def emit(self, event: str, value: str) -> None:
        self.client.emit(event, value)

    def hears(self, event: str, value: str) -> None:
        """
        The event has come, with that value.
        """
        self.client.wait_for_report(1, "event", name=event, value=value)

    def open(self, record: str) -> None:
        self._records[record] = Record(self.client, record)

    def set(self, record: str, change: str) -> None:
        """
        Set a path to a value.
        """
        path, _, value = change.partition(" ")
        self._records[record].set(value, path)

    def sees(self, record: str, value: str) -> None:
        """
        The record comes to hold that value.
        """
        self._records[record].until(value)

    def provided(self, record: str) -> None:
        """
        The record has a provider.
        """
        self.client.wait_for_report(1, "record", name=record, event="hasProviderChanged", details="true")

    def call(self, rpc: str, value: str) -> None:
        self._calls[rpc] = self.client.start_call(rpc, value)

    def answered(self, rpc: str, value: str) -> None:
        """
        The call has ended with that value, or that error.
        """
        answer = self._calls.pop(rpc).wait()
        assert answer == value, answer

    def provide(self, rpc: str) -> None:
        self.client.provide(rpc)

    def listen(self, pattern: str) -> None:
        self.client.listen(pattern)

    def offered(self, event: str) -> None:
        """
        It was asked to provide the event.
        """
        self.client.wait_for_report(1, "offer", name=event)

    def second_comes(self, user: str) -> None:
        """
        Another official client logs in.
        """
        self._second = self._make(user)

    def second_goes(self) -> None:
        self._second.close()

    def sees_only(self, user: str) -> None:
        """
        No other user is online any more. In a cluster, users of earlier tests stay for their grace time.
        """
        late = time.monotonic() + PATIENCE
        while (users := self.client.online()) != [user]:
            assert time.monotonic() < late, users
            time.sleep(0.05)

    def sees_join(self, user: str, times: str) -> None:
        """
        The user has come for that many times.
        """
        self.client.wait_for_report(int(times), "presence", user=user, online=True)

    def sees_leave(self, user: str, times: str) -> None:
        self.client.wait_for_report(int(times), "presence", user=user, online=False)


class Names(Protocol):
    def __call__(self, rest: str) -> str: ...


class Dialog:
    """
    A dialog under way.

    @param name: of its file, C{<name>.txt}; the user is called so, too.
    @param port: gives the port of the server.
    @param make: makes an official client that is logged in under a name.
    @param names: makes names that no other test uses.
    """

    def __init__(
        self, name: str, port: Callable[[], int], path: str, make: Callable[[str], Client], names: Names
    ) -> None:
        self._lines = (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        self._port = port
        self._path = path
        self._wire: Wire | None = None
        self._said: list[str] = []
        self.variables = {word: names(f"{name}/{word}") for word in ("event", "record", "list", "rpc", "wanted")}
        self.variables["user"] = names(name)
        self.variables["peer"] = names("peer")
        self._peer = Peer(make, self.variables["peer"])

    def run(self) -> None:
        """
        Go through all lines.
        """
        group: list[str] = []
        for line in [*self._lines, ""]:
            word, _, rest = line.strip().partition(" ")
            if word == "<<":
                group.append(rest)
                continue
            if group:
                self._hear(group)
                group = []
            if word and not word.startswith("#"):
                self._step(word, rest)

    def close(self) -> None:
        """
        End the connection, if there is one.
        """
        if self._wire is not None:
            self._wire.cut()

    def _step(self, word: str, rest: str) -> None:
        if word == "connect":
            self._wire = Wire(self._port(), self._path, rest == "single")
            self.variables["url"] = self._wire.url
            return
        wire = self._wire
        assert wire is not None, "connect first"
        if word == ">":
            self._said.append("> " + self._filled(rest))
            wire.say(self._filled(rest))
        elif word == "<":
            self._hear([rest])
        elif word == "!":
            verb, *arguments = [self._filled(part) for part in rest.split(" ", 2)]
            self._said.append("! " + self._filled(rest))
            getattr(self._peer, verb)(*arguments)
        elif word == "quiet":
            heard = wire.hear(QUIET)
            assert heard is None, self._story(f"heard {heard}")
        elif word == "cut":
            wire.cut()
        else:
            raise AssertionError(f"what is {word}?")

    def _hear(self, wanted: list[str]) -> None:
        assert self._wire is not None, "connect first"
        left = list(wanted)
        while left:
            heard = self._wire.hear()
            assert heard is not None, self._story(f"did not hear {left}")
            self._said.append("< " + heard)
            for pattern in left:
                if self._is(pattern, heard):
                    left.remove(pattern)
                    break
            else:
                raise AssertionError(self._story(f"did not hear {[self._filled(pattern) for pattern in left]}"))

    def _is(self, pattern: str, heard: str) -> bool:
        found = re.fullmatch(_CAPTURE.sub(r"(?P<\1>[^|]*)", re.escape(self._filled(pattern))), heard)
        if found is None:
            return False
        self.variables.update(found.groupdict())
        return True

    def _filled(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self.variables.get(found[1], found[0]), text)

    def _story(self, problem: str) -> str:
        return "\n".join([*self._said, problem])
