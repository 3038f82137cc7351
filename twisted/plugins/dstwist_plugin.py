"""
What makes C{twistd dstwist} known to twistd.
"""

from __future__ import annotations

from twisted.application.service import ServiceMaker

dstwist = ServiceMaker(
    "dstwist",
    "dstwist.tap",
    "A realtime data server, a drop-in for deepstream.io.",
    "dstwist",
)
