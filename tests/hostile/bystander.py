"""
A client who does no harm, and measures how long the server takes for him while others do.

Run as a module, C{python -m tests.hostile.bystander PORT PAUSE}, so that only the server delays the client. All the
time one of its connections emits events to which the other one, of the other generation, is subscribed. At each line on
standard input the client writes its record, reads it back, and prints the results since the previous line. With the
word C{events} after the arguments it has no record, for servers that are to refuse writes::

    {"count": 612, "p50": 0.4, "p99": 2.1, "max": 4.0}

Latencies are in milliseconds. He ends with an error if an event is lost or late, or his record is not what he wrote.
"""

from __future__ import annotations

import json
import select
import sys
import time

from dstwist.protocol.constants import ConnectionAction, EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.raw import RawClient

#: The pause between two events, in seconds, where latencies are measured.
PAUSE = 0.004
#: How often the listening connection says that it is there, in seconds.
BEAT = 1.0


#: Who he is, and his password where there are any.
USERS = ("bystander", "bystander/listening")
PASSWORD = "innocent"


class Bystander:
    """
    Both connections.
    """

    def __init__(self, port: int) -> None:
        self._emitter = RawClient(port, "v4", USERS[0], password=PASSWORD)
        self._listener = RawClient(port, "v3", USERS[1], password=PASSWORD)
        self._listener.say(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("bystander/news",)))
        while all(message.action is not EventAction.SUBSCRIBE for message in self._listener.hear()):
            pass
        self._number = 0
        self._beat = 0.0
        self._version = 0
        self.latencies: list[float] = []

    def emit(self) -> None:
        """
        One event, and how long it took.
        """
        self._number += 1
        began = time.perf_counter()
        if began - self._beat > BEAT:
            self._beat = began
            self._listener.say(Message(Topic.CONNECTION, ConnectionAction.PONG))
        self._emitter.say(Message(Topic.EVENT, EventAction.EMIT, "bystander/news", b"%d" % self._number))
        while True:
            for message in self._listener.hear():
                if message.action is EventAction.EMIT:
                    if message.data != f"N{self._number}":
                        raise AssertionError(f"event {message.data!r} in the place of {self._number}")
                    self.latencies.append((time.perf_counter() - began) * 1000)
                    return

    def write(self) -> None:
        """
        Write the record, and read it back.
        """
        self._version += 1
        name, data = "bystander/record", b'{"count":%d}' % self._version
        write = Message(Topic.RECORD, RecordAction.CREATEANDUPDATE, name, data, version=self._version)
        write.correlation_id, write.is_write_ack = "1", True
        self._emitter.answer(write, RecordAction.WRITE_ACKNOWLEDGEMENT)
        read = Message(Topic.RECORD, RecordAction.READ, name)
        answer = self._emitter.answer(read, RecordAction.READ_RESPONSE)
        if (answer.version, answer.data) != (self._version, data):
            raise AssertionError(f"the record is {answer}")


def main() -> None:
    bystander = Bystander(int(sys.argv[1]))
    pause = float(sys.argv[2])
    writes = sys.argv[3:] != ["events"]
    while True:
        try:
            bystander.emit()
        except OSError as error:
            sys.exit(f"no event has come back: {error}")
        if not select.select([sys.stdin], [], [], pause)[0]:
            continue
        if not sys.stdin.readline():
            return
        if writes:
            bystander.write()
        latencies, bystander.latencies = sorted(bystander.latencies), []
        count = len(latencies)
        summary = {
            "count": count,
            "p50": round(latencies[count // 2], 1),
            "p99": round(latencies[count * 99 // 100], 1),
            "max": round(latencies[-1], 1),
        }
        sys.stdout.write(json.dumps(summary) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
