"""
Tests for L{dstwist.protocol.text_callbacks}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.message import Malformed, Message
from dstwist.protocol.text import CLIENT, SERVER
from tests.wire import readable, wire


class CallbackTests(SynchronousTestCase):
    """
    Errors that the callbacks of v2 and v3 clients hear.
    """

    def answer(self, payload: str, error: str) -> str:
        """
        The payload of the answer to a request that fails.
        """
        (request,) = SERVER.decode(wire(payload))
        assert isinstance(request, Message)
        detail = "cache is full" if error == "RECORD_DELETE_ERROR" else None
        return readable(SERVER.encode(request.error(error, detail=detail)))

    def test_forms(self) -> None:
        """
        Each error stands behind the form that the callback of its request hears; without such a form it stands alone.
        """
        for payload, error, answer in (
            ("R|SN|a+", "MESSAGE_DENIED", "R|E|SN|a|MESSAGE_DENIED+R|E|MESSAGE_DENIED|a|SN+"),
            ("R|CR|a+", "MESSAGE_PERMISSION_ERROR",
             "R|E|MESSAGE_DENIED|a|R+R|E|MESSAGE_PERMISSION_ERROR|MESSAGE_PERMISSION_ERROR+"),
            ("R|D|a+", "RECORD_DELETE_ERROR", "R|E|MESSAGE_DENIED|a|D+R|E|RECORD_DELETE_ERROR|cache is full+"),
            ("R|D|a+", "MESSAGE_DENIED", "R|E|MESSAGE_DENIED|a|D+"),
            ("P|REQ|add|1|U+", "MESSAGE_PERMISSION_ERROR",
             "P|E|MESSAGE_DENIED|add|REQ|1+P|E|MESSAGE_PERMISSION_ERROR|"),
            ("P|REQ|add|1|U+", "MESSAGE_DENIED", "P|E|MESSAGE_DENIED|add|REQ|1|U+"),
            ("P|A|REQ|add|1+", "MESSAGE_PERMISSION_ERROR", "P|E|MESSAGE_PERMISSION_ERROR|"),
            ("U|Q|Q+", "MESSAGE_DENIED", "U|E|MESSAGE_DENIED|"),
        ):  # fmt: skip
            found = self.answer(payload, error)
            self.assertEqual(found[: len(answer)], answer, payload)

    def test_invalid_call(self) -> None:
        """
        The error about an invalid call has the name and the id of the call, if both are there.
        """
        for payload, answer in (
            ("P|REQ|add|1|x+", "P|E|INVALID_MESSAGE_DATA|add|1+"),
            ("P|REQ|add+", "P|E|INVALID_MESSAGE_DATA|P|REQ|add+"),
            ("P|REQ||1|U+", "P|E|INVALID_MESSAGE_DATA|P|REQ||1|U+"),
            ("P|RES|add|1|x+", "P|E|INVALID_MESSAGE_DATA|P|RES|add|1|x+"),
        ):
            (found,) = SERVER.decode(wire(payload))
            assert isinstance(found, Malformed) and found.answer is not None
            self.assertEqual(readable(SERVER.encode(found.answer)), answer)

    def test_callbacks_hear(self) -> None:
        """
        The error of a refused read is sent first in the form that triggers its callback, and a client can read that
        form.
        """
        for code in ("SN", "H", "HD"):
            (request,) = SERVER.decode(wire(f"R|{code}|n+"))
            for error in ("MESSAGE_DENIED", "MESSAGE_PERMISSION_ERROR", "INVALID_MESSAGE_DATA"):
                heard, _ = CLIENT.decode(SERVER.encode(request.error(error)))
                self.assertEqual((heard.action.name, heard.name), (error, "n"))
                self.assertEqual(heard.original_action, request.action)

    def test_callbacks_of_others(self) -> None:
        """
        If the name is lost in a message with too many fields, the answer does not contain another name.
        """
        for payload in ("R|SN|a|b+", "R|CR|a|b+"):
            (found,) = SERVER.decode(wire(payload))
            assert isinstance(found, Malformed) and found.answer is not None
            self.assertEqual(readable(SERVER.encode(found.answer)), f"R|E|INVALID_MESSAGE_DATA|{payload}")
