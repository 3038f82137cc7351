"""
Permission rules: each is refused when it is loaded, or decides, or fails with an error of its own.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from dstwist.errors import ConfigError, RuleError
from dstwist.interfaces import Change, Record
from dstwist.permission.valve.permission import ValvePermission
from dstwist.permission.valve.rules import load_permissions
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.fakes import FakeConnection

SEEDS = [
    b"true",
    b"user.id === $name && data.a > 1",
    b"oldData !== null ? oldData.owner === user.id : user.data.role === 'admin'",
    b"_('other/' + $name).list.indexOf(user.id) !== -1",
    b"data.text.match(/^[a-z]+(b|c)*$/i) !== null",
    b"name.substring(1, 3).toUpperCase() + '\\u0041' == \"x\" || !(now - 1e3 >= 0x1f) ",
    b"((1 + 2) * 3 / 4 % 5 | 6 & 7 ^ 8) << 1 >> 2 >>> 3 < ~-+9",
    b"[1, 'a', [user]].length && {} && void 0, typeof data",
    b"data.list[0].a['b'][0] in user",
    b"Math.max(1, Infinity) && Date.now() > now && JSON.stringify(data)",
    b"user.data.roles.includes('x') /* c */ // d",
]

_sender = FakeConnection("ann")
_sender.server_data = {"role": "admin", "roles": ["x", "y"]}
_message = Message(
    Topic.RECORD, RecordAction.UPDATE, "user/ann", b'{"a":2,"list":[{"a":{"b":[1]}}],"text":"abc"}', version=2
)
_old = Record(1, {"owner": "ann", "list": ["ann"]})


def _load(name: str) -> Deferred[Record | None]:
    return succeed(_old)


def attempt(data: bytes) -> None:
    """
    Load it as a rule for writing records, and write one.
    """
    rules = {"record": {"*": {"write": False}, "user/$name": {"write": data.decode("utf-8", "replace")}}}
    for section in ("event", "rpc", "presence"):
        rules[section] = {"*": {}}
    try:
        loaded = load_permissions(rules)
    except ConfigError as error:
        str(error)
        return
    permission = ValvePermission(loaded, lambda: 1e9, load=_load, max_steps=20_000)
    verdict = permission.allows(_message, _sender, Change(_old, _message))
    if isinstance(verdict, Deferred):
        results: list[object] = []
        verdict.addErrback(lambda failure: failure.trap(RuleError) and None)
        verdict.addBoth(results.append)
        (result,) = results
        if hasattr(result, "raiseException"):
            result.raiseException()
