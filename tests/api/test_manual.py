"""
The examples of C{docs/api.rst}.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import textwrap
from collections.abc import Coroutine
from typing import Any

import dstwist.api.errors
from dstwist.api.errors import ApiError
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from tests.api.stage import ApiTestCase
from tests.test_docs import CHECKOUT

TEXT = (CHECKOUT / "docs" / "api.rst").read_text(encoding="utf-8")

#: The output of the examples.
PRINTED = """\
1 80
news: {'title': 'Tea is ready'}
['article/1']
99
[]
False
"""


class ManualTests(ApiTestCase):
    """
    The page about the API.
    """

    def run_block(self, code: str, names: dict[str, Any]) -> None:
        compiled = compile(code, "api.rst", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(compiled, names)
        if isinstance(result, Coroutine):
            self.done(result)
        self.turn()

    def test_examples(self) -> None:
        """
        They run one after the other, and do what the page says.
        """
        blocks = re.findall(r"^\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", TEXT, re.MULTILINE)
        self.assertEqual(len(blocks), 10)
        names: dict[str, Any] = {"api": self.api}
        orders: list[Any] = []
        self.done(self.api.events.subscribe("order", orders.append))
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            for block in blocks:
                self.run_block(textwrap.dedent(block), names)
            self.assertEqual(printed.getvalue(), PRINTED)
            client = self.client("v4", "bob")
            client.say(
                Message(Topic.RECORD, RecordAction.SUBSCRIBECREATEANDREAD, names=("weather/rome",), correlation_id="1")
            )
            self.turn()
            client.transport.loseConnection()
            self.turn()
            self.assertEqual(
                printed.getvalue()[len(PRINTED) :], "bob True\nweather/rome is not wanted any more\nbob False\n"
            )
        reading = self.started(names["first"](2))
        for number in range(3):
            self.done(self.api.events.emit("news", number))
        self.assertEqual(self.successResultOf(reading), [0, 1])
        self.assertEqual(orders, [{"tea": 1}])
        error: Any = self.refused(self.api.rpc.call("stock", "coffee"), ApiError)
        self.assertEqual(error.data, "we do not sell that")
        self.assertEqual(self.done(self.api.records.get("article/1")).data, {"title": "Tea"})

    def test_errors(self) -> None:
        """
        The table has all errors.
        """
        table = TEXT[TEXT.index("\nclass  ") :]
        named = set(re.findall(r"^``(\w+)``  ", table, re.MULTILINE))
        errors = {
            name
            for name, found in vars(dstwist.api.errors).items()
            if isinstance(found, type) and issubclass(found, ApiError)
        }
        self.assertLess(errors, set(dstwist.api.__all__))
        # The function of a provider raises this one; its table is above.
        self.assertEqual(named, errors - {"CallRejected"})
