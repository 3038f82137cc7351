"""
The body of a request: from bytes to a JSON value.

==================  ===================================================================================================
``Content-Type``    ``application/json``, with any parameters; otherwise 415
``charset``         UTF-8, UTF-16 or UTF-32
content encoding    ``gzip``, ``deflate``; the limit of the body applies before and after it is inflated
value               an object or an array; without any body, it is C{{}}
==================  ===================================================================================================

To inflate or to read a long body takes longer than a turn of the reactor has time, so it is done in parts.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from dstwist.interfaces import HttpAnswer
from dstwist.log import shown
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, loads
from dstwist.protocol.weights import weigh_json
from dstwist.scheduling.time_slices import TurnPause

UNSUPPORTED_TYPE = HttpAnswer.text(
    415, 'Invalid "Content-Type" header. Supported media types: "application/json"', {"Accept": "application/json"}
)

TOO_MUCH = HttpAnswer.text(503, "Too many requests are under way. Try again later.", {"Retry-After": "1"})

_PARSING = "Failed to parse body of request: "

#: How many bytes are inflated in one step.
_STEP_BYTES = 65536

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf';\s*({_TOKEN})=("(?:[^"\\]|\\.)*"|{_TOKEN})\s*')
_TYPE = re.compile(rf"\s*application/json\s*((?:{_PARAMETER.pattern})*)", re.IGNORECASE)

#: The codecs of charsets, by their names in lower case.
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf-32": "utf-32",
    "utf-32le": "utf-32-le",
    "utf-32be": "utf-32-be",
}

#: Of C{zlib}: the format of an encoding.
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"


class BadRequest(Exception):
    """
    The request is not served, as the client's mistake.

    @ivar answer: the answer to the client.
    """

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _unparsable(problem: str, status: int = 400) -> BadRequest:
    return BadRequest(HttpAnswer.text(status, _PARSING + problem))


def charset_of(headers: Mapping[str, str]) -> str:
    """
    The charset of a request.

    @raise BadRequest: the body is not JSON, or in an unknown charset.
    """
    found = _TYPE.fullmatch(headers.get("content-type", ""))
    if found is None:
        raise BadRequest(UNSUPPORTED_TYPE)
    charset = "utf-8"
    for name, value in _PARAMETER.findall(found[1]):
        if name.lower() == "charset":
            charset = value.strip('"').lower()
    if charset not in _CHARSETS:
        raise _unparsable(f'unsupported charset "{shown(charset.upper())}"')
    return _CHARSETS[charset]


def _has_room(size: int) -> bool:
    return True


async def read_body(
    headers: Mapping[str, str],
    body: bytes,
    limit: int,
    pause: TurnPause,
    take: Callable[[int], bool] = _has_room,
) -> Any:
    """
    The value of a body.

    @param limit: the most bytes that the body may have when it is inflated.
    @param take: takes memory for a body that is compressed, if there is some.
    @raise BadRequest: the body cannot be read.
    """
    charset = charset_of(headers)
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        if encoding not in _WINDOWS:
            raise _unparsable(f'unsupported content encoding "{shown(encoding)}"', 415)
        body = await _inflate(body, _WINDOWS[encoding], limit, pause, take)
        if not take(weigh_json(body)):
            raise BadRequest(TOO_MUCH)
    if not body:
        return {}
    try:
        text = _as_utf8(body, charset)
        if text.lstrip(_BLANK)[:1] not in (b"{", b"["):
            raise ValueError("the body is not a JSON object or array")
        if len(text) < READ_IN_PARTS_LENGTH:
            return loads(text)
        return await _read_in_parts(text, pause)
    except (ValueError, RecursionError) as error:
        raise _unparsable(shown(str(error))) from None


def _as_utf8(body: bytes, charset: str) -> bytes:
    if charset != "utf-8":
        return body.decode(charset).removeprefix("\ufeff").encode("utf-8")
    return body.removeprefix(_BYTE_ORDER_MARK)


async def _read_in_parts(text: bytes, pause: TurnPause) -> Any:
    steps = reading(text)
    try:
        while True:
            next(steps)
            if pause.due():
                await pause.wait()
    except StopIteration as end:
        return end.value


async def _inflate(body: bytes, window: int, limit: int, pause: TurnPause, take: Callable[[int], bool]) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        while True:
            inflater = zlib.decompressobj(window)
            rest = body
            while not inflater.eof:
                piece = inflater.decompress(rest, _STEP_BYTES)
                rest = inflater.unconsumed_tail
                if not piece and not rest and not inflater.eof:
                    raise _unparsable("unexpected end of file")
                size += len(piece)
                if size > limit:
                    raise _unparsable("request entity too large")
                if not take(len(piece)):
                    raise BadRequest(TOO_MUCH)
                pieces.append(piece)
                if pause.due():
                    await pause.wait()
            body = inflater.unused_data
            # A file of gzip may have several parts. Everything else behind the end is ignored, as by the Node server.
            if not body.startswith(b"\x1f\x8b") or window == zlib.MAX_WBITS:
                return b"".join(pieces)
    except zlib.error as error:
        raise _unparsable(str(error)) from None
