"""
What hostile programs do with streams of server-sent events.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.hostile.attacks import told
from tests.hostile.attacks_floods import burst
from tests.hostile.intruder import Intruder, close_all
from tests.hostile.stage import Stage

#: A request for a stream, and the event that it is about.
_REQUEST = b"GET /api/events/flood HTTP/1.1\r\nHost: localhost\r\n\r\n"
_EVENT = Message(Topic.EVENT, EventAction.EMIT, "flood", b'"%b"' % (b"x" * 1000))


def _status(intruder: Intruder) -> str:
    """
    How a request for a stream is answered.
    """
    for _ in range(400):
        if intruder.until("200", 0.01) or intruder.heard or intruder.fate:
            break
    return next(iter(intruder.heard), intruder.fate or "no answer")


def unread_streams(stage: Stage) -> str:
    """
    Streams from one address, up to its limit and beyond, none of which is read while events come as fast as one client
    can send them.
    """
    intruders = [Intruder(stage.port, buffer=4096) for _ in range(300 * stage.scale)]
    for intruder in intruders:
        intruder.send(_REQUEST)
    outcomes = [_status(intruder) for intruder in intruders]
    with Intruder(stage.port).log_in("writer") as writer:
        for _ in range(min(stage.scale, 4)):
            burst(writer, _EVENT)
            outcome = writer.outcome()
    close_all(intruders)
    return f"writer: {outcome}; streams: {told(outcomes)}"


def streams_left_at_once(stage: Stage) -> str:
    """
    Streams that are asked for and left, while events come.
    """
    with Intruder(stage.port).log_in("writer") as writer:
        for number in range(500 * stage.scale):
            with Intruder(stage.port) as intruder:
                intruder.send(_REQUEST)
                if number % 2:
                    intruder.ended(0.001)
            if not number % 10:
                writer.say(_EVENT)
        return f"writer: {writer.outcome()}"


ATTACKS = [unread_streams, streams_left_at_once]
