"""
The readable notation for payloads of the text protocol.
"""

from __future__ import annotations


def wire(text: str) -> str:
    """
    C{"E|S|news+"} with the real separators in place of C{|} and C{+}.
    """
    return text.replace("|", "\x1f").replace("+", "\x1e")


def readable(payload: str | bytes) -> str:
    """
    The way back: a payload as a test likes to show it.
    """
    text = payload.decode("utf-8") if isinstance(payload, bytes) else payload
    return text.replace("\x1f", "|").replace("\x1e", "+")
