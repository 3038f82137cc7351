"""
Bytes to the port before it is a WebSocket: request heads, bodies, requests behind each other.

The first byte says after how many bytes the rest arrives by itself.
"""

from __future__ import annotations

from fuzz.memory import world

_WEB_SOCKET = (
    b"GET /deepstream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://a.example\r\n"
    b"X-Forwarded-For: 1.2.3.4, [::1]\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    b"Sec-WebSocket-Protocol: a, b\r\n\r\n"
)
SEEDS = [
    b"\x10" + _WEB_SOCKET,
    b"\x00GET /health-check HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.0\r\n\r\n",
    b'\x30POST /api HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\nContent-Type: application/json\r\n\r\n{"body":[{}]}',
    b"\x40POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    b"5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"\x08OPTIONS /api/auth HTTP/1.1\r\nHost: x\r\nOrigin: http://a.example\r\n"
    b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type, x\r\n\r\n",
    b"\x05GET /deepstream?a=%ff HTTP/1.1\r\nUpgrade: websocket\r\n continued\r\n\r\n\x82\x80abcd",
]


def attempt(data: bytes) -> None:
    """
    Send C{data}, and check that the other client is still served.
    """
    there = world()
    client = there.connect()
    cut = 1 + data[0] if data else 1
    client.send(data[1:cut])
    client.send(data[cut:])
    client.drop()
    there.check()
