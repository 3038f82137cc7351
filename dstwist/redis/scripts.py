"""
Lua scripts.

A script is sent by its digest (EVALSHA). Redis forgets scripts when it restarts, and when an operator tells it to
(SCRIPT FLUSH). It then answers NOSCRIPT, and has executed nothing. The link loads the script and sends the call again:
L{dstwist.redis.redo}.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files


class Script:
    """
    A script.

    @param name: its name, for errors.
    @ivar sha: the digest by which Redis knows it.
    """

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def load(cls, package: str, name: str) -> Script:
        """
        The script in the file C{lua/<name>.lua} of a package.
        """
        return cls(name, files(package).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8"))
