"""
Tests for L{dstwist.http_api.body}.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from dstwist.http_api.body import BadRequest, read_body
from dstwist.interfaces import HttpAnswer
from dstwist.scheduling.time_slices import TurnPause
from dstwist.scheduling.turns import Turns

LIMIT = 200_000


class BodyTests(SynchronousTestCase):
    """
    Reading a body.
    """

    def read(
        self,
        body: bytes,
        kind: str | None = "application/json",
        encoding: str | None = None,
        room: int = 1 << 40,
    ) -> Any:
        """
        The value of a body, or status and text of the refusal.
        """
        headers = {} if kind is None else {"content-type": kind}
        if encoding is not None:
            headers["content-encoding"] = encoding
        clock = Clock()
        taken = 0

        def take(size: int) -> bool:
            nonlocal taken
            taken += size
            return taken <= room

        reading = Deferred.fromCoroutine(read_body(headers, body, LIMIT, TurnPause(Turns.of(clock)), take))
        clock.pump([0] * 1000)
        results: list[Any] = []
        reading.addBoth(results.append)
        (result,) = results
        if not isinstance(result, Failure):
            return result
        result.trap(BadRequest)
        answer: HttpAnswer = result.value.answer
        return answer.status, answer.body.decode().removesuffix("\r\n\r\n")

    def test_types(self) -> None:
        """
        The type is JSON, with any parameters.
        """
        for kind in (
            "application/json",
            "Application/JSON",
            " application/json ",
            "application/json; charset=utf-8",
            'application/json;charset="UTF-8"; x=y',
            "application/json;a=b;charset=utf-8",
        ):
            self.assertEqual(self.read(b'{"a":1}', kind), {"a": 1}, kind)

    def test_other_types(self) -> None:
        """
        Any other is refused.
        """
        refusal = (415, 'Invalid "Content-Type" header. Supported media types: "application/json"')
        for kind in (
            None,
            "",
            "application",
            "text/plain",
            "application/jsonx",
            "application/json, text/plain",
            "application/json; charset",
            "application/json charset=utf-8",
            'application/json; a="b',
            "application/x-www-form-urlencoded",
            "application/vnd.api+json",
        ):
            self.assertEqual(self.read(b"{}", kind), refusal, kind)

    def test_charsets(self) -> None:
        """
        The charset is one of Unicode, with or without a byte order mark.
        """
        value = {"a": "\u00e9\U0001f600"}
        text = json.dumps(value, ensure_ascii=False)
        for charset, codec in [
            ("utf-8", "utf-8"),
            ("UTF-8", "utf-8-sig"),
            ("utf-16", "utf-16"),
            ("UTF-16LE", "utf-16-le"),
            ("utf-16be", "utf-16-be"),
            ("utf-32", "utf-32"),
        ]:
            self.assertEqual(self.read(text.encode(codec), f"application/json; charset={charset}"), value, charset)

    def test_other_charsets(self) -> None:
        """
        Any other is refused, by its name in capitals.
        """
        for charset in ("latin1", "utf-7", "utf-", "ascii"):
            self.assertEqual(
                self.read(b"{}", f"application/json; charset={charset}"),
                (400, f'Failed to parse body of request: unsupported charset "{charset.upper()}"'),
            )

    def test_empty(self) -> None:
        """
        No body is an empty object.
        """
        self.assertEqual(self.read(b""), {})
        self.assertEqual(self.read(gzip.compress(b""), encoding="gzip"), {})

    def test_values(self) -> None:
        """
        The value is an object or an array; blanks around it do not matter.
        """
        self.assertEqual(self.read(b" \r\n\t[1, 2] \n"), [1, 2])
        for body in (b'"text"', b"1", b"null", b"true", b" ", b"\x00{}", b"(", b'\xe2\x80\xa8{"a":1}'):
            status, text = self.read(body)
            self.assertEqual(status, 400, body)
            self.assertTrue(text.startswith("Failed to parse body of request: "), body)

    def test_no_json(self) -> None:
        """
        Text that is no JSON, is nested too deeply, or is in another encoding than it says, is refused.
        """
        for body, kind in [
            (b'{"a":}', "application/json"),
            (b'{"a":1', "application/json"),
            (b"{} {}", "application/json"),
            (b'{"a":NaN}', "application/json"),
            (b'{"a":1e400}', "application/json"),
            (b"[" * 100_000, "application/json"),
            (b"[" * 300 + b"]" * 300, "application/json"),
            (b'{"a":"\xff"}', "application/json"),
            (b'{"a":"\xff"}', "application/json; charset=utf-16"),
            (b"[" + b"1," * 50_000, "application/json"),
        ]:
            status, text = self.read(body, kind)
            self.assertEqual(status, 400, body[:20])
            self.assertTrue(text.startswith("Failed to parse body of request: "), text)
            self.assertLess(len(text), 300)

    def test_long(self) -> None:
        """
        A long text is read in several turns.
        """
        value = [{"number": number, "text": "x" * 10} for number in range(5000)]
        self.assertEqual(self.read(json.dumps(value).encode()), value)

    def test_compressed(self) -> None:
        """
        A body may be compressed. A file of gzip may have several parts; what is behind the end is ignored.
        """
        body = json.dumps({"a": ["x" * 10] * 10_000}).encode()
        half = len(body) // 2
        for data, encoding in [
            (gzip.compress(body), "gzip"),
            (gzip.compress(body), "GZIP"),
            (gzip.compress(body), "x-gzip"),
            (zlib.compress(body), "deflate"),
            (body, "identity"),
            (gzip.compress(body[:half]) + gzip.compress(body[half:]), "gzip"),
            (gzip.compress(body) + b"garbage", "gzip"),
        ]:
            self.assertEqual(self.read(data, encoding=encoding), json.loads(body), encoding)

    def test_bombs(self) -> None:
        """
        The limit applies to the inflated body as well.
        """
        refusal = (400, "Failed to parse body of request: request entity too large")
        bomb = b"[" + b" " * 100_000_000 + b"]"
        self.assertEqual(self.read(gzip.compress(bomb, 1), encoding="gzip"), refusal)
        self.assertEqual(self.read(zlib.compress(bomb, 1), encoding="deflate"), refusal)
        fits = b"[" + b" " * (LIMIT - 2) + b"]"
        self.assertEqual(self.read(gzip.compress(fits), encoding="gzip"), [])
        self.assertEqual(self.read(gzip.compress(fits + b" "), encoding="gzip"), refusal)
        self.assertEqual(self.read(gzip.compress(fits[:-1]) + gzip.compress(b" ]"), encoding="gzip"), refusal)

    def test_memory(self) -> None:
        """
        A compressed body may take more memory than it seemed: if there is none, the request is refused.
        """
        body = gzip.compress(b"[" + b"{}," * 50_000 + b"1]")
        refusal = (503, "Too many requests are under way. Try again later.")
        for room in (0, 100_000, 1_000_000):
            self.assertEqual(self.read(body, encoding="gzip", room=room), refusal)
        self.assertEqual(len(self.read(body, encoding="gzip", room=10_000_000)), 50_001)

    def test_broken_compression(self) -> None:
        """
        A body that ends too early, or is something else, is refused.
        """
        for data, encoding in [
            (gzip.compress(b"[1]")[:-9], "gzip"),
            (b"", "gzip"),
            (b"[1]", "gzip"),
            (b"[1]", "deflate"),
            (gzip.compress(b"[1]"), "deflate"),
            (gzip.compress(b"[1]")[:-5] + b"12345", "gzip"),
        ]:
            status, text = self.read(data, encoding=encoding)
            self.assertEqual(status, 400, (data, encoding))
            self.assertTrue(text.startswith("Failed to parse body of request: "), text)

    def test_other_encodings(self) -> None:
        """
        Other encodings are refused.
        """
        for encoding in ("br", "gzip, gzip", "zstd"):
            self.assertEqual(
                self.read(b"{}", encoding=encoding),
                (415, f'Failed to parse body of request: unsupported content encoding "{encoding}"'),
            )
