"""
What makes C{twistd dstwist} known to twistd.
"""

from __future__ import annotations

import sys

from twisted.application.service import ServiceMaker

from dstwist.process.signals import hold

if "dstwist" in sys.argv[1:]:
    # twistd is about to import the server, which takes a second. It imports this file for all other servers, too.
    hold()

dstwist = ServiceMaker(
    "dstwist",
    "dstwist.tap",
    "A realtime data server, a drop-in for deepstream.io.",
    "dstwist",
)
